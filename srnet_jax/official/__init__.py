"""Import checkpoints of the official PyTorch code and of VideoPose3D, and export runs for the official code."""
