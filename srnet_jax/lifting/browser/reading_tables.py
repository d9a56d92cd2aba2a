"""Collect what the browser's readers of keypoint files need from this package, so that it is stated once."""

from typing import Any

import numpy as np

from srnet_jax.pose import complete, layouts, prior


def tables() -> dict[str, Any]:
    """Return the tables that `read.js` and `complete.js` take, as values of JSON.

    Returns:
      layouts: {name: joints; `ways` to derive each of Human3.6M's 17 joints, the best first, as pairs of indices and weights of
        the layout's joints; and `own`, the index of each of the 17 joints in the layout, or None}.
      prior: the Gaussian model of poses (`pose.prior`).
      completing: limits of `pose.complete`.
    """
    return {"layouts": _layouts(), "prior": _prior(), "completing": _completing()}


def _layouts() -> dict[str, Any]:
    return {
        name: {
            "joints": list(layout.joints),
            "ways": [
                [[indices.tolist(), weights.tolist()] for indices, weights in ways] for ways in layouts.indexed_ways(name)
            ],
            "own": list(layouts.own_joints(name)),
        }
        for name, layout in layouts.LAYOUTS.items()
    }


def _prior() -> dict[str, Any]:
    mean, covariance = prior.load()
    return {
        "mean": mean.tolist(),
        "covariance": covariance.tolist(),
        "wide": prior.anywhere().tolist(),
        "whitening": prior.whitening().tolist(),
    }


def _completing() -> dict[str, float]:
    return {
        "longestGap": complete.LONGEST_GAP_S,
        "minJoints": complete.MIN_JOINTS,
        "usualFps": complete.USUAL_FPS,
        "leap": complete.LEAP,
        "back": complete.RETURN,
        "named": complete.NAMED,
    }
