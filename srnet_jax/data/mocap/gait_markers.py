"""Compute joint centres from the skin markers of Vicon's Plug-in Gait and of the databases of CMU and HDM05.

- Hips: regression on the width and depth of the pelvis, from the markers on both ASIS and both PSIS, or the sacrum
  (Harrington).
- Knees and ankles: midway between lateral and medial marker, if there is a medial one. Otherwise half a usual joint width
  inwards from the lateral marker, at right angles to the bone, in the plane of the wand of thigh or shank; without a wand, in
  the plane of the pelvis (Davis).
- Shoulders: below the acromion, along the trunk, by 17 % of the distance between both acromia (Rab).
- Elbows: the lateral marker, which is about 4 cm from the centre. Wrists: midway between the two markers.
- Thorax: midway between C7 and the clavicles, at the base of the neck. Head: the mean of its four markers.

Centres that a file already has, such as LHJC, are kept. The databases name the ASIS and PSIS front and back of the waist, and
the shank's wand shin (LFWT, LBWT, LSHN).

Source: M. E. Harrington et al., "Prediction of the hip joint centre in adults, children, and patients with cerebral palsy
based on magnetic resonance imaging", J. Biomechanics 40 (2007); R. B. Davis et al., "A gait analysis data collection and
reduction technique", Human Movement Science 10 (1991); G. Rab et al., "A method for determination of upper extremity
kinematics", Gait & Posture 15 (2002); the markers' names: Vicon's Plug-in Gait Reference Guide, CMU's "Marker Placement Guide".
"""

import dataclasses
import re

import numpy as np

from srnet_jax.data.mocap.bvh import Motion
from srnet_jax.data.mocap.skeleton_maps import UNITS, directions, median

_PELVIS = ("LASI", "RASI")
_OTHER_NAMES = {"FWT": "ASI", "BWT": "PSI", "SHN": "TIB"}  # names after the side, in the databases: in Plug-in Gait
_PELVIS_WIDTH_M = 0.24  # usual distance of the ASIS, from which the unit is found: the regression needs millimetres
_HALF_WIDTH_M = {"KNE": 0.052, "ANK": 0.037}  # of usual knees and ankles
_MARKER_M = 0.007  # radius of a marker
_BELOW_ACROMION = 0.17  # of the distance between both acromia

_FOLD = re.compile(r"[\s_.\-]+")
_LEFT_PELVIS = re.compile(r"(.*)L[\s_.\-]*(?:ASI|FWT)", re.IGNORECASE | re.DOTALL)  # the group is the prefix

_Points = dict[str, np.ndarray]  # {marker: [T, 3]}


def folded(name: str) -> str:
    """Normalise a joint's name for comparisons: remove case, spaces and `_ . -`, which differ between programs."""
    return _FOLD.sub("", name).casefold()


def with_centres(motion: Motion) -> Motion:
    """Append the joint centres that can be computed from a motion's markers, as further joints.

    Each person's markers have their own prefix. A motion without the markers of a pelvis is returned as it is.
    """
    pelvises = [found for found in map(_LEFT_PELVIS.fullmatch, motion.joints) if found]
    prefixes = {folded(found[1]): found[1] for found in reversed(pelvises)}  # the first of equal prefixes
    made = {prefix + name: place for fold, prefix in prefixes.items() for name, place in _made(motion, fold).items()}
    if not made:
        return motion
    return dataclasses.replace(
        motion,
        joints=motion.joints + tuple(made),
        parents=motion.parents + (-1,) * len(made),
        positions=np.concatenate([motion.positions, np.stack(list(made.values()), axis=1)], axis=1),
    )


def _made(motion: Motion, prefix: str) -> _Points:
    """Return the centres that the markers with a folded prefix give and that the motion lacks."""
    markers = {
        _standard(folded(name).removeprefix(prefix).upper()): motion.positions[:, index]
        for index, name in reversed(list(enumerate(motion.joints)))
        if folded(name).startswith(prefix)
    }
    if not markers.keys() >= set(_PELVIS):
        return {}
    return {name: place for name, place in _centres(markers).items() if name.upper() not in markers}


