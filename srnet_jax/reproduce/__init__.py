"""Reproduce the tables and figures of the paper: train the networks, evaluate them, and compare with the paper's numbers."""
