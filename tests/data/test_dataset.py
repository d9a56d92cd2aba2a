import dataclasses

import numpy as np
import pytest

from srnet_jax.data.dataset import PoseDataset, film
from srnet_jax.errors import DataError
from srnet_jax.pose.cameras import virtual_cameras
from srnet_jax.pose.skeleton import H36M_17

ONE = virtual_cameras(number=1, distance_m=5, height_m=1.5, focal_px=1100.0, width_px=1000, height_px=1000)


@pytest.fixture
def sequence(mocap_clips):
    return next(film(mocap_clips["a/walk/1"], ONE, subject="a", action="walk", trial="1"))


def test_downsampling_keeps_every_nth_frame(sequence):
    thinned = PoseDataset("d", H36M_17, 30.0, (sequence,)).downsampled(5)
    assert thinned.fps == 6
    np.testing.assert_array_equal(thinned.sequences[0].poses_3d, sequence.poses_3d[[0, 5, 10]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: {"inputs_2d": s.inputs_2d[:-1]}, r"a/walk/1/camera0: inputs_2d has shape \(11, 17, 2\), expected"),
        (lambda s: {"poses_3d": s.poses_3d[:, :16]}, r"poses_3d has shape \(12, 16, 3\), expected"),
        (lambda s: {"inputs_2d": s.inputs_2d[:0], "poses_3d": s.poses_3d[:0]}, "frames >= 1"),
        (lambda s: {"poses_3d": np.where(np.arange(12)[:, None, None] == 7, np.nan, s.poses_3d)}, "NaN or infinity at frame 7"),
        (lambda s: {"poses_3d": s.poses_3d - np.float32([0, 0, 9])}, "behind the camera"),
    ],
)
def test_bad_sequences_are_refused(sequence, change, message):
    with pytest.raises(DataError, match=message):
        PoseDataset("d", H36M_17, 30.0, (dataclasses.replace(sequence, **change(sequence)),))


def test_empty_dataset_is_refused():
    with pytest.raises(DataError, match="no sequences"):
        PoseDataset("d", H36M_17, 30.0, ())
