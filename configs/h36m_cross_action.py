"""SRNet on Human3.6M, Cross-Action protocol: train on one action, test on the others; data as in configs/h36m_sr.py.

    python -m launch.train --config=configs/h36m_cross_action.py --config.data.path=DIR --workdir=runs/h36m/Walking

Another action: --config.protocol.actions_train="('Sitting',)". The official code trains and tests on all subjects:
--config.protocol.cross_action_test=all_subjects. Not run here: the data need a licence.
"""

from ml_collections import ConfigDict

from configs import h36m_sr


def get_config() -> ConfigDict:
    """Return the config of configs/h36m_sr.py, trained on Walking only."""
    config = h36m_sr.get_config()
    config.protocol.name = "cross_action"
    config.protocol.actions_train = ("Walking",)
    return config
