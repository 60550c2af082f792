"""A run, as it tells of itself to whoever asks from another terminal or machine."""
