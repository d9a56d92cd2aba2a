"""The cameras of HumanEva-I: the three colour cameras of S1 to S3, the subjects whose motions were published.

The numbers are those of common/humaneva_dataset.py in github.com/facebookresearch/VideoPose3D. That file has no focal lengths
and no principal points, so they are NaN here. The normalisations `basic` and `centered` do not need them.
"""

import math

from srnet_jax.pose.cameras import Camera

_EXTRINSICS = {  # orientation of each subject's cameras, and translation in millimetres
    "S1": (
        ((0.424207, -0.4983646, -0.5802981, 0.4847012), (4062.227, 663.2477, 1528.397)),
        ((0.6503354, -0.7481602, -0.0919284, 0.0941766), (844.8131, -3805.2092, 1504.9929)),
        ((0.0664734, -0.0690535, 0.7416416, -0.6639132), (-797.67377, 3916.3174, 1433.6602)),
    ),
    "S2": (
        ((0.4214752, -0.4961493, -0.5838273, 0.4851187), (4112.9121, 626.4929, 1545.2988)),
        ((0.6501393, -0.7476588, -0.0954617, 0.0959808), (923.5740, -3877.9243, 1504.5518)),
        ((0.0699353, -0.0712403, 0.7421637, -0.662742), (-781.4915, 3838.8853, 1444.9929)),
    ),
    "S3": (
        ((0.424207, -0.4983646, -0.5802981, 0.4847012), (4062.2271, 663.2477, 1528.3970)),
        ((0.6503354, -0.7481602, -0.0919284, 0.0941766), (844.8131, -3805.2092, 1504.9929)),
        ((0.0664734, -0.0690535, 0.7416416, -0.6639132), (-797.6738, 3916.3174, 1433.6602)),
    ),
}
_PARTS = ("Train", "Validate", "Unlabeled/Train", "Unlabeled/Validate", "Unlabeled")  # subjects are named Train/S1 and so on


def _cameras(subject: str) -> tuple[Camera, ...]:
    return tuple(
        Camera(f"C{number}", orientation, (x / 1000, y / 1000, z / 1000), (math.nan, math.nan), (math.nan, math.nan), 640, 480)
        for number, (orientation, (x, y, z)) in enumerate(_EXTRINSICS[subject], 1)
    )


CAMERAS = {f"{part}/{subject}": _cameras(subject) for part in _PARTS for subject in _EXTRINSICS}
