"""SRNet on Human3.6M, Rare Pose protocol: train as in configs/h36m_sr.py, test on the rarest 20 % of the test poses.

    python -m launch.train --config=configs/h36m_rare.py --config.data.path=DIR --workdir=runs/h36m/rare

All other protocols also print the error of the rare poses, beside that of all poses; this one prints only the rare poses. The
paper does not state its sigma and reference set (docs/rare_poses.md). Not run here: the data need a licence.
"""

from ml_collections import ConfigDict

from configs import h36m_sr


def get_config() -> ConfigDict:
    """Return the config of configs/h36m_sr.py, tested on the rarest poses only."""
    config = h36m_sr.get_config()
    config.protocol.name = "rare_pose"
    config.protocol.rare_percents = (20, 10)
    return config
