"""A model and examples -> hidden states of every layer, pooled to one vector per example under the mask."""
