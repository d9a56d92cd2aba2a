"""Write a static website that lifts keypoints in the browser, with the same arithmetic as this package."""
