"""Jobs on a Ray cluster. `import ray` stands in this package alone, inside functions."""
