"""Training: optimiser, steps, checkpoints and the loop."""
