"""SRNet on HumanEva-I, 15 joints, single frame, exact 2D, under VideoPose3D's protocol: train on Train, test on Validate.

    python -m launch.train --config=configs/humaneva_sr.py --config.data.path=DIR --workdir=runs/humaneva/sr

DIR holds data_3d_humaneva15.npz and data_2d_humaneva15_gt.npz, as VideoPose3D's scripts write them. For detections add
--config.data.keypoints=NAME (of data_2d_humaneva15_NAME.npz), and --config.model.input_joints=coco_17 if they have COCO's
layout.
Not run here: the data need a registration.
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    """Return a config of three actions of three people, who are in both sets, in different recordings."""
    config = default.get_config()
    config.data.source = "humaneva"
    config.data.actions = ("Walking", "Jog", "Box")
    config.model.joints = "humaneva_15"
    config.protocol.subjects_train = ("Train/S1", "Train/S2", "Train/S3")
    config.protocol.subjects_test = ("Validate/S1", "Validate/S2", "Validate/S3")
    return config
