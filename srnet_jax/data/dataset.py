"""The data set that every source returns: sequences of 2D keypoints and 3D poses, each seen by one camera."""

import dataclasses
import operator
import warnings
from collections.abc import Iterable, Iterator

import numpy as np

from srnet_jax.errors import DataError
from srnet_jax.pose import cameras as cameras_lib
from srnet_jax.pose.cameras import Camera
from srnet_jax.pose.skeleton import H36M_17, Mirrored, Skeleton


@dataclasses.dataclass(frozen=True)
class Sequence:
    """One recorded motion seen by one camera.

    Attributes:
      subject: name of the person.
      action: name of the action, without a trial number; names are compared exactly.
      trial: which recording of the action this is.
      camera: the camera that sees the motion.
      inputs_2d: [T, K, 2] float32 keypoints, pixels; [T, K, 3] with a confidence as the last value.
      poses_3d: [T, J, 3] float32 joints, camera frame, metres (absolute: the root is not subtracted).
      scene: place of the recording, for data whose results are reported by scene; "" otherwise.
    """

    subject: str
    action: str
    trial: str
    camera: Camera
    inputs_2d: np.ndarray
    poses_3d: np.ndarray
    scene: str = ""

    @property
    def name(self) -> str:
        """The sequence's name in messages: subject/action/trial/camera."""
        return f"{self.subject}/{self.action}/{self.trial}/{self.camera.name}"

    @property
    def num_frames(self) -> int:
        """Number of frames, T."""
        return len(self.poses_3d)


@dataclasses.dataclass(frozen=True)
class PoseDataset:
    """Sequences that share a skeleton and a frame rate. Every data source returns one.

    Attributes:
      name: the data set's name in tables.
      skeleton: the 3D joints.
      fps: frames per second.
      sequences: in the source's order.
      conventions: short note on how the joints differ from those of other sources, printed beside results across data sets.
      keypoints: the 2D joints.
      views: one line on what virtual cameras would have missed (`filming.film_all`), printed before training and beside
        results; "" for real cameras.

    Raises:
      DataError: on creation, if there is no sequence, or one has a wrong shape, non-finite values or joints behind its camera.
    """

    name: str
    skeleton: Skeleton
    fps: float
    sequences: tuple[Sequence, ...]
    conventions: str = ""
    keypoints: Skeleton = H36M_17
    views: str = ""

    def __post_init__(self) -> None:
        if not self.sequences:
            raise DataError(f"{self.name}: found no sequences, expected at least one")
        for sequence in self.sequences:
            _check_sequence(sequence, self)

    @property
    def num_frames(self) -> int:
        """Number of frames, summed over all cameras."""
        return sum(sequence.num_frames for sequence in self.sequences)

    @property
    def mirrored(self) -> Mirrored:
        """The keypoints and joints that a mirror image exchanges."""
        return Mirrored(self.keypoints.mirrored, self.skeleton.mirrored)

    def names(self, field: str) -> tuple[str, ...]:
        """Return the distinct values of `subject`, `action`, `trial` or `camera.name`, in order of appearance."""
        return tuple(dict.fromkeys(map(operator.attrgetter(field), self.sequences)))

    def with_joints(self, keypoints: Skeleton, joints: Skeleton) -> "PoseDataset":
        """Return a data set with only the given 2D keypoints and 3D joints, selected by name.

        Raises:
          DataError: if the data set lacks one of them.
        """
        if (keypoints, joints) == (self.keypoints, self.skeleton):
            return self
        for wanted, own in ((keypoints, self.keypoints), (joints, self.skeleton)):
            if missing := [name for name in wanted.joints if name not in own.joints]:
                raise DataError(f"{self.name}: has no joint {missing[0]!r} of {wanted.name}, only {', '.join(own.joints)}")
        seen, kept = self.keypoints.indices(keypoints.joints), self.skeleton.indices(joints.joints)
        taken = (dataclasses.replace(s, inputs_2d=s.inputs_2d[:, seen], poses_3d=s.poses_3d[:, kept]) for s in self.sequences)
        return dataclasses.replace(self, skeleton=joints, keypoints=keypoints, sequences=tuple(taken))

    def with_actions(self, actions: tuple[str, ...]) -> "PoseDataset":
        """Return a data set with only the recordings of these actions; () keeps all. Warns if some of the actions are missing.

        Raises:
          DataError: if the data set has none of the actions.
        """
        if missing := [action for action in actions if action not in self.names("action")]:
            text = f"{self.name}: no recording of {', '.join(missing)}, only of {', '.join(self.names('action'))}"
            if len(missing) == len(actions):
                raise DataError(f"{text}; expected those of config.data.actions")
            warnings.warn(text, stacklevel=2)
        kept = tuple(s for s in self.sequences if not actions or s.action in actions)
        return dataclasses.replace(self, sequences=kept)

    def downsampled(self, step: int) -> "PoseDataset":
        """Return a data set with every `step`-th frame of each sequence, starting with its first."""
        if step == 1:
            return self
        thinned = (dataclasses.replace(s, inputs_2d=s.inputs_2d[::step], poses_3d=s.poses_3d[::step]) for s in self.sequences)
        return dataclasses.replace(self, fps=self.fps / step, sequences=tuple(thinned))


