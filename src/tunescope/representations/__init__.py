"""Models and examples -> hidden states of every layer, read under the mask, several models side by side."""
