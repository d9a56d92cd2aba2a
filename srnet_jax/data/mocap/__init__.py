"""Motion capture: joint positions, and the BVH and ASF/AMC files that they are made from."""
