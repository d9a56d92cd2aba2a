"""The page that lifts keypoints in the browser: a static folder with the network, without a server."""
