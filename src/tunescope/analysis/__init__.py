"""Artifacts -> one tidy table."""
