"""The default config; `srnet_jax/config/schema.py` gives each field's meaning, allowed values and condition.

    python -m launch.train --config=configs/default.py --workdir=runs/default

trains the paper's 8-layer single-frame SRNet for 80 epochs: hours on a CPU. `configs/quickstart.py` takes minutes.
Change a field on the command line (--config.train.epochs=10) or in a small config file like the others in this folder.
`python -m launch.describe --fields=train.` prints the fields with this prefix, with their defaults and meanings.
"""

from srnet_jax.config.schema import default_config as get_config

__all__ = ["get_config"]
