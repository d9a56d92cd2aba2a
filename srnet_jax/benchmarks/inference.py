"""Time of inference over whole sequences; see `train`."""

from srnet_jax.benchmarks.train import run_inference as run

__all__ = ["run"]
