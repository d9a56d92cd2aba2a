"""A small SRNet on the recordings that ship with the project, trained in minutes on two cores; for launch/quickstart.sh.

python -m launch.train --config=configs/quickstart.py --workdir=runs/quickstart/sr
python -m launch.train --config=configs/quickstart.py --workdir=runs/quickstart/fc --config.model.network=fc

SRNet gives 69.2 mm MPJPE, the baseline 71.6 mm (three seeds; README). The settings are every second frame, 20 epochs and a
learning rate that ends at 2 % of its start: of three settings that were tried, they gave SRNet's lowest error on held-out
recordings of the training people (56.6 mm; every third frame gave 57.2 mm after 30 epochs, and 60.2 mm after 15 epochs with
batches of 128).
"""

from ml_collections import ConfigDict

from configs import default
from srnet_jax.data import embedded


def get_config() -> ConfigDict:
    """Return the default config with a quarter of the channels, every second frame and 20 epochs."""
    config = default.get_config()
    config.data.source = "embedded"
    config.data.downsample = 2
    config.protocol.subjects_train = embedded.SUBJECTS_TRAIN
    config.protocol.subjects_test = embedded.SUBJECTS_TEST
    config.model.channels = 256
    config.train.epochs = 20
    config.train.lr_decay = 0.82
    config.train.batch_size = 256
    return config
