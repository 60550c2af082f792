"""A network and encoded examples -> predictions -> scores: the one path for selection, evaluation and baselines."""
