"""Load the test set of a config: its test frames, their ranking by rarity, and subsets of them."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from srnet_jax.data.dataset import Sequence
from srnet_jax.data.protocols import Split
from srnet_jax.data.sources import load_split
from srnet_jax.data.windows import stack_frames
from srnet_jax.evaluation import subsets
from srnet_jax.evaluation.ranking import rank_test_poses
from srnet_jax.pose import rarity
from srnet_jax.pose.frames import Frames
from srnet_jax.pose.skeleton import Mirrored, Skeleton

_MODEL_FIELDS = ("normalization", "joints", "input_joints", "confidences")  # these define a network's inputs and outputs

FindSubsets = Callable[[ConfigDict, Split, np.ndarray], dict[str, np.ndarray]]  # the signature of `subsets.find`


@dataclasses.dataclass(frozen=True)
class TestSet:
    """The test frames on which the runs of one comparison are measured.

    Attributes:
      dataset_name: name of the data set.
      skeleton: the 3D joints.
      keypoints: the 2D joints.
      parts: the training, validation and test sequences.
      frames: the test frames.
      actions: [N] str, action of each test frame.
      scenes: [N] str, scene of each test frame; "" if the data have no scenes.
      commonness: [N] float64 commonness of each test pose by the protocol's ranking: by default its occurrence (Eq. 10).
      ranked: how the commonness was computed, as text.
      subsets: indices of test frames by name, see `subsets.find`.
      counted: indices of the test frames that the results count: all, or the rarest ones.
      mean_pose: [J, 3] mean of the training poses, metres; as a constant prediction, the simplest baseline.
      splits: the protocol's fields that define the parts.
    """

    dataset_name: str
    skeleton: Skeleton
    keypoints: Skeleton
    parts: Split
    frames: Frames
    actions: np.ndarray
    scenes: np.ndarray
    commonness: np.ndarray
    ranked: str
    subsets: dict[str, np.ndarray]
    counted: np.ndarray
    mean_pose: np.ndarray
    splits: dict[str, Any]

    @property
    def mirrored(self) -> Mirrored:
        """The left and right joints in 2D and in 3D, see `PoseDataset.mirrored`."""
        return Mirrored(self.keypoints.mirrored, self.skeleton.mirrored)


def load_test_set(config: ConfigDict, find_subsets: FindSubsets = subsets.find) -> TestSet:
    """Load the data of a config, split them, rank the test poses by rarity, and find subsets of them.

    Args:
      config: of the data, the protocol and the normalization.
      find_subsets: finds the subsets of the test poses.
    """
    dataset, parts = load_split(config)
    frames = stack_frames(parts.test, config.model.normalization)
    ranking = rank_test_poses(config, parts)
    return TestSet(
        dataset_name=dataset.name,
        skeleton=dataset.skeleton,
        keypoints=dataset.keypoints,
        parts=parts,
        frames=frames,
        actions=np.array([s.action for s in parts.test])[frames.sequence_of],
        scenes=np.array([s.scene for s in parts.test])[frames.sequence_of],
        commonness=ranking.values,
        ranked=ranking.how,
        subsets=find_subsets(config, parts, ranking.values),
        counted=np.sort(rarity.rarest(ranking.values, parts.rarest_percent)),
        mean_pose=_mean_pose(parts, config),
        splits=_splits(config),
    )


def fields_of_test_set(config: ConfigDict) -> dict[str, str]:
    """Return the fields of a config on which the test set and its ranking depend, as text by dotted name."""
    fields = {f"config.{part}": config[part].to_json() for part in ("data", "test_data")}
    fields |= {f"config.protocol.{name}": repr(value) for name, value in config.protocol.items()}
    if config.protocol.rare_reference != "train":
        fields = {name: value for name, value in fields.items() if ".validation" not in name}
    return fields | {f"config.model.{name}": repr(config.model[name]) for name in _MODEL_FIELDS}


def with_own_training(test: TestSet, config: ConfigDict, own: ConfigDict) -> TestSet:
    """Replace the training parts, the mean pose and the labels of a test set by those of a run's own training.

    Args:
      test: the test set of `config`, or of another run that has the same test set.
      config: the run's config with the changes of this evaluation.
      own: the run's config as it was trained.

    Returns:
      The test set, whose labels say what the run was trained on and how many of the test sequences were among that.
    """
    if config.data == own.data and config.test_data == own.test_data and _splits(config) == _splits(own) == test.splits:
        return test
    parts = load_split(own)[1]
    seen = {_identity(s) for s in parts.train} & {_identity(s) for s in test.parts.test}
    shared = [label for label in test.parts.labels[1:] if label in parts.labels or label != test.parts.pairing]
    trained = [f"in training: {label}" for label in parts.labels[1:] if label not in shared]
    overlap = [f"TRAINED on {len(seen)} of the test sequences"] if seen and own.data == config.data else []
    parts = dataclasses.replace(
        parts,
        test=test.parts.test,
        labels=(parts.labels[0], *shared, *trained, *overlap),
        rarest_percent=test.parts.rarest_percent,
    )
    return dataclasses.replace(test, parts=parts, mean_pose=_mean_pose(parts, own))


def _splits(config: ConfigDict) -> dict[str, Any]:
    return {name: value for name, value in config.protocol.items() if not name.startswith("rare_")}


def _identity(sequence: Sequence) -> tuple[str, str, str, str]:
    return sequence.subject, sequence.action, sequence.trial, sequence.camera.name


def _mean_pose(parts: Split, config: ConfigDict) -> np.ndarray:
    train = stack_frames(parts.train, config.model.normalization)
    return train.truth.mean(0, dtype=np.float64).astype(np.float32)
