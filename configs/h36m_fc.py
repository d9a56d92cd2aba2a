"""The fully connected baseline on Human3.6M, Subject protocol, single frame, exact 2D; data as in configs/h36m_sr.py.

    python -m launch.train --config=configs/h36m_fc.py --config.data.path=DIR --workdir=runs/h36m/fc

The paper reports 46.8 mm (supplement Table 1). Not run here: the data need a licence.
"""

from ml_collections import ConfigDict

from configs import h36m_sr


def get_config() -> ConfigDict:
    """Return the config of configs/h36m_sr.py with fully connected layers."""
    config = h36m_sr.get_config()
    config.model.network = "fc"
    return config
