"""Recognise the keys of JSON objects and NumPy archives in other spellings: frameNumber, Keypoints, kp_score, imageWidth."""

import collections
import functools
import re
from typing import Any

from srnet_jax.keypoints.formats import FRAME, FRAME_SPELLINGS, IMAGE, LANDMARK_KEYS, PEOPLE, POINTS, SCORES

_KNOWN = (*FRAME, *IMAGE, *PEOPLE, *POINTS, *sorted(LANDMARK_KEYS), *SCORES, "width", "height", "image_size", "fps", "frames")
_LONGEST = 40
_PREFIXES = ("image", "img", "frame", "video", "canvas")


def _plain(key: str) -> str:
    """Return the letters and digits of a key, in lower case."""
    return re.sub("[^a-z0-9]", "", key.lower())


SPELLINGS = {  # {key, as `_plain` returns it: the key that the formats know}
    **{_plain(key): key for key in reversed(_KNOWN)},
    **dict.fromkeys((name for name in FRAME_SPELLINGS if name not in set(map(_plain, FRAME))), "frame_number"),
    **dict.fromkeys(("frameids", "frameindices", "framenumbers", "frameidxs"), "frames"),
    **dict.fromkeys(("imgname", "imagefile", "imagepath", "imagefilename"), "image_name"),
    **dict.fromkeys(("kpts", "kps", "kpts2d", "pose2d", "poses2d", "lmlist", "landmarklist", "keypointlist"), "keypoints"),
    **dict.fromkeys(("keypointsxy", "kptsxy"), "keypoints"),
    "result": "results",
    **{f"{noun}{kind}": "scores" for noun in ("kp", "kpt", "kpts", "keypoint", "keypoints", "joint")
       for kind in ("score", "scores", "conf", "confs", "confidence", "confidences")},
    **dict.fromkeys(("keypointscores", "keypointsscores"), "keypoint_scores"),  # MMPose's, by which its files are known
    **{f"{prefix}{side}": side for prefix in _PREFIXES for side in ("width", "height")},
    **dict.fromkeys((*(f"{prefix}size" for prefix in _PREFIXES[1:]), "resolution"), "image_size"),
    **dict.fromkeys(("framerate", "videofps", "framespersecond"), "fps"),
}  # fmt: skip


def is_deep(key: str) -> bool:
    """Return whether a key names points in 3D: keypoints_3d, joints3D, pose_world_landmarks."""
    plain = _plain(key)[:_LONGEST]
    return plain.endswith("3d") or "worldlandmark" in plain


@functools.lru_cache(maxsize=10_000)
def spelled(key: str) -> str:
    """Return a key as the formats know it, whatever its case, its underscores or its short form: kpts, frameNumber."""
    return SPELLINGS.get(_plain(key), key) if len(key) < _LONGEST else key


def with_known_keys(item: dict[str, Any]) -> dict[str, Any]:
    """Return an object with its keys as `spelled`, unless it has several keys of the same meaning."""
    if all(spelled(key) == key for key in item):
        return item
    keys = [spelled(key) for key in item]
    counts = collections.Counter(keys)
    return {key if counts[key] == 1 else own: value for (own, value), key in zip(item.items(), keys, strict=True)}
