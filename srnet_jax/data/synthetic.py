"""Generate a data set of moving articulated bodies, of any number of frames, that needs no licence.

The generator implements the hypothesis of the paper (Sec. 1): whole poses have a long-tailed distribution, while different
poses share the configurations of single limbs. It was written from this hypothesis and the published ranges below, before
any network was trained on its data, and must not be tuned to a network's results.

*Bodies.* A subject has a stature of 1.52 to 1.88 m and eleven segment lengths: the ratios of Drillis and Contini (1966, in
Winter, Biomechanics and Motor Control of Human Movement, 4th ed., Fig. 4.1) times the stature, each varied by 4 % (standard
deviation).

*Limbs.* Each limb has a library of primitives (`LEGS`, `ARMS`, `TORSO`), which all actions share: a mean configuration of joint
angles and a sinusoidal motion around it. Each draw varies mean, amplitude, tempo and phase. A subject's style adds constant
offsets, and a slow tremor is added. Angles are softly limited to the ranges of motion (`RANGES`) of the American Academy of
Orthopaedic Surgeons (Joint Motion: Method of Measuring and Recording, 1965).

*Whole poses.* An action is a list of habits: favourite primitives of legs, torso and each arm, drawn with Zipf weights 1 /
rank. Torso, legs and each arm change their primitive independently, after 0.8 s plus an exponential time of mean 1.2 s, with a
smooth cross-fade of 0.5 s. At each change a limb breaks its habit with probability `NOVELTY`: it then draws from its whole
library, or, for legs in the walking actions, from the standing primitives `AFOOT`. So most poses are habitual, and a long tail
is rare but made of familiar limbs.

*Placement.* The person turns slowly. In the walking actions the person moves on a circle while both legs make `STEPS`. The
lowest joint touches the floor (by a smooth minimum).

*Cameras.* By default four level cameras stand around the room, about 5.2 m away, with a focal length of 1145 px and images of
1000 x 1000 px, close to those of Human3.6M but without distortion. Keypoints are exact projections.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping

import numpy as np

from srnet_jax.data.dataset import PoseDataset
from srnet_jax.data.filming import Motion, film_all
from srnet_jax.pose.cameras import Camera
from srnet_jax.pose.skeleton import H36M_17, RATIOS

FPS = 50.0
SUBJECTS = ("S1", "S5", "S6", "S7", "S8", "S9", "S11")
TRIALS = ("1", "2")
NOVELTY = 0.15

# Degrees of freedom of each limb, and their ranges of motion in degrees (AAOS 1965). Negative shoulder abduction
# is adduction across the chest. The pelvis is the root: its limits only keep the body from falling over.
RANGES = {
    "leg": {"flexion": (-30, 120), "abduction": (-30, 45), "rotation": (-45, 45), "knee": (0, 135)},
    "arm": {"flexion": (-60, 180), "abduction": (-45, 180), "rotation": (-90, 70), "elbow": (0, 150)},
    "torso": {
        "pelvis_pitch": (-15, 60),
        "pelvis_roll": (-10, 10),
        "spine_flexion": (-25, 80),
        "spine_side": (-35, 35),
        "spine_twist": (-45, 45),
        "neck_flexion": (-45, 45),
        "neck_side": (-45, 45),
    },
}


@dataclasses.dataclass(frozen=True)
class Primitive:
    """A sinusoidal motion of one limb.

    Attributes:
      mean: mean joint angles, degrees, in the order of RANGES.
      amplitude: amplitudes around them, degrees.
      tempo: frequency, Hz.
      lag: phase, in cycles, by which the last angle (knee, elbow) follows the others.
    """

    mean: tuple[float, ...]
    amplitude: tuple[float, ...]
    tempo: float = 0.3
    lag: float = 0.0


# Libraries of primitives, most common first: a limb that breaks its habit draws the k-th with weight 1 / k.
LEGS = {
    "stand": Primitive((2, 5, 0, 5), (2, 1, 2, 3)),
    "gait": Primitive((10, 3, 0, 30), (25, 2, 3, 27), 1.0, 0.2),
    "sit": Primitive((85, 10, 0, 85), (4, 4, 4, 6), 0.2),
    "shift": Primitive((6, 9, 5, 14), (5, 4, 5, 8), 0.4),
    "sit_extended": Primitive((80, 8, 0, 25), (5, 4, 5, 10), 0.2),
    "sit_crossed": Primitive((95, -12, -10, 75), (5, 4, 5, 10), 0.2),
    "side_step": Primitive((5, 22, 0, 12), (4, 12, 4, 8), 0.6),
    "lunge_front": Primitive((60, 5, 0, 65), (12, 4, 4, 14), 0.4),
    "lunge_back": Primitive((-12, 5, 0, 40), (8, 3, 4, 12), 0.4),
    "march": Primitive((45, 5, 0, 55), (38, 4, 5, 40), 0.9, 0.05),
    "squat": Primitive((100, 20, 0, 115), (12, 6, 5, 12), 0.4),
    "kneel": Primitive((8, 6, 0, 105), (8, 4, 4, 8), 0.2),
    "sit_tucked": Primitive((100, 12, 5, 120), (6, 5, 5, 8), 0.2),
    "kick": Primitive((35, 5, 0, 40), (40, 6, 6, 35), 0.9, 0.15),
}
STEPS = ("gait", "march")  # primitives that carry the body forward
AFOOT = ("stand", "gait", "shift", "side_step", "lunge_front", "lunge_back", "march", "kick")  # of people on their feet
ARMS = {
    "hang": Primitive((2, 8, 5, 15), (4, 3, 5, 6)),
    "gesture": Primitive((35, 20, 15, 80), (18, 10, 20, 25), 0.8, 0.1),
    "swing": Primitive((2, 8, 10, 25), (25, 3, 4, 14), 1.0, 0.1),
    "reach_front": Primitive((65, 10, 5, 40), (16, 8, 8, 20), 0.5),
    "hold": Primitive((15, 12, 15, 80), (8, 5, 8, 10), 0.4),
    "to_mouth": Primitive((45, 15, 40, 128), (10, 6, 8, 14), 0.5),
    "to_ear": Primitive((50, 45, 20, 138), (6, 6, 6, 5), 0.2),
    "fold": Primitive((35, -5, 55, 95), (5, 4, 6, 8), 0.2),
    "on_hip": Primitive((-10, 45, 45, 95), (5, 5, 6, 6), 0.2),
    "point": Primitive((85, 12, 0, 10), (14, 14, 8, 8), 0.5),
    "reach_down": Primitive((30, 6, 0, 15), (14, 6, 6, 10), 0.5),
    "to_eyes": Primitive((72, 5, 35, 110), (7, 5, 6, 8), 0.3),
    "reach_side": Primitive((10, 80, -10, 25), (10, 16, 10, 12), 0.5),
    "wave": Primitive((20, 95, -65, 80), (8, 10, 15, 28), 1.2),
    "behind": Primitive((-35, 12, 55, 50), (6, 5, 8, 12), 0.3),
    "raise": Primitive((150, 20, 0, 20), (16, 10, 10, 14), 0.5),
    "overhead": Primitive((140, 40, 20, 95), (10, 8, 8, 12), 0.3),
}
TORSO = {
    "upright": Primitive((2, 0, 2, 0, 0, 5, 0), (1, 1, 3, 2, 3, 4, 3)),
    "lean": Primitive((12, 0, 15, 0, 0, 8, 0), (4, 2, 6, 3, 4, 5, 3)),
    "look_down": Primitive((4, 0, 10, 0, 0, 32, 0), (2, 1, 4, 2, 3, 6, 4)),
    "rock": Primitive((3, 0, 3, 0, 0, 5, 0), (2, 4, 3, 8, 12, 4, 5), 0.9),
    "slouch": Primitive((-8, 0, 35, 0, 0, 15, 0), (3, 2, 6, 3, 4, 8, 4), 0.2),
    "twist_left": Primitive((3, 0, 5, 3, 30, 5, 5), (2, 2, 4, 3, 8, 5, 5)),
    "twist_right": Primitive((3, 0, 5, -3, -30, 5, -5), (2, 2, 4, 3, 8, 5, 5)),
    "nod": Primitive((3, 0, 5, 0, 0, 5, 0), (2, 1, 4, 2, 4, 22, 4), 0.8),
    "side_left": Primitive((3, 3, 5, -22, 0, 5, -10), (2, 2, 4, 6, 5, 5, 6)),
    "side_right": Primitive((3, -3, 5, 22, 0, 5, 10), (2, 2, 4, 6, 5, 5, 6)),
    "look_up": Primitive((0, 0, -6, 0, 0, -28, 0), (2, 1, 4, 2, 4, 6, 5)),
    "bow": Primitive((38, 0, 48, 0, 0, 10, 0), (10, 2, 12, 4, 5, 10, 4), 0.3),
    "arch": Primitive((-8, 0, -16, 0, 0, -15, 0), (3, 2, 4, 3, 5, 8, 4), 0.3),
}


@dataclasses.dataclass(frozen=True)
class Habits:
    """Usual primitives of an action.

    Attributes:
      legs: names of primitives, separated by spaces, most usual first.
      torso: the same.
      left_arm: the same.
      right_arm: the same.
      walks: whether people walk in this action.
    """

    legs: str
    torso: str
    left_arm: str
    right_arm: str
    walks: bool = False


ACTIONS: dict[str, Habits] = {
    "Directions": Habits(
        "stand shift side_step", "upright twist_left twist_right", "hang point gesture", "point gesture reach_side"
    ),
    "Discussion": Habits("stand shift", "upright nod lean", "gesture hang fold", "gesture hang fold"),
    "Eating": Habits("sit sit_crossed", "lean look_down slouch", "hold to_mouth", "to_mouth reach_front hold"),
    "Greeting": Habits("stand lunge_front shift", "upright bow lean", "hang wave raise", "wave reach_front raise"),
    "Phoning": Habits("stand sit shift", "upright side_right look_down", "hang gesture fold", "to_ear hold"),
    "Photo": Habits("stand lunge_front squat", "upright lean look_up", "to_eyes hold", "to_eyes hold"),
    "Posing": Habits(
        "shift side_step lunge_front",
        "arch twist_left side_left side_right",
        "on_hip raise overhead",
        "on_hip reach_side overhead",
    ),
    "Purchases": Habits("stand squat gait", "lean bow upright", "reach_front hold reach_down", "reach_front hold"),
    "Sitting": Habits("sit sit_crossed sit_extended", "slouch upright lean", "hold fold gesture", "hold fold gesture"),
    "SittingDown": Habits(
        "sit_tucked sit_extended squat kneel", "lean slouch bow", "reach_down behind hold", "reach_down behind hold"
    ),
    "Smoking": Habits("stand sit sit_crossed", "upright slouch look_up", "hang fold on_hip", "to_mouth hold"),
    "Waiting": Habits("shift stand sit", "upright look_down rock", "fold hang on_hip", "fold hang to_eyes"),
    "WalkDog": Habits("gait stand squat", "lean rock bow", "swing reach_down", "hold reach_down", walks=True),
    "Walking": Habits("gait march", "rock upright", "swing hang", "swing hang", walks=True),
    "WalkTogether": Habits("gait shift", "rock twist_left twist_right", "swing gesture", "swing gesture", walks=True),
}

_FADE_S = 0.25  # half the duration of a cross-fade
_STYLE_DEG, _VARIATION_DEG, _TREMOR_DEG = 3.0, 6.0, 1.5


def load(*, num_frames: int, cameras: tuple[Camera, ...], seed: int = 0) -> PoseDataset:
    """Generate the data set.

    Args:
      num_frames: frames over all cameras, rounded up to a whole number for each camera and to at least one for each
        recording. They are spread evenly over 7 subjects x 15 actions x 2 trials: more frames mean longer recordings.
      cameras: the cameras that see every recording.
      seed: of the bodies and the motions. The same arguments return the same bytes.
    """
    motions = (Motion(*one) for one in recordings(-(-num_frames // len(cameras)), seed))
    sequences, views = film_all(motions, cameras)
    return PoseDataset("synthetic", H36M_17, FPS, sequences, views=views)


def recordings(num_frames: int, seed: int) -> Iterator[tuple[str, str, str, np.ndarray]]:
    """Yield subject, action, trial and motion of every recording.

    Args:
      num_frames: of all recordings together; each has at least one.
      seed: of the bodies and the motions.

    Yields:
      The three names, and [T, 17, 3] joints, world frame (z up), metres.
    """
    names = [(s, a, t) for s in SUBJECTS for a in ACTIONS for t in TRIALS]
    bounds = np.linspace(0, max(num_frames, len(names)), len(names) + 1).round().astype(int)
    bodies = _bodies(seed)
    for (subject, action, trial), frames in zip(names, np.diff(bounds), strict=True):
        which = (SUBJECTS.index(subject), list(ACTIONS).index(action))
        rng = np.random.default_rng([seed, *which, TRIALS.index(trial)])
        style = np.random.default_rng([seed, which[0], 99])
        poses = motion(bodies[subject], ACTIONS[action], num_frames=int(frames), rng=rng, style_rng=style)
        yield subject, action, trial, poses


def _bodies(seed: int) -> dict[str, dict[str, float]]:
    """Return each subject's segment lengths in metres."""
    rng = np.random.default_rng([seed, 1966])
    statures = rng.permutation(np.linspace(1.52, 1.88, len(SUBJECTS)))
    return {
        subject: {name: stature * ratio * (1 + 0.04 * rng.standard_normal()) for name, ratio in RATIOS.items()}
        for subject, stature in zip(SUBJECTS, statures, strict=True)
    }


