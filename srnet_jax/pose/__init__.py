"""Geometry of poses: skeleton, layouts, cameras, normalization, metrics and rarity, as pure functions."""
