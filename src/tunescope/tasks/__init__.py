"""Data sets, their text and tokens, and how predictions on them are scored."""
