"""A small SRNet on the embedded recordings of people, minutes on two cores; used by `bash launch/quickstart.sh`.

python -m launch.train --config=configs/quickstart.py --workdir=runs/quickstart/sr
python -m launch.train --config=configs/quickstart.py --workdir=runs/quickstart/fc --config.model.network=fc

SRNet gives 69.2 mm MPJPE, the baseline 71.6 mm (three seeds; README). Every second frame, 20 epochs, and a learning rate that
ends at 2 %: of three settings that were tried, SRNet's error on held-out recordings of the training people was lowest here
(56.6 mm; with every third frame 57.2 after 30 epochs, 60.2 after 15 with batches of 128).
"""

from ml_collections import ConfigDict

from configs import default
from srnet_jax.data import embedded


def get_config() -> ConfigDict:
    """Return the default config at a quarter of the width, with fewer and wider spaced frames and epochs."""
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
