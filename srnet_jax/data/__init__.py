"""Load data sets, split them by protocol and cut them into training windows. NumPy only: nothing here imports JAX."""
