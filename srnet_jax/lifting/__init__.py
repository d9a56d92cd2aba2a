"""From a person's keypoints to 3D: lifters, their files, pictures, and the weights that ship."""
