"""Benchmarks of speed, memory and accuracy, which `python -m launch.benchmark NAME` runs."""