def _standard(name: str) -> str:
    return name[:1] + _OTHER_NAMES.get(name[1:], name[1:])


def _centres(markers: _Points) -> _Points:
    """Return the centres, such as LHJC, whose markers are there."""
    middle = {
        "ThoraxCentre": _mean(markers, "C7", "CLAV"),
        "HeadCentre": _mean(markers, "LFHD", "RFHD", "LBHD", "RBHD"),
        "Sacrum": _mean(markers, "LPSI", "RPSI") if "LPSI" in markers else markers.get("SACR"),
        **{f"{side}WJC": _mean(markers, f"{side}WRA", f"{side}WRB") for side in "LR"},
        **{f"{side}EJC": markers.get(f"{side}ELB") for side in "LR"},
    }
    found = {name: place for name, place in middle.items() if place is not None}
    if "Sacrum" in found:
        sacrum = found.pop("Sacrum")
        found |= _hips_and_legs(markers, sacrum)
        found |= _shoulders(markers, found.get("ThoraxCentre"), sacrum)
    return found


def _mean(markers: _Points, *names: str) -> np.ndarray | None:
    return np.mean([markers[name] for name in names], axis=0) if all(name in markers for name in names) else None


def _hips_and_legs(markers: _Points, sacrum: np.ndarray) -> _Points:
    left, right = (markers[name] for name in _PELVIS)
    front = (left + right) / 2
    width, depth = (float(median(np.linalg.norm(way, axis=-1))) for way in (right - left, front - sacrum))
    unit_m = min(UNITS.values(), key=lambda unit: abs(np.log(max(width, 1e-30) * unit / _PELVIS_WIDTH_M)))
    x = directions(right - left)
    forward = front - sacrum
    y = directions(forward - (forward * x).sum(-1, keepdims=True) * x)
    z = np.cross(x, y)  # up
    found: _Points = {}
    for side, sign in (("L", -1), ("R", 1)):
        aside, ahead = 0.33 * width + 0.0073 / unit_m, -0.24 * depth - 0.0099 / unit_m
        above = front + sign * aside * x + ahead * y - (0.30 * width + 0.0109 / unit_m) * z
        found[f"{side}HJC"] = above
        for marker, medial, wand, centre in (("KNE", "KNM", "THI", "KJC"), ("ANK", "MED", "TIB", "AJC")):
            if side + marker not in markers:
                break
            lateral = markers[side + marker]
            if side + medial in markers:
                above = (lateral + markers[side + medial]) / 2
            else:
                outwards = markers[side + wand] - above if side + wand in markers else sign * x
                above = _inwards(above, lateral, outwards, (_HALF_WIDTH_M[marker] + _MARKER_M) / unit_m)
            found[side + centre] = above
    return found


def _inwards(start: np.ndarray, lateral: np.ndarray, outwards: np.ndarray, distance: float) -> np.ndarray:
    """Return the joint [T, 3] at a distance from its lateral marker, so that the bone from `start` is at right angles to it.

    Args:
      start: [T, 3] the joint above.
      lateral: [T, 3] the lateral marker.
      outwards: [T, 3] a vector in the plane of bone and marker that points outwards.
      distance: from the marker to the joint, in the file's unit.
    """
    bone = lateral - start
    length = np.maximum(np.linalg.norm(bone, axis=-1, keepdims=True), 1e-9)
    along = bone / length
    aside = directions(outwards - (outwards * along).sum(-1, keepdims=True) * along)
    leg = np.sqrt(np.maximum(length**2 - distance**2, 0))
    return start + along * leg**2 / length - aside * distance * leg / length


def _shoulders(markers: _Points, thorax: np.ndarray | None, sacrum: np.ndarray) -> _Points:
    if thorax is None or "LSHO" not in markers or "RSHO" not in markers:
        return {}
    left, right = markers["LSHO"], markers["RSHO"]
    down = directions(sacrum - thorax) * np.linalg.norm(right - left, axis=-1, keepdims=True) * _BELOW_ACROMION
    return {"LSJC": left + down, "RSJC": right + down}
