"""Read 2D keypoints from the files of many detectors, or detect them in videos, and track people over time."""
