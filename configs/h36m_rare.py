"""SRNet on Human3.6M, Rare Pose protocol: trained as in configs/h36m_sr.py, tested on the rarest 20 % of the test poses.

    python -m launch.train --config=configs/h36m_rare.py --config.data.path=DIR --workdir=runs/h36m/rare

Every other protocol prints its rare poses too, beside all; this one counts nothing else. The paper's sigma and reference set
are not known (docs/rare_poses.md). Not run here: the data need a licence.
"""

from ml_collections import ConfigDict

from configs import h36m_sr


def get_config() -> ConfigDict:
    """Return the settings of configs/h36m_sr.py, counting the rarest poses alone."""
    config = h36m_sr.get_config()
    config.protocol.name = "rare_pose"
    config.protocol.rare_percents = (20, 10)
    return config
