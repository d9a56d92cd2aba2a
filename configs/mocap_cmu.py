"""The Subject protocol on CMU's motion capture, tested on untrained motions (acrobatics, basketball, martial arts).

    python -m launch.train --config=configs/mocap_cmu.py --config.data.path=FILE.npz --workdir=runs/cmu/sr

FILE.npz holds joint positions of subjects 01, 02, 03, 05, 06, 07, 60, 61, 88, 90, 94 and 135 in the format that
`srnet_jax/data/mocap/clip_files.py` describes.
Either network takes 14 minutes on two busy CPU cores. That is too short to compare networks: after these 12 epochs on every
fifth frame, SRNet gave 101.8 mm MPJPE and the baseline 159.1 mm (measured before cameras were moved for people who leave the
image).
"""

from ml_collections import ConfigDict

from configs import mocap_subject


def get_config() -> ConfigDict:
    """Return the config of a short training: every fifth frame, 12 epochs."""
    config = mocap_subject.get_config()
    config.data.downsample = 5
    config.protocol.subjects_train = ("01", "02", "03", "05", "07", "60", "61", "94")
    config.protocol.subjects_test = ("06", "88", "90", "135")
    config.train.epochs = 12
    return config
