"""Pure functions on poses: skeletons, keypoint layouts, cameras, normalization, metrics, rarity and motion filters."""
