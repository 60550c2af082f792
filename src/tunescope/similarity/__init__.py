"""Representations of the same examples -> how alike they are. Arrays in, numbers out; knows nothing of models, studies or files."""
