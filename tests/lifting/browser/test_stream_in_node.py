"""Compare poses that the browser lifts live with the package's, which are those of a whole video."""

import dataclasses

import numpy as np

from srnet_jax.pose.complete import complete
from srnet_jax.pose.filters import LiveFilter, Settings
from srnet_jax.pose.frames import interpolated
from tests.lifting.browser import lifting
from tests.lifting.browser.node import needs_node, run

pytestmark = needs_node
NEAR_M = 1e-5
STREAM = """
  const { complete } = await load('complete.js');
  const { LiveLifter } = await load('stream.js');
  const { keypoints, confidences, joints, layout, dt } = inputs.track;
  const live = new LiveLifter(made, inputs.tables, inputs.options);
  const poses = [];
  for (let t = 0; t < inputs.track.frames; t += 1) {
    const frame = {
      ...inputs.track, frames: 1, keypoints: keypoints.slice(2 * t * joints, 2 * (t + 1) * joints),
      confidences: confidences.slice(t * joints, (t + 1) * joints),
    };
    poses.push(await live.push(complete(frame, inputs.tables), inputs.dt?.[t]));
  }
  return poses;
"""


def live(network, track, dt=None, **options):
    """Return the poses [T, 17, 3] that the browser lifts live."""
    script = f"{lifting.NETWORK} const made = network(inputs.facts, inputs.weights); {STREAM}"
    options = {"imageSize": track.image_size, **options}
    frames = network.trained.model.receptive_field
    given = {"track": lifting.as_json(track), "options": options, "dt": dt, **lifting.given(network, frames)}
    return np.array(run(script, **given)).reshape(-1, 17, 3)


def walk(frames=100):
    """Return a person of whom all joints are seen, except in a short gap and in a long one."""
    track = lifting.track(frames=frames, whole=True)
    for gap in (slice(20, 26), slice(40, 72)):
        track.keypoints[gap] = np.nan
        track.confidences[gap] = 0
    return track


def of_the_video(network, track):
    """Return the poses of the frames with the person before and after the long gap, each lifted as a whole."""
    poses = np.full((len(track.keypoints), 17, 3), np.nan, np.float32)
    for part in (slice(0, 40), slice(72, None)):
        rows = np.arange(len(poses))[part][track.detected[part]]
        person = complete(track.keypoints[rows], track.confidences[rows], track.layout, None)
        poses[rows] = network.lift([person], [track.image_size], [None])[0]
    return poses


def test_live_poses_are_those_of_the_video():
    network, track = lifting.linear(9, causal=True), walk()
    track.detected[:] = np.isfinite(track.keypoints).any((1, 2))
    expected = of_the_video(network, track)
    np.testing.assert_allclose(live(network, track, filters=None), expected, atol=NEAR_M)
    euro = LiveFilter(Settings(), 30)
    filtered = [euro.push(pose, sure) for pose, sure in zip(expected, track.confidences, strict=True)]
    np.testing.assert_allclose(live(network, track), filtered, atol=NEAR_M)


def test_frames_at_another_rate_are_interpolated():
    network, track = lifting.linear(9, causal=True), lifting.track(frames=40, whole=True)
    t = np.cumsum(np.r_[0, np.random.default_rng(0).uniform(0.5, 3, 24)])
    t = t[t < 39]
    smooth = interpolated(track.keypoints, t)
    steps = np.diff(t, prepend=t[0] - 1) / 30
    other = dataclasses.replace(track, keypoints=smooth, confidences=track.confidences[: len(smooth)])
    made = live(network, other, dt=steps, filters=None)
    dense = interpolated(smooth, np.interp(np.arange(t[-1] - 8, t[-1] + 1e-9), t, np.arange(len(t))))
    person = complete(dense, np.ones(dense.shape[:2]), track.layout, None)
    (expected,) = network.lift([person], [track.image_size], [None])
    np.testing.assert_allclose(made[-1], expected[-1], atol=1e-3)  # pixels there, normalised keypoints here


def test_a_network_that_needs_later_frames_is_refused():
    script = f"try {{ {lifting.NETWORK} const made = network(inputs.facts, inputs.weights); {STREAM} }}"
    script += " catch (error) { return error.message; }"
    given = {"track": lifting.as_json(walk(1)), "options": {"imageSize": [9, 9]}, **lifting.given(lifting.linear(9), 9)}
    expected = "linear: found a network that needs 4 later frames, expected a causal network or one of single frames"
    assert run(script, **given) == expected
