"""Lift 2D human keypoints to 3D poses with split-and-recombine networks, in JAX.

    import srnet_jax

    lifter = srnet_jax.load("video")
    result = lifter.lift_file("keypoints.json")  # a detector's file: every person in it
    result.save("out.bvh")  # or .npz, .trc, .csv, .c3d, .html, .gif, .mp4, .png
    result.show()  # a page in the notebook or the browser

    lifter = srnet_jax.load("single")
    poses = lifter(keypoints, layout="coco", image_size=(1920, 1080))  # arrays: [T, 17, 3] metres

"The official code" in docstrings is the paper's PyTorch code, github.com/ailingzengzzz/Split-and-Recombine-Net, commit
1b6285c; "paper" and "supplement" are Zeng et al., SRNet, ECCV 2020 (arXiv 2007.09389).
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from srnet_jax.lifting.lifter import load

__all__ = ["__version__", "load"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: JAX takes a second to import, and data tools do not need it."""
    if name == "load":
        from srnet_jax.lifting.lifter import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
