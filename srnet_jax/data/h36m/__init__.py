"""Human3.6M: the field's .npz files, and how they are made from the original recordings."""
