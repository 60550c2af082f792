"""Scores of several seeds and examples -> estimates with intervals, tests and verdicts. Knows nothing of studies or files."""
