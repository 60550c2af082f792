"""Two models and the same examples -> how far their hidden states are apart, layer by layer, with intervals and controls."""
