"""What fine-tuning did to the weights: a base folder and a tuned one -> updates per module, their spectra, intruders."""
