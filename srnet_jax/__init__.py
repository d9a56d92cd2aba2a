"""Split-and-recombine networks that lift 2D human keypoints to 3D poses, in JAX."""
