"""A hub id becomes files: from a mirror folder, from the shipped demo world, or from the Hugging Face hub."""
