"""A base model and a task become a network and its tokenizer, one way; what must be new is new, and nothing else."""
