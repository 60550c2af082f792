"""Predicted parameters, time, memory and disk, from an architecture and a device alone: no weights, no torch."""