def _check_sequence(sequence: Sequence, dataset: PoseDataset) -> None:
    frames, source = len(sequence.poses_3d), dataset.name
    expected = {"inputs_2d": (dataset.keypoints, (2, 3)), "poses_3d": (dataset.skeleton, (3,))}
    for field, (skeleton, widths) in expected.items():
        array = getattr(sequence, field)
        if array.shape not in [(frames, skeleton.num_joints, width) for width in widths] or not frames:
            raise DataError(
                f"{source}: {sequence.name}: {field} has shape {array.shape}, expected (frames >= 1, {skeleton.num_joints}, "
                f"{' or '.join(map(str, widths))}) with equal frames in 2D and 3D"
            )
        check_finite(array, f"{source}: {sequence.name}: {field}")
    depth = float(sequence.poses_3d[..., 2].min())
    if depth <= 0:
        raise DataError(
            f"{source}: {sequence.name}: a joint is {-depth:.2f} m behind the camera, expected all joints in front of it"
        )


def check_finite(array: np.ndarray, name: str, kept: np.ndarray | None = None) -> None:
    """Check that all frames of an array hold finite numbers.

    Args:
      array: [T, ...].
      name: start of the message.
      kept: [T] bool, the frames to check; None for all.

    Raises:
      DataError: if a checked frame holds NaN or infinity.
    """
    broken = ~np.isfinite(array).reshape(len(array), -1).all(-1)
    if kept is not None:
        broken &= kept
    if broken.any():
        raise DataError(f"{name} holds NaN or infinity at frame {broken.argmax()}, expected finite numbers")


@np.errstate(over="ignore", invalid="ignore")  # values that are too large are reported by other checks
def sides_swapped(
    inputs_2d: np.ndarray, poses_3d: np.ndarray, keypoints: Skeleton = H36M_17, joints: Skeleton = H36M_17
) -> bool:
    """Return whether left and right are swapped between 2D keypoints and 3D joints.

    They are if, for most pairs, the left joint is on one side of the right joint in 2D and on the other in 3D.

    Args:
      inputs_2d: [T, K, 2 or 3] keypoints, x to the right.
      poses_3d: [T, J, 3] joints, camera frame.
      keypoints: names of the keypoints.
      joints: names of the joints; pairs with the same names in 2D and 3D are compared. Without any the result is False.
    """
    pairs = [
        {(s.joints[a], s.joints[b]) for a, b in zip(s.joints_left, s.joints_right, strict=True)} for s in (keypoints, joints)
    ]
    common = sorted(pairs[0] & pairs[1])
    if not common:
        return False
    names = [list(side) for side in zip(*common, strict=True)]

    def apart(array: np.ndarray, skeleton: Skeleton) -> np.ndarray:
        left, right = map(skeleton.indices, names)
        return np.sign(array[:, left, 0] - array[:, right, 0])

    return bool(np.mean(apart(inputs_2d, keypoints) * apart(poses_3d, joints)) < -0.5)  # noise alone gives 0


def film(poses_world: np.ndarray, cameras: Iterable[Camera], *, subject: str, action: str, trial: str) -> Iterator[Sequence]:
    """Yield the sequence that each camera sees of a motion; keypoints are exact projections.

    Args:
      poses_world: [T, J, 3] joints, world frame, metres.
      cameras: the cameras.
      subject: name of the person.
      action: name of the action.
      trial: which recording of the action this is.
    """
    for camera in cameras:
        poses_3d = cameras_lib.world_to_camera(poses_world, camera).astype(np.float32)
        inputs_2d = cameras_lib.project(poses_3d, camera)
        yield Sequence(subject, action, trial, camera, inputs_2d, poses_3d)