def motion(
    body: Mapping[str, float],
    habits: Habits,
    *,
    num_frames: int,
    rng: np.random.Generator,
    style_rng: np.random.Generator,
) -> np.ndarray:
    """Generate one recording.

    Args:
      body: the subject's segment lengths, metres.
      habits: of the action.
      num_frames: T.
      rng: of the motion.
      style_rng: of the subject's style.

    Returns:
      [T, 17, 3] joints, world frame (z up), metres.
    """
    time = np.arange(num_frames) / FPS
    right, left, stepping = _legs(habits, time, rng)
    limbs = {
        "right_leg": right,
        "left_leg": left,
        "torso": _limb(TORSO, habits.torso, time, rng),
        "left_arm": _limb(ARMS, habits.left_arm, time, rng),
        "right_arm": _limb(ARMS, habits.right_arm, time, rng),
    }
    for name, angles in limbs.items():
        angles += _STYLE_DEG * style_rng.standard_normal(angles.shape[1]) + _tremor(angles.shape, time, rng)
        if name.endswith("leg"):
            angles[:, 0] += limbs["torso"][:, 0]  # feet stay below the body when the pelvis pitches
        limbs[name] = _within_range(angles, RANGES[name.split("_")[-1]])
    poses = _forward_kinematics(body, limbs)
    walked = stepping.cumsum() / FPS if habits.walks else None
    return _place(poses, body, walked, time, rng).astype(np.float32)


