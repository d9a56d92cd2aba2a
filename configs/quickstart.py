"""A small SRNet on the embedded data set, minutes on two cores; used by `bash launch/quickstart.sh`.

python -m launch.train --config=configs/quickstart.py --workdir=runs/quickstart/sr
python -m launch.train --config=configs/quickstart.py --workdir=runs/quickstart/fc --config.model.network=fc
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    """Return the default config at a quarter of the width, with fewer and wider spaced frames and epochs."""
    config = default.get_config()
    config.data.downsample = 5
    config.model.channels = 256
    config.train.epochs = 30
    config.train.batch_size = 256
    return config
