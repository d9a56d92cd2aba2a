"""Make a self-contained web page that shows the 2D keypoints and a 3D pose that can be turned.

The page needs no network access and no other file.
"""

import html
import importlib.resources
import json
import re

import numpy as np

from srnet_jax.lifting.scene import Scene, bones_3d, thinned
from srnet_jax.pose.skeleton import H36M_17

_MOST_FRAMES = 20_000  # about 20 MB


def page(scene: Scene) -> str:
    """Return the page of a scene, as HTML.

    Of a scene with more than 20,000 frames, the page has every n-th frame, and its note says so.
    """
    shown, step = thinned(scene, _MOST_FRAMES)
    bones, sides = bones_3d()
    data = {
        "fps": shown.fps,
        "step": shown.every,
        "times": None if shown.times is None else np.round(shown.times, 4).tolist(),
        "first": shown.first_frame,
        "size": list(shown.image_size),
        "bones2d": [[*bone, side] for bone, side in zip(shown.bones_2d, shown.sides_2d, strict=True)],
        "bones3d": [[*bone, side] for bone, side in zip(bones, sides, strict=True)],
        "names2d": list(shown.names_2d),
        "joints": list(H36M_17.joints),
        "keypoints": _listed(np.round(shown.keypoints_2d.astype(np.float64), 1)),
        "poses": [
            None if np.isnan(pose).any() else np.round(pose * 1000.0).astype(int).ravel().tolist() for pose in shown.poses
        ],
        "estimated": [np.flatnonzero(joints).tolist() for joints in shown.estimated],
    }
    note = "Camera frame: x right, y down, z away from the camera; relative to the hip."
    note += " Dashed bones end in joints that were not seen and are estimated." if shown.estimated.any() else ""
    note += f" The page shows one in {step} frames of the video." if step > 1 else ""
    text = importlib.resources.files("srnet_jax.lifting").joinpath("webpage.html").read_text(encoding="utf-8")
    parts = {
        "__STYLE__": _static("viewer.css"),
        "__VIEWER__": "\n".join(map(_script, ("stage.js", "viewer.js"))),
        "__TITLE__": html.escape(scene.title),
        "__NOTE__": html.escape(note),
        "__DATA__": json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),  # so that no name can end the script
    }
    return re.sub(
        "|".join(parts), lambda found: parts[found[0]], text
    )  # in one pass, because a title may contain a placeholder


def _static(name: str) -> str:
    """Return a file that the page shares with the page that lifts in the browser."""
    return importlib.resources.files("srnet_jax.lifting.browser").joinpath("static", name).read_text(encoding="utf-8")


def _script(name: str) -> str:
    """Return a module without its lines that import or export, for a page that holds all modules."""
    return re.sub(r"^import .*\n|^export ", "", _static(name), flags=re.MULTILINE)


def _listed(points: np.ndarray) -> list[list[float | None]]:
    """Return points [T, K, 2] as one list for each frame, with None for NaN."""
    return [[None if np.isnan(value) else value for value in row] for row in points.reshape(len(points), -1).tolist()]
