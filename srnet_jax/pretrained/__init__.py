"""Trained networks that ship with the project; README.md here is their card."""
