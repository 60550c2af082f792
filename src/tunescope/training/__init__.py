"""The one training loop: data order, schedule, optimiser, loss, checkpoints and the metric log."""
