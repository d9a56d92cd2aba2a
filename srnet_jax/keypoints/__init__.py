"""The keypoints that detectors write: readers, people followed over time, and videos."""
