"""The Subject protocol on real motion capture: HDM05's cut sequences, trained on bd, bk, dg and tested on mm, tr.

    python -m launch.train --config=configs/mocap_subject.py --config.data.path=FILE.npz --workdir=runs/hdm05/sr

FILE.npz holds joint positions as `srnet_jax/data/mocap.py` describes. Add --config.model.network=fc for the baseline.
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    """Return the paper's settings on joint-position files."""
    config = default.get_config()
    config.data.source = "mocap"
    config.protocol.subjects_train = ("bd", "bk", "dg")
    config.protocol.subjects_test = ("mm", "tr")
    config.train.epochs = 40
    return config
