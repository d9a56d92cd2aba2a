"""Official PyTorch checkpoints, in and out."""
