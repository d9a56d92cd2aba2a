"""Measurements that anyone can repeat: `python -m launch.benchmark NAME`."""
