"""Load, make and check the `.npz` files of Human3.6M, HumanEva-I and other data in VideoPose3D's form."""
