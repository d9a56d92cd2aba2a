"""Compare what the browser makes of the included networks, in onnxruntime-web, with the package.

They need the folder `dist` of the npm package onnxruntime-web, in the variable SRNET_JAX_ONNXRUNTIME_WEB.
"""

import os
import warnings
from pathlib import Path

import numpy as np
import pytest

from srnet_jax.lifting import export, lift_file, sources
from srnet_jax.lifting.browser import lifting_tables
from srnet_jax.lifting.lifter import load
from srnet_jax.lifting.motion import USUAL
from srnet_jax.lifting.streaming import StreamingLifter
from srnet_jax.pose.filters import Settings
from tests.lifting.browser import lifting
from tests.lifting.browser.node import needs_node, run
from tests.lifting.browser.test_stream_in_node import STREAM

RUNTIME = os.environ.get("SRNET_JAX_ONNXRUNTIME_WEB")
pytestmark = [
    needs_node,
    pytest.mark.slow,
    pytest.mark.skipif(not RUNTIME, reason="needs SRNET_JAX_ONNXRUNTIME_WEB, the folder `dist` of onnxruntime-web"),
]
NEAR_M = 1e-4
WALK = Path(__file__).parent.parent / "walk.json"
NETWORK = """
  const ort = await import(`${inputs.runtime}/ort.wasm.min.mjs`);
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(inputs.model);
  const network = (facts) => ({
    facts,
    run: async (values, batch, frames) => {
      const inputs_2d = new ort.Tensor('float32', values, [batch, frames, 17, 2]);
      return (await session.run({ inputs_2d })).poses_3d.data;
    },
  });
"""


def model(folder, name):
    """Return a network, and the inputs of a script with NETWORK."""
    lifter = load(name)
    export.write(folder / "x.onnx", lifter.trained)
    facts = lifting_tables.facts(lifter.trained, lifter.trained.model.receptive_field)
    content = (folder / "x.onnx").read_bytes()
    return lifter, {"tables": lifting.TABLES, "runtime": RUNTIME, "model": content, "facts": facts, "weights": None}


def test_people_are_the_packages(tmp_path):
    lifter, given = model(tmp_path, "video")
    (walk,) = sources.read(sources.Request(keypoints=WALK)).tracks
    tracks = [walk, lifting.track("b", frames=150, fps=25.0)]
    script = NETWORK + lifting.LIFT.removeprefix(lifting.NETWORK) + "return people;"
    made = run(script, tracks=[lifting.as_json(track) for track in tracks], options={}, **given)
    with warnings.catch_warnings(action="ignore"):
        expected = lift_file.lift(tracks, lifter, settings=USUAL)
    for found, person in zip(made, expected, strict=True):
        np.testing.assert_allclose(found["poses"].reshape(-1, 17, 3), person.poses_3d, atol=NEAR_M)
        np.testing.assert_allclose(found["errors"].reshape(-1, 17), person.errors_m, atol=NEAR_M)
        np.testing.assert_allclose(found["root"].reshape(-1, 3), person.root, atol=NEAR_M)
        np.testing.assert_allclose(found["up"], person.up, atol=NEAR_M)
        np.testing.assert_allclose(found["ground"], person.ground, atol=NEAR_M)


def test_live_poses_are_the_packages(tmp_path):
    lifter, given = model(tmp_path, "causal")
    track = lifting.track(frames=100)
    script = f"{NETWORK} const made = network(inputs.facts); {STREAM}"
    made = run(script, track=lifting.as_json(track), options={"imageSize": track.image_size}, **given)
    live = StreamingLifter(lifter, layout=track.layout, image_size=track.image_size, filters=Settings())
    expected = [live.push(*frame) for frame in zip(track.keypoints, track.confidences, strict=True)]
    np.testing.assert_allclose(np.array(made).reshape(-1, 17, 3), expected, atol=NEAR_M)
