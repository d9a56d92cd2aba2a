"""What the tests of the browser's lifting share: a linear network in both languages, and people to lift."""

import dataclasses

import numpy as np

from configs import default
from srnet_jax.keypoints.tracks import Track
from srnet_jax.lifting.browser import lifting_tables, reading_tables
from srnet_jax.lifting.lifter import KeypointLifter
from srnet_jax.lifting.weights import Trained
from srnet_jax.pose.expected_errors import Calibration
from tests.keypoints.builders import walker

TABLES = reading_tables.tables() | lifting_tables.tables()
LAYOUT = "h36m"
# JavaScript's side of `Linear`: `network(facts, weights)`.
NETWORK = """
  const network = (facts, weights) => ({
    facts,
    run: async (inputs, batch, frames) => {
      const steps = frames - facts.receptive_field + 1;
      const made = new Float32Array(batch * steps * 51);
      for (let row = 0; row < batch; row += 1) {
        for (let step = 0; step < steps; step += 1) {
          for (let tap = 0; tap < facts.receptive_field; tap += 1) {
            for (let i = 0; i < 34; i += 1) {
              const value = inputs[(row * frames + step + tap) * 34 + i];
              for (let o = 0; o < 51; o += 1) made[(row * steps + step) * 51 + o] += value * weights[(tap * 34 + i) * 51 + o];
            }
          }
        }
      }
      return made;
    },
  });
"""

# Lifts the tracks of a script's inputs to `people`; `lines` are the warnings.
LIFT = (
    NETWORK
    + """
  const { complete } = await load('complete.js');
  const { lift } = await load('lift.js');
  const lines = [];
  const people = await lift(inputs.tracks.map((track) => complete(track, inputs.tables)), inputs.tracks,
    network(inputs.facts, inputs.weights), inputs.tables, { ...inputs.options, warn: (line) => lines.push(line) });
"""
)


@dataclasses.dataclass(frozen=True)
class Linear:
    """A network without nonlinearities, with the interface of `PoseLifter`."""

    receptive_field: int
    causal: bool
    length_dependent: bool = False
    input_shape = (17, 2)

    def apply(self, variables, inputs_2d):
        batch, frames = inputs_2d.shape[:2]
        steps = frames - self.receptive_field + 1
        flat = inputs_2d.reshape(batch, frames, 34)
        taps = variables["taps"]
        made = sum(flat[:, tap : tap + steps] @ taps[tap] for tap in range(self.receptive_field))
        return made.reshape(batch, steps, 17, 3)


def linear(field=1, causal=False, normalization="turned", fps=30.0):
    """Return a linear network that gives poses of about a person's size."""
    rng = np.random.default_rng(field)
    config = default.get_config()
    config.model.normalization, config.model.causal = normalization, causal
    own = np.zeros((34, 51))  # x and y as in the image
    own[np.arange(34), np.arange(51).reshape(17, 3)[:, :2].ravel()] = 0.45
    taps = (own + rng.normal(0, 0.03, (field, 34, 51))) / field
    calibration = Calibration(*rng.uniform(0.05, 0.5, (5, 17)))
    variables = {"taps": taps.astype(np.float32)}
    return KeypointLifter(Trained("linear", config, Linear(field, causal), variables, fps, calibration=calibration))


def given(network: KeypointLifter, frames: int):
    """Return the inputs of a script with NETWORK: tables, facts and weights."""
    return {
        "tables": TABLES,
        "facts": lifting_tables.facts(network.trained, frames),
        "weights": network.trained.variables["taps"],
    }


def track(name="walk", frames=90, fps=30.0, seed=0, whole=False, **fields):
    """Return a person who walks, with joints and whole frames that are missing unless `whole`."""
    rng = np.random.default_rng(seed)
    values = walker(LAYOUT, frames=frames)
    values[..., :2] += rng.normal(0, 2, values[..., :2].shape)
    values[..., 2] = rng.uniform(0.3, 1, values.shape[:2])
    if not whole:
        values[10:14, 3] = values[20:30, 12] = np.nan
    if frames > 80 and not whole:
        values[30:33] = values[36:80] = np.nan
    keypoints, sure = values[..., :2].astype(np.float32), np.nan_to_num(values[..., 2]).astype(np.float32)
    detected = np.isfinite(keypoints).all(-1).any(-1)
    return Track(name, keypoints, sure, 5, LAYOUT, (1024, 768), fps, detected, **fields)


def as_json(made: Track):
    """Return a track as JavaScript has it."""
    return {
        "name": made.name,
        "clip": made.clip,
        "frames": made.keypoints.shape[0],
        "joints": made.keypoints.shape[1],
        "keypoints": made.keypoints,
        "confidences": made.confidences,
        "layout": made.layout,
        "fps": made.fps,
        "imageSize": made.image_size,
        "firstFrame": made.first_frame,
        "every": made.every,
        "times": made.times,
        "detected": made.detected.astype(np.uint8),
    }
