"""Measure the time to lift one frame of a live video, and compare it with lifting a whole window for each frame.

The networks see single frames or, if they are causal, 27 frames. They have 512 channels and random weights, and lift COCO
keypoints and their mirror images. The causal network that ships with the package is also measured, on a person's keypoints:
alone, and with all live filters and the path of the hip.

To measure on one core: `taskset -c 0 python -m launch.benchmark streaming`.
"""

from collections.abc import Callable
from functools import partial

import jax
import numpy as np

from srnet_jax.benchmarks import views
from srnet_jax.benchmarks.timing import seconds_of
from srnet_jax.config.schema import default_config
from srnet_jax.data import detections
from srnet_jax.lifting.lifter import KeypointLifter, load
from srnet_jax.lifting.streaming import StreamingLifter
from srnet_jax.lifting.weights import Trained
from srnet_jax.models.pose_lifter import create_model
from srnet_jax.pose.filters import Settings

EVERYTHING = "shipped causal network with filters and path"
_SIZE = (1920, 1080)


def run(frames: int = 1000) -> dict[str, float]:
    """Push frames to live lifters one after another, and return percentiles of the milliseconds of a frame."""
    figures: dict[str, float] = {}
    rng = np.random.default_rng(0)
    video = (rng.uniform(200, 800, (17, 2)) + rng.normal(0, 1, (frames, 17, 2)).cumsum(0)).astype(np.float32)
    for network in ("fc", "sr"):
        for widths in ((1, 1, 1, 1), (3, 3, 3)):
            lifter = _lifter(network, widths)
            field = lifter.trained.model.receptive_field
            name = f"{network}, {field} frame{'s' * (field > 1)}"
            live = StreamingLifter(lifter, layout="coco", image_size=_SIZE)
            figures |= {f"{name}: {key}": value for key, value in _timed(live.push, video).items()}
            if field > 1:
                windows = [video[index : index + field] for index in range(100)]
                of_windows = _timed(lambda window, lifter=lifter: lifter(window, layout="coco", image_size=_SIZE), windows)
                figures[f"{name}: a whole window for each frame, median ms"] = of_windows["median ms"]
    shipped = load("causal")
    alone = StreamingLifter(shipped, layout="h36m", image_size=_SIZE)
    everything = StreamingLifter(shipped, layout="h36m", image_size=_SIZE, filters=Settings(), track_root=True)
    for name, live in (("shipped causal network", alone), (EVERYTHING, everything)):
        figures |= {f"{name}: {key}": value for key, value in _timed(live.push, _person(frames)).items()}
    return figures


def _person(frames: int) -> np.ndarray:
    """Return keypoints [T, 17, 2], pixels, of a person who stands 4 m away, with the errors of a detector."""
    poses = np.broadcast_to(views.standing_person(), (frames, 17, 3))
    seen = views.film_at(poses, azimuth=0.5, distance_m=4.0, height_m=1.5, off=0.0, direction=0.0, roll=0.0)
    errors = detections.Errors(sigma=0.004, drift=0.008, derived_joints=True)
    return detections.detected(seen, errors, np.random.default_rng(0), 30.0).inputs_2d


def _lifter(network: str, widths: tuple[int, ...]) -> KeypointLifter:
    """Return a lifter whose causal network has random weights."""
    config = default_config()
    config.model.update(network=network, filter_widths=widths, causal=True, channels=512, normalization="turned")
    model = create_model(config.model)
    inputs = np.zeros((1, model.receptive_field, 17, 2), np.float32)
    return KeypointLifter(Trained(network, config, model, model.init(jax.random.key(0), inputs), 30.0))


def _timed(lift: Callable, inputs) -> dict[str, float]:
    """Call `lift` with each input, after five calls to warm up; return percentiles of the milliseconds of a call."""
    for one in inputs[:5]:
        lift(one)
    times = [1000 * seconds_of(partial(lift, one)) for one in inputs]
    return {f"{name} ms": float(np.percentile(times, share)) for name, share in (("median", 50), ("95 %", 95), ("99 %", 99))}
