"""Write joint angles as a `.mot` motion, for OpenSim.

Columns have the names, the signs and the order of rotations of the coordinates of OpenSim's whole-body models, so that the file
moves such a model. Angles are in degrees; x is away from the camera, y up, z right. The path of the pelvis, `pelvis_tx`, `_ty`
and `_tz`, is that of the middle of the hips, in metres.

OpenSim cannot use a file with missing numbers. So a frame without a pose has no line, and an angle that is not known in every
remaining frame has no column. Two kinds of angles, which the `.csv` table leaves empty, are only chosen so that the bones point
in the right direction: the flexion of a limb that points to the side, and the rotation of a straight limb.
"""

import warnings
from pathlib import Path

import numpy as np

from srnet_jax.io.files import write_whole
from srnet_jax.lifting.formats.motion import Motion
from srnet_jax.pose import angles

_LEG = {"hip_flexion": ("hip_flexion", 1), "hip_adduction": ("hip_abduction", -1), "hip_rotation": ("hip_rotation", 1)}
_ARM = {"arm_flex": ("shoulder_flexion", 1), "arm_add": ("shoulder_abduction", -1), "arm_rot": ("shoulder_rotation", 1)}
_HINGES = {"knee_angle": ("knee_flexion", 1), "elbow_flex": ("elbow_flexion", 1)}
COORDINATES = {  # OpenSim's name: the name in `pose.angles`, and the sign
    **{f"{name}_{side}": (f"{own}_{side}", s) for side in "rl" for name, (own, s) in {**_LEG, **_ARM, **_HINGES}.items()},
    "lumbar_extension": ("trunk_flexion", -1),
    "lumbar_bending": ("trunk_bend_right", 1),
    "lumbar_rotation": ("trunk_twist_left", 1),
}


def write(path: Path, motion: Motion) -> None:
    """Write the joint angles of a motion, whole or not at all, with a warning that names the angles that are left out.

    Note:
      `pose.angles` rotates the pelvis about y first, so that its rotation is the heading; OpenSim rotates about z first.
    """
    rows = motion.known
    points, seconds = motion.points[rows], motion.seconds[rows]
    found = dict(
        zip(angles.NAMES, np.moveaxis(angles.joint_angles(points, level=motion.level, doubtful=True), -1, 0), strict=True)
    )
    columns: dict[str, np.ndarray] = {}
    if motion.level:
        rotation, lower, tilt = angles.yxz(
            np.swapaxes(angles.pelvis_axes(points), -1, -2)
        )  # angles of the inverse rotation: z, x, y in reverse
        columns |= {"pelvis_tilt": -tilt, "pelvis_list": -lower, "pelvis_rotation": -rotation}
    if motion.moves:
        columns |= {f"pelvis_t{axis}": points[:, 0, of] for axis, of in zip("xyz", (1, 2, 0), strict=True)}
    columns |= {name: sign * found[own] for name, (own, sign) in COORDINATES.items()}
    if left_out := [name for name, values in columns.items() if not np.isfinite(values).all()]:
        warnings.warn(f"{path}: left out angles that are not known in every frame: {', '.join(left_out)}", stacklevel=2)
    kept = {name: np.unwrap(values, period=360) for name, values in columns.items() if name not in left_out}
    head = [path.stem, "version=1", f"nRows={len(points)}", f"nColumns={len(kept) + 1}", "inDegrees=yes", "endheader"]
    lines = [*head, "\t".join(("time", *kept))]
    lines += ["\t".join(f"{value:.6f}" for value in row) for row in np.stack([seconds, *kept.values()], axis=1)]
    write_whole(path, "\n".join(lines) + "\n")
