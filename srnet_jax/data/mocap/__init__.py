"""Motion capture: joint positions, and the motion files that they are made from."""
