"""Warn about data in VideoPose3D's form that load but look wrong."""

import dataclasses
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from srnet_jax.data.dataset import Sequence
from srnet_jax.data.h36m import own_cameras
from srnet_jax.io.text import listed
from srnet_jax.pose.skeleton import Skeleton

_LONGER, _FRAMES = 1.5, 30  # a video that exceeds its motion by both has another frame rate, or another beginning

_Recordings = Mapping[Any, Mapping[tuple[str, str], Any]]  # {subject: {(action, trial): value}}


def warn_of_views(sequences: list[Sequence], keypoints: Skeleton, joints: Skeleton, files: tuple[Path, Path]) -> bool:
    """Warn of subjects whose keypoints are far from the joints that the published cameras see, in their first recording.

    Keypoints whose left and right are swapped are not far. Returns whether there was a warning.
    """
    mirrored = list(keypoints.mirrored)
    far = {}
    for subject in dict.fromkeys(s.subject for s in sequences if np.isfinite(s.camera.focal).all()):
        own = [s for s in sequences if s.subject == subject]
        own = [s for s in own if (s.action, s.trial) == (own[0].action, own[0].trial)]
        both = [(s, dataclasses.replace(s, inputs_2d=s.inputs_2d[:, mirrored])) for s in own]
        apart = max(min(own_cameras.distance(view, keypoints, joints) for view in pair) for pair in both)
        if apart > own_cameras.FARTHEST:
            far[subject] = apart
    if far:
        subject, apart = next(iter(far.items()))
        names = ", ".join(dict.fromkeys(s.camera.name for s in sequences if s.subject == subject))
        warnings.warn(
            f"{files[0]}: keypoints of {listed(far)} are {apart:.2f} times the person's size away from the joints of "
            f"{files[1].name} (first recording of {subject}), expected less than {own_cameras.FARTHEST:g}: arrays in the order "
            f"of the cameras, {names}, and joints in the world frame, from which the root is not subtracted",
            stacklevel=3,
        )
    return bool(far)


def warn_of_recordings(videos: _Recordings, motions: _Recordings, files: tuple[Path, Path]) -> None:
    """Warn of motions without keypoints, which are left out, and of videos that are much longer than their motion.

    Args:
      videos: the keypoints that were loaded; each value is one array [T', ...], or a list of them.
      motions: the motions; each value of a video is an array [T, ...].
      files: the files of the keypoints and the motions.
    """
    unused = [_name(subject, name) for subject, own in motions.items() for name in own if name not in videos.get(subject, {})]
    if unused:
        warnings.warn(
            f"{files[0]}: has no keypoints of {listed(unused[:3])}{f' and {len(unused) - 3} more' * (len(unused) > 3)}, of "
            f"which {files[1].name} has motions: left out",
            stacklevel=3,
        )
    longer = {}
    for subject, own in videos.items():
        for name, views in own.items():
            frames = len(views) if isinstance(views, np.ndarray) and views.ndim == 3 else max(map(len, views))
            motion = len(motions[subject][name])
            if frames > _LONGER * motion and frames > motion + _FRAMES:
                longer[_name(subject, name)] = frames, motion
    if longer:
        first, (frames, motion) = next(iter(longer.items()))
        warnings.warn(
            f"{files[0]}: {len(longer)} recordings have many more frames of keypoints than of motion (first {first}: {frames} "
            f"and {motion}), expected one frame rate and beginning for both: the motions are paired with the first frames",
            stacklevel=3,
        )


def warn_of_unseen(sequences: list[Sequence], file: Path) -> None:
    """Warn of keypoints at exactly (0, 0), where detectors put those that they did not see."""
    unseen = {s.name: (s.inputs_2d[..., :2] == 0).all(-1).any(-1) for s in sequences}
    found = {name: frames for name, frames in unseen.items() if frames.any()}
    if found:
        first, frames = next(iter(found.items()))
        warnings.warn(
            f"{file}: found keypoints at exactly (0, 0) in {sum(int(one.sum()) for one in found.values()):,} frames (first "
            f"{first}, frame {int(frames.argmax())}), expected their places: a network would learn from them as they are",
            stacklevel=3,
        )


def _name(subject: Any, recording: tuple[str, str]) -> str:
    return f"{subject}/{' '.join(recording).rstrip()}"
