"""SRNet on Human3.6M with 243 frames, Subject protocol, exact 2D; data as in configs/h36m_sr.py.

    python -m launch.train --config=configs/h36m_sr_243.py --config.data.path=DIR --workdir=runs/h36m/sr_243

The paper reports 32.0 mm (Table 10). Not run here: the data need a licence.
"""

from ml_collections import ConfigDict

from configs import h36m_sr


def get_config() -> ConfigDict:
    """Return the config of configs/h36m_sr.py with a receptive field of 243 frames."""
    config = h36m_sr.get_config()
    config.model.filter_widths = (3, 3, 3, 3, 3)
    return config
