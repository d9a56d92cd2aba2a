"""The Subject protocol on real motion capture: HDM05's cut sequences, train on bd, bk, dg and test on mm, tr.

    python -m launch.train --config=configs/mocap_subject.py --config.data.path=FILE.npz --workdir=runs/hdm05/sr

FILE.npz holds joint positions in the format that `srnet_jax/data/mocap/clip_files.py` describes. Add
--config.model.network=fc for the baseline.
On two CPU cores SRNet takes about 15 minutes and gives 53.8 mm MPJPE; the baseline takes 26 minutes and gives
62.9 mm (one seed). The learning rate is not annealed here, so neither network converges; RESULTS.md has longer trainings.
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    """Return the paper's settings for joint-position files, with 40 instead of 80 epochs."""
    config = default.get_config()
    config.data.source = "mocap"
    config.protocol.subjects_train = ("bd", "bk", "dg")
    config.protocol.subjects_test = ("mm", "tr")
    config.train.epochs = 40
    return config
