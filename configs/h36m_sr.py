"""SRNet on Human3.6M, Subject protocol, single frame, exact 2D.

    python -m launch.train --config=configs/h36m_sr.py --config.data.path=DIR --workdir=runs/h36m/sr

DIR holds data_3d_h36m.npz and data_2d_h36m_gt.npz in VideoPose3D's format; `python -m launch.prepare_data h36m` makes them. For
detections add --config.data.keypoints=cpn_ft_h36m_dbb. The paper reports 36.6 mm (supplement Table 1), and 33.9 mm with
--config.model.normalization=pixel, which uses the true depth of the root. Not run here: the data need a licence.
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    """Return the paper's settings on Human3.6M; recordings of the training subjects select the checkpoint."""
    config = default.get_config()
    config.data.source = "h36m"
    return config
