"""Which layout keypoints are in, from how much they look like a person (`pose.prior`)."""

import dataclasses
import warnings

import numpy as np

from srnet_jax.errors import UserError
from srnet_jax.keypoints.tracks import Track
from srnet_jax.pose import layouts, prior
from srnet_jax.pose.complete import complete

_FRAMES, _TRACKS = 100, 5  # looked at
_CLEARLY = 0.5  # of the next best one's strangeness
_STRANGE = 6.0  # a usual pose has about 1, an acrobat's 10
_MOSTLY = 0.6  # of the frames
_NOT_GUESSED = ("posetrack",)  # like coco but for the face


def strangeness(track: Track, layout: str) -> float:
    """Return how unlike a person a track looks in a layout: the median over frames of `prior.strangeness`."""
    step = max(len(track.keypoints) // _FRAMES, 1)
    found = complete(track.keypoints[::step], track.confidences[::step], layout, None)
    return float(np.median(prior.strangeness(found.points[found.lifted]))) if found.lifted.any() else np.inf


def guess(track: Track, path: str) -> str:
    """Return the layout of a track whose file does not say it.

    Raises:
      UserError: if no layout has its number of joints, or several fit alike.
    """
    joints = track.keypoints.shape[1]
    fitting = [one.name for one in layouts.LAYOUTS.values() if len(one.joints) == joints]
    if not fitting:
        raise UserError(f"--layout: {path} has {joints} joints, expected those of a layout: {_listed()}")
    if len(fitting) == 1:
        return fitting[0]
    scores = sorted((strangeness(track, name), name) for name in fitting if name not in _NOT_GUESSED)
    if not (scores[0][0] < _STRANGE and scores[0][0] < _CLEARLY * scores[1][0]):
        raise UserError(f"--layout: not set, and {path} does not say it; its {joints} joints fit {' or '.join(fitting)}")
    return scores[0][1]


def settled(tracks: list[Track]) -> list[Track]:
    """Return a file's tracks in body_25b where they are said to be in body_25 and clearly look like the former."""
    asked = [track for track in tracks if track.layout == "body_25"]
    seen = sorted(asked, key=lambda track: -int(track.detected.sum()))[:_TRACKS]
    votes = []
    for track in seen:
        usual, other = strangeness(track, "body_25"), strangeness(track, "body_25b")
        votes.append(other < _STRANGE and other < _CLEARLY * usual)
    if not votes or 2 * sum(votes) <= len(votes):
        return tracks
    return [dataclasses.replace(track, layout="body_25b") if track.layout == "body_25" else track for track in tracks]


def warn_if_implausible(track: Track) -> None:
    """Warn if a track, whose layout is known, looks upside down or like another layout of as many joints."""
    assert track.layout is not None
    if lies(track):
        warnings.warn(
            f"{track.name}: people lie in most frames; is the video turned (--rotate), or y written before x?", stacklevel=2
        )
        return
    own = strangeness(track, track.layout)
    if own < _STRANGE:
        return
    upside_down = dataclasses.replace(track, keypoints=track.keypoints * np.array([1, -1], np.float32))
    if strangeness(upside_down, track.layout) < _CLEARLY * own:
        warnings.warn(f"{track.name}: people look upside down; is y counted from the top of the image?", stacklevel=2)
        return
    others = [one.name for one in layouts.LAYOUTS.values() if len(one.joints) == track.keypoints.shape[1]]
    scores = sorted((strangeness(track, name), name) for name in others if name != track.layout)
    if scores and scores[0][0] < _CLEARLY * own:
        hint = f"; they fit the layout {scores[0][1]} (--layout)"
    else:
        hint = "; is this the right layout (--layout), and are the points a person's?"
    warnings.warn(f"{track.name}: lengths between joints are no person's in the layout {track.layout}{hint}", stacklevel=2)


def lies(track: Track) -> bool:
    """Return whether the trunk of a person is nearer to the horizontal in most of the frames that show it."""
    assert track.layout is not None
    points, _ = layouts.derived(track.keypoints, track.confidences, track.layout)
    names = layouts.H36M.joints
    trunk = np.abs(points[:, names.index("thorax")] - points[:, names.index("pelvis")])
    known = np.isfinite(trunk).all(-1)
    return bool(known.any() and (trunk[known, 0] > trunk[known, 1]).mean() > _MOSTLY)


def _listed() -> str:
    return ", ".join(f"{one.name} ({len(one.joints)})" for one in layouts.LAYOUTS.values())
