"""What a job's process and device did meanwhile: memory, processors, GPU, energy."""
