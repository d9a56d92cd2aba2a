"""List all experiments by name: the tables and figures of the paper, and our own."""

from srnet_jax.reproduce.experiment import Experiment
from srnet_jax.reproduce.own_experiments import OWN_EXPERIMENTS
from srnet_jax.reproduce.paper_experiments import PAPER_EXPERIMENTS

EXPERIMENTS: dict[str, Experiment] = PAPER_EXPERIMENTS | OWN_EXPERIMENTS
