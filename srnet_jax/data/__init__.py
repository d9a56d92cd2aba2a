"""Data sources, protocols and windows. NumPy only: nothing here imports JAX."""
