"""Figures for papers and pages: Matplotlib, one style, vector formats."""
