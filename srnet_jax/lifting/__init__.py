"""Lift a person's 2D keypoints to 3D poses, write them to files and pictures, and load the included weights."""
