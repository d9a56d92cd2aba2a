"""Guess the layout of keypoints by how much they look like a person (`pose.prior`), and warn about wrong layouts."""

import dataclasses
import warnings

import numpy as np

from srnet_jax.errors import UserError
from srnet_jax.keypoints.tracks import Track
from srnet_jax.pose import layouts, prior
from srnet_jax.pose.complete import complete

FRAMES, TRACKS = 100, 5  # how many are examined
CLEARLY = 0.5  # the best layout's strangeness must be below this fraction of the next one's
STRANGE = 6.0  # strangeness of an implausible pose; a usual pose has about 1, an acrobat's 10
MOSTLY = 0.6  # of the frames
NOT_GUESSED = ("posetrack",)  # differs from coco only in the face


def strangeness(track: Track, layout: str) -> float:
    """Measure how unlike a person a track looks if it is in a layout: the median of `prior.strangeness` over frames."""
    step = max(len(track.keypoints) // FRAMES, 1)
    found = complete(track.keypoints[::step], track.confidences[::step], layout, None)
    return float(np.median(prior.strangeness(found.points[found.lifted]))) if found.lifted.any() else np.inf


def guess(track: Track, path: str) -> str:
    """Guess the layout of a track whose file does not name it.

    Args:
      track: the track.
      path: of the file, for messages.

    Returns:
      A name of `layouts.LAYOUTS`.

    Raises:
      UserError: if no layout has this number of joints, or several fit equally well.
    """
    joints = track.keypoints.shape[1]
    fitting = [one.name for one in layouts.LAYOUTS.values() if len(one.joints) == joints]
    if not fitting:
        raise UserError(f"--layout: found {joints} joints in {path}, expected the number of a layout: {_listed()}")
    if len(fitting) == 1:
        return fitting[0]
    scores = sorted((strangeness(track, name), name) for name in fitting if name not in NOT_GUESSED)
    if not (scores[0][0] < STRANGE and scores[0][0] < CLEARLY * scores[1][0]):
        raise UserError(f"--layout: not set and not in {path}, expected {' or '.join(fitting)} for {joints} joints")
    return scores[0][1]


def with_body_25b(tracks: list[Track]) -> list[Track]:
    """Change the layout of a file's tracks from body_25 to body_25b if most of them clearly fit the latter."""
    candidates = [track for track in tracks if track.layout == "body_25"]
    examined = sorted(candidates, key=lambda track: -int(track.detected.sum()))[:TRACKS]
    votes = []
    for track in examined:
        usual, other = strangeness(track, "body_25"), strangeness(track, "body_25b")
        votes.append(other < STRANGE and other < CLEARLY * usual)
    if not votes or 2 * sum(votes) <= len(votes):
        return tracks
    return [dataclasses.replace(track, layout="body_25b") if track.layout == "body_25" else track for track in tracks]


def warn_if_implausible(track: Track) -> None:
    """Warn if a track with a known layout looks lying, upside down, or like another layout of as many joints."""
    assert track.layout is not None
    if is_lying_down(track):
        warnings.warn(
            f"{track.name}: found lying people in most frames; is the video rotated (--rotate), or y before x?", stacklevel=2
        )
        return
    own = strangeness(track, track.layout)
    if own < STRANGE:
        return
    upside_down = dataclasses.replace(track, keypoints=track.keypoints * np.array([1, -1], np.float32))
    if strangeness(upside_down, track.layout) < CLEARLY * own:
        warnings.warn(f"{track.name}: found people upside down, expected y to increase from the top of the image", stacklevel=2)
        return
    others = [one.name for one in layouts.LAYOUTS.values() if len(one.joints) == track.keypoints.shape[1]]
    scores = sorted((strangeness(track, name), name) for name in others if name != track.layout)
    if scores and scores[0][0] < CLEARLY * own:
        hint = f"; they fit layout {scores[0][1]} (--layout)"
    else:
        hint = "; is the layout right (--layout), and are these a person's joints?"
    warnings.warn(f"{track.name}: joint distances do not fit a person in layout {track.layout}{hint}", stacklevel=2)


def is_lying_down(track: Track) -> bool:
    """Return whether a person's trunk is more horizontal than vertical in most of the frames that show it."""
    assert track.layout is not None
    points, _ = layouts.derived(track.keypoints, track.confidences, track.layout)
    names = layouts.H36M.joints
    trunk = np.abs(points[:, names.index("thorax")] - points[:, names.index("pelvis")])
    known = np.isfinite(trunk).all(-1)
    return bool(known.any() and (trunk[known, 0] > trunk[known, 1]).mean() > MOSTLY)


def _listed() -> str:
    return ", ".join(f"{one.name} ({len(one.joints)})" for one in layouts.LAYOUTS.values())