def _zipf(count: int) -> np.ndarray:
    weights = 1 / np.arange(1, count + 1)
    return weights / weights.sum()


def _draw(
    library: Mapping[str, Primitive], habit: str, rng: np.random.Generator, others: tuple[str, ...] = ()
) -> tuple[Primitive, bool]:
    """Draw a primitive, and return whether it breaks the habit; such a draw is from `others` if given, else the library."""
    novel = bool(rng.random() < NOVELTY)
    names = (others or tuple(library)) if novel else habit.split()
    return library[names[rng.choice(len(names), p=_zipf(len(names)))]], novel


def _changes(duration: float, rng: np.random.Generator) -> np.ndarray:
    """Draw the times, in seconds, at which a limb changes its primitive; the first is minus infinity, the last infinity."""
    times = [rng.uniform(-1.0, 1.0)]
    while times[-1] < duration:
        times.append(times[-1] + 0.8 + rng.exponential(1.2))
    return np.array([-np.inf, *times, np.inf])


def _limb(library: Mapping[str, Primitive], habit: str, time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Generate a limb's angles [T, D], degrees."""
    changes = _changes(time[-1], rng)
    angles = np.zeros((len(time), len(next(iter(library.values())).mean)))
    for begin, end in itertools.pairwise(changes):
        primitive, _ = _draw(library, habit, rng)
        _add(angles, primitive, begin, end, time, rng, phase=rng.random())
    return angles


def _legs(habits: Habits, time: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Generate the right and the left leg's angles [T, D], degrees, and the weight [T], 0 to 1, of steps in each frame.

    Both legs do the same, half a cycle apart, unless a habit is broken.
    """
    others = AFOOT if habits.walks else ()
    changes = _changes(time[-1], rng)
    right, left = np.zeros((2, len(time), len(RANGES["leg"])))
    stepping = np.zeros(len(time))
    for begin, end in itertools.pairwise(changes):
        primitive, novel = _draw(LEGS, habits.legs, rng, others)
        other = _draw(LEGS, habits.legs, rng, others)[0] if novel else primitive
        phase = rng.random()
        tempo = rng.uniform(0.8, 1.25)
        _add(right, primitive, begin, end, time, rng, phase=phase, tempo=tempo)
        _add(left, other, begin, end, time, rng, phase=phase + 0.5, tempo=tempo)
        if all(any(one is LEGS[name] for name in STEPS) for one in (primitive, other)):
            stepping += _fade(time - begin) - _fade(time - end)
    return right, left, stepping


def _add(
    angles: np.ndarray,
    primitive: Primitive,
    begin: float,
    end: float,
    time: np.ndarray,
    rng: np.random.Generator,
    *,
    phase: float,
    tempo: float | None = None,
) -> None:
    """Add one drawn primitive to the angles [T, D], faded in at `begin` and out at `end` (seconds)."""
    mean = np.asarray(primitive.mean) + _VARIATION_DEG * rng.standard_normal(len(primitive.mean))
    amplitude = np.asarray(primitive.amplitude) * rng.uniform(0.6, 1.4)
    tempo = primitive.tempo * (rng.uniform(0.8, 1.25) if tempo is None else tempo)
    first, last = np.searchsorted(time, [begin - _FADE_S, end + _FADE_S])
    t = time[first:last, None]
    lags = np.zeros(len(mean))
    lags[-1] = primitive.lag
    moving = mean + amplitude * np.sin(2 * np.pi * (tempo * t + phase - lags))
    angles[first:last] += moving * (_fade(t - begin) - _fade(t - end))


def _fade(t: np.ndarray) -> np.ndarray:
    """Return a twice differentiable step from 0 to 1 around time 0; times in seconds."""
    x = np.clip((t + _FADE_S) / (2 * _FADE_S), 0, 1)
    return x**3 * (10 - 15 * x + 6 * x**2)


def _tremor(shape: tuple[int, ...], time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw slow noise of angles [T, D], degrees."""
    frequencies = rng.uniform(0.1, 0.7, (3, 1, shape[1]))
    phases = rng.uniform(0, 2 * np.pi, (3, 1, shape[1]))
    return _TREMOR_DEG * np.sin(2 * np.pi * frequencies * time[:, None] + phases).sum(0)


def _within_range(angles: np.ndarray, ranges: Mapping[str, tuple[float, float]]) -> np.ndarray:
    """Limit angles [T, D], degrees, to their ranges and return radians.

    Angles in the middle 85 % of a range stay as they are. Beyond, they saturate with a continuous derivative.
    """
    low, high = np.array(list(ranges.values()), float).T
    middle, half = (low + high) / 2, (high - low) / 2
    x = (angles - middle) / half
    knee = 0.85
    excess = np.maximum(np.abs(x) - knee, 0)
    limited = np.where(excess > 0, np.sign(x) * (knee + (1 - knee) * np.tanh(excess / (1 - knee))), x)
    return np.radians(middle + half * limited)


def _rotation(axis: int, angle: np.ndarray) -> np.ndarray:
    """Return rotations [T, 3, 3] about a coordinate axis by angles [T], radians."""
    cosine, sine = np.cos(angle), np.sin(angle)
    matrix = np.zeros((len(angle), 3, 3))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix[:, axis, axis] = 1
    matrix[:, i, i] = matrix[:, j, j] = cosine
    matrix[:, j, i] = sine
    matrix[:, i, j] = -sine
    return matrix


def _ball(pitch: np.ndarray, roll: np.ndarray, twist: np.ndarray) -> np.ndarray:
    """Return rotations [T, 3, 3] by angles, radians: twist about z, then roll about x (forward), then pitch about y (left)."""
    return _rotation(1, pitch) @ _rotation(0, roll) @ _rotation(2, twist)


def _forward_kinematics(body: Mapping[str, float], limbs: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return joints [T, 17, 3], metres, in the body's frame: hip at the origin, x forward, y left, z up.

    Args:
      body: segment lengths, metres.
      limbs: angles [T, D] of each limb, radians.
    """
    torso = limbs["torso"].T
    still = np.zeros_like(torso[0])
    pelvis = _ball(torso[0], torso[1], still)
    lower = pelvis @ _ball(torso[2] / 2, torso[3] / 2, torso[4] / 2)
    upper = pelvis @ _ball(torso[2], torso[3], torso[4])
    neck = upper @ _ball(torso[5] / 2, torso[6] / 2, still)
    head = upper @ _ball(torso[5], torso[6], still)

    joints = np.zeros((len(still), 17, 3))

    def attach(joint: int, parent: int, frame: np.ndarray, bone: tuple[float, float, float]) -> None:
        joints[:, joint] = joints[:, parent] + frame @ np.asarray(bone)

    attach(7, 0, lower, (0, 0, body["lower_trunk"]))
    attach(8, 7, upper, (0, 0, body["upper_trunk"]))
    attach(9, 8, neck, (0, 0, body["neck"]))
    attach(10, 9, head, (0, 0, body["head"]))
    for side, name, hip, shoulder in ((1, "left", 4, 11), (-1, "right", 1, 14)):
        flexion, abduction, rotation, knee = limbs[f"{name}_leg"].T
        thigh = pelvis @ _ball(-flexion, side * abduction, -side * rotation)
        attach(hip, 0, pelvis, (0, side * body["hip_half_width"], 0))
        attach(hip + 1, hip, thigh, (0, 0, -body["thigh"]))
        attach(hip + 2, hip + 1, thigh @ _rotation(1, knee), (0, 0, -body["shank"]))
        flexion, abduction, rotation, elbow = limbs[f"{name}_arm"].T
        upper_arm = upper @ _ball(-flexion, side * abduction, -side * rotation)
        attach(shoulder, 8, upper, (0, side * body["shoulder_half_width"], 0))
        attach(shoulder + 1, shoulder, upper_arm, (0, 0, -body["upper_arm"]))
        attach(shoulder + 2, shoulder + 1, upper_arm @ _rotation(1, -elbow), (0, 0, -body["forearm"]))
    return joints


def _place(
    poses: np.ndarray, body: Mapping[str, float], walked: np.ndarray | None, time: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Place poses in the room: turn them, move them along a path, and put their feet on the floor.

    Args:
      poses: [T, 17, 3] joints, body's frame, metres.
      body: segment lengths, metres.
      walked: [T] time that the person has walked so far, seconds; None for actions in one place.
      time: [T] seconds.
      rng: of the heading and the path.

    Returns:
      [T, 17, 3] joints, world frame (z up), metres.
    """
    start, turn = rng.uniform(0, 2 * np.pi, 2)
    if walked is not None:
        radius = rng.uniform(0.7, 1.3)
        direction = rng.choice([-1, 1])
        angle = start + direction * rng.uniform(0.7, 1.3) / radius * walked  # 0.7 to 1.3 m/s
        heading = angle + direction * np.pi / 2
        path = radius * np.stack([np.cos(angle), np.sin(angle)], -1)
    else:
        heading = start + np.radians(60) * np.sin(2 * np.pi * rng.uniform(0.02, 0.08) * time + turn)
        sway = 0.1 * np.sin(2 * np.pi * rng.uniform(0.05, 0.15, (1, 2)) * time[:, None] + turn)
        path = rng.uniform(-0.8, 0.8, 2) + sway
    placed = poses @ np.swapaxes(_rotation(2, heading), -1, -2)
    placed[..., :2] += path[:, None]
    softness = 0.01  # metres; the smooth minimum is below the true one, so that no joint is below the floor
    lowest = placed[..., 2].min(-1)
    smooth = lowest - softness * np.log(np.exp((lowest[:, None] - placed[..., 2]) / softness).sum(-1))
    placed[..., 2] += (body["ankle_height"] - smooth)[:, None]
    return placed
