import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from srnet_jax.benchmarks.metrics import usual_p_mpjpe
from srnet_jax.pose import metrics
from srnet_jax.pose.metrics import (
    auc,
    bone_length_error,
    bone_vectors,
    joint_errors,
    mpjpe,
    n_mpjpe,
    p_mpjpe,
    pck,
    pose_errors,
    similarity_aligned,
    symmetry_error,
)
from srnet_jax.pose.skeleton import H36M_17, PCK_JOINTS, make_skeleton

FUNCTIONS = {  # of predicted and target
    "joints": joint_errors,
    "mpjpe": mpjpe,
    "p_mpjpe": p_mpjpe,
    "n_mpjpe": n_mpjpe,
    "aligned": similarity_aligned,
    "bone_length": lambda predicted, target: bone_length_error(predicted, target, H36M_17.parents),
    "symmetry": lambda predicted, _: symmetry_error(predicted, H36M_17),
    "pck_17": lambda predicted, target: pck(joint_errors(predicted, target), 0.15),
    "auc_17": lambda predicted, target: auc(joint_errors(predicted, target), 0.15),
    "pck_14": lambda predicted, target: pck(joint_errors(predicted, target)[..., PCK_JOINTS], 0.15),
    "auc_14": lambda predicted, target: auc(joint_errors(predicted, target)[..., PCK_JOINTS], 0.15),
}
PER_POSE = [name for name in FUNCTIONS if name != "aligned"]
REFLECTED = np.diag([-1.0, 1.0, 1.0])


@pytest.fixture
def poses(rng):
    target = rng.normal(0, 0.3, (50, 17, 3))
    return target + rng.normal(0, 0.05, target.shape), target


def in_float64(function, *arguments):
    with jax.enable_x64(True):
        return np.asarray(function(*(jnp.asarray(x, jnp.float64) for x in arguments)))


def rotations(rng, number):
    return Rotation.random(number, rng=rng).as_matrix()


# Numbers of the official code


@pytest.fixture(params=["near", "far", "mirror", "similarity"])
def official(request):
    """The official code's numbers; tests/data/parity/README.md describes them."""
    with np.load(Path(os.environ.get("PARITY", Path(__file__).parent.parent / "data" / "parity")) / "metrics.npz") as file:
        return {name.split("/")[1]: value for name, value in file.items() if name.startswith(f"{request.param}/")}


def check(expected, name, found, **tolerance):
    np.testing.assert_allclose(np.asarray(found, np.float64), expected[name], **tolerance, err_msg=name)


def test_numbers_of_the_official_code(official):
    predicted, target = official["pred"][0], official["target"][0]
    rounding = {"rtol": 2e-6, "atol": 5e-7}  # of float32
    check(official, "mpjpe", mpjpe(predicted, target).mean(), **rounding)
    check(official, "kpt_mpjpe", joint_errors(predicted, target).mean(0), **rounding)
    check(official, "l1", jnp.abs(predicted - target).mean(), **rounding)
    check(official, "n_mpjpe", n_mpjpe(predicted, target).mean(), **rounding)
    check(official, "p_mpjpe", p_mpjpe(predicted, target).mean(), **rounding)
    check(official, "p_mpjpe_f64", p_mpjpe(predicted, target).mean(), **rounding)
    check(official, "p_aligned_f64", similarity_aligned(predicted, target), **rounding)
    check(official, "velocity", mpjpe(jnp.diff(predicted, axis=0), jnp.diff(target, axis=0)).mean(), **rounding)
    distances = joint_errors(predicted, target)
    check(official, "pck_50", pck(distances, 0.05).mean(), **rounding)
    for prefix in ("", "gather_"):  # the same number from two functions
        check(official, f"{prefix}pck" + "_150" * (not prefix), pck(distances, 0.15).mean(), **rounding)
        check(official, f"{prefix}auc", auc(distances, 0.15).mean(), **rounding)
    distances = joint_errors(similarity_aligned(predicted, target), target)
    check(official, "gather_aligned_mpjpe", 1000 * distances.mean(), rtol=2e-6, atol=5e-4)  # millimetres
    check(official, "gather_aligned_pck", pck(distances, 0.15).mean(), **rounding)
    check(official, "gather_aligned_auc", auc(distances, 0.15).mean(), **rounding)
    vectors = bone_vectors(predicted, H36M_17.parents)
    check(official, "bone_vec_pred", vectors[None, :, 1:], **rounding)
    lengths = jnp.linalg.norm(vectors, axis=-1)
    left, right = lengths[:, H36M_17.joints_left], lengths[:, H36M_17.joints_right]
    check(official, "bone_sym", jnp.abs((left - right).mean(0)), **rounding)  # over a video; `symmetry_error` is per pose


def test_numbers_of_the_official_code_in_float64(official):
    predicted, target = official["pred"][0], official["target"][0]
    # The official code adds 1e-8 m to the sizes of the poses.
    check(official, "p_mpjpe_f64", in_float64(p_mpjpe, predicted, target).mean(), rtol=1e-7, atol=2e-8)
    check(official, "p_aligned_f64", in_float64(similarity_aligned, predicted, target), rtol=0, atol=5e-8)


# The alignment


def numpy_p_mpjpe(predicted, target):
    """PA-MPJPE by SVD in float64; a prediction whose joints coincide moves to the target's mean."""
    predicted, target = (x.astype(np.float64) for x in (predicted, target))
    predicted, target = (x - x.mean(1, keepdims=True) for x in (predicted, target))
    u, s, vt = np.linalg.svd(predicted.swapaxes(1, 2) @ target)
    signs = np.ones_like(s)
    signs[:, 2] = np.sign(np.linalg.det(u @ vt))
    squared = np.square(predicted).sum((1, 2))
    scale = np.where(squared > 1e-20, (s * signs).sum(1) / np.maximum(squared, 1e-20), 0)
    aligned = scale[:, None, None] * (predicted @ (u * signs[:, None]) @ vt)
    return np.linalg.norm(aligned - target, axis=-1).mean(1)


def kinds_of_poses(rng, number):
    """Yield the name, predicted and target [number, 17, 3] float64 of random and degenerate poses."""
    target = rng.normal(0, 0.3, (number, 17, 3))
    near = target + rng.normal(0, 0.05, target.shape)
    turn = rotations(rng, number)
    point = rng.normal(0, 1, (number, 1, 3)) + np.zeros_like(target)
    plane, line, thin = np.diag([1, 1, 0]), np.diag([1, 0, 0]), 1e-6 * rng.normal(size=(2, *target.shape))
    yield "near", near, target
    yield "far", rng.normal(0, 0.3, target.shape) @ turn, target
    yield "equal", target, target
    yield "mirrored", near @ REFLECTED @ turn, target
    yield "exactly mirrored", target @ REFLECTED, target
    yield "planar", near @ plane @ turn, target @ plane
    yield "planar, predicted", near @ plane @ turn, target
    yield "planar, target", near, target @ plane @ turn
    yield "nearly planar", near @ plane @ turn + thin[0], target @ plane + thin[1]
    yield "nearly planar, mirrored", (near @ plane + thin[0]) @ REFLECTED @ turn, target @ plane + thin[0]
    yield "collinear", near @ line @ turn, target @ line
    yield "collinear, predicted", near @ line @ turn, target
    yield "collinear, target", near, target @ line @ turn
    yield "nearly collinear", near @ (1e-3 + line) @ turn, target @ (1e-3 + line)
    yield "nearly collinear, noise", near @ line @ turn + thin[0], target @ line + thin[1]
    yield "thin", near @ np.diag([1, 1e-3, -1e-3]) @ turn, target @ np.diag([1, 1e-3, 1e-3])
    yield "coincident", point[::-1], point
    yield "coincident, predicted", point, target
    yield "coincident, target", target, point
    yield "small", 1e-3 * near @ turn, 1e-3 * target
    yield "small, predicted", 1e-3 * near @ turn, target
    yield "small, target", near @ turn, 1e-3 * target
    yield "off centre", near @ turn + 5 * point, target - 5 * point[::-1]
    yield "root-relative", near - near[:, :1], target - target[:, :1]


KINDS = 24


def check_alignment(rng, number):
    """Print and check the largest differences from NumPy, millimetres: float64 and float32."""
    aligned = jax.jit(p_mpjpe)
    names = []
    for name, *pair in kinds_of_poses(rng, number):
        found = {}
        for dtype, limit_mm in ((np.float64, 1e-6), (np.float32, 0.01)):
            predicted, target = (x.astype(dtype) for x in pair)
            with jax.enable_x64(dtype is np.float64):
                errors = np.asarray(aligned(predicted, target))
            assert errors.dtype == dtype
            assert np.isfinite(errors).all(), name
            difference = 1000 * np.abs(errors.astype(np.float64) - numpy_p_mpjpe(predicted, target)).max()
            found[dtype.__name__] = float(difference)
            assert difference < limit_mm, (name, dtype, difference)
        print(name, found)
        names.append(name)
    assert len(set(names)) == KINDS


def test_alignment_agrees_with_numpy(rng):
    check_alignment(rng, 1000)


@pytest.mark.slow
def test_alignment_of_many_poses_agrees_with_numpy(rng):
    check_alignment(rng, 200_000 // KINDS)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equally_good_alignments(rng, dtype):
    """Mirror images of poses with two or three equal axes: all of many optimal rotations have the same squared error."""
    corners = np.concatenate([np.eye(3), -np.eye(3)]) * [[2], [1], [1], [2], [1], [1]]
    pair = np.stack([corners, corners / np.linalg.norm(corners, axis=-1, keepdims=True)])  # poses with two and three equal axes
    target = (pair @ rotations(rng, 2)).astype(dtype)
    predicted = (pair @ REFLECTED @ rotations(rng, 2)).astype(dtype)
    with jax.enable_x64(dtype is np.float64):
        aligned = np.asarray(similarity_aligned(predicted, target), np.float64)
    singular = np.array([[8, 2, 2], [2, 2, 2]])  # singular values of predicted' target
    squared = np.square(pair).sum((1, 2)) - (singular @ [1, 1, -1]) ** 2 / np.square(pair).sum((1, 2))
    np.testing.assert_allclose(np.square(aligned - target).sum((1, 2)), squared, rtol=1e-6)


def test_alignment_finds_the_similarity(rng, poses):
    _, target = poses
    moved = 1.7 * target @ rotations(rng, 50) + rng.normal(size=(50, 1, 3))
    np.testing.assert_allclose(in_float64(similarity_aligned, moved, target), target, atol=1e-13)
    assert np.min(in_float64(p_mpjpe, target @ REFLECTED, target)) > 0.05


def test_the_usual_way_is_the_same(poses):
    np.testing.assert_allclose(usual_p_mpjpe(*poses), numpy_p_mpjpe(*poses), rtol=1e-12)
    mirrored = poses[0] @ REFLECTED
    np.testing.assert_allclose(usual_p_mpjpe(mirrored, poses[1]), numpy_p_mpjpe(mirrored, poses[1]), rtol=1e-12)


# Known answers


def test_known_offset():
    target = jnp.zeros((2, 17, 3))
    predicted = target.at[1, 3].set(jnp.array([3.0, 0.0, 4.0]))
    np.testing.assert_allclose(mpjpe(predicted, target), [0, 5 / 17], rtol=1e-6)
    np.testing.assert_array_equal(joint_errors(predicted, target), 5 * np.eye(17)[[3]] * [[0], [1]])


def test_known_scale(poses):
    predicted, target = poses
    assert np.max(in_float64(n_mpjpe, 0.4 * target, target)) < 1e-15
    scale = np.sum(predicted * target, (1, 2)) / np.sum(predicted**2, (1, 2))
    expected = np.linalg.norm(scale[:, None, None] * predicted - target, axis=-1).mean(-1)
    np.testing.assert_allclose(in_float64(n_mpjpe, predicted, target), expected, rtol=1e-13)


def test_known_bones(rng):
    chain = make_skeleton(
        "chain",
        {"root": "", "left": "root", "right": "root", "tip": "right"},
        ["left"],
        ["right"],
        {"all": ["root", "left", "right", "tip"]},
    )
    target = np.float32([[0, 0, 0], [1, 0, 0], [-1, 0, 0], [-1, 2, 0]])
    predicted = np.float32([[0, 0, 1], [0, 0, 4], [0, 1, 1], [0, 1, 2]])  # bones of 3, 1 and 1
    assert bone_length_error(predicted, target, chain.parents) == 1  # off by 2, 0 and 1
    assert symmetry_error(predicted, chain) == 2
    assert symmetry_error(target, chain) == 0
    np.testing.assert_array_equal(bone_vectors(target, chain.parents), [[0, 0, 0], [1, 0, 0], [-1, 0, 0], [0, 2, 0]])
    found = pose_errors(predicted[None], target[None], chain)
    assert {"pck_4", "auc_4"} <= set(found)
    assert not {"pck_14", "pck_17"} & set(found)
    np.testing.assert_array_equal(found["joints"], joint_errors(predicted, target)[None])
    assert {values.dtype for values in found.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_thresholds_are_strict(dtype):
    """Distances at, just below and just above each of the 31 thresholds, as they are rounded to the dtype."""
    thresholds = np.array([0.15 * step / 30 for step in range(31)], dtype)
    distances = np.concatenate([thresholds, np.nextafter(thresholds[1:], dtype(0)), np.nextafter(thresholds, dtype(1)), [9]])
    with jax.enable_x64(dtype is np.float64):
        joints = jnp.asarray(distances[:, None], dtype)
        found, nearest = np.asarray(auc(joints, 0.15)), np.asarray(pck(joints, 0.15))
    np.testing.assert_array_equal(np.rint(found * 31), (distances[:, None] < thresholds).sum(1))
    np.testing.assert_allclose(found, (distances[:, None] < thresholds).mean(1), rtol=1e-6)
    np.testing.assert_array_equal(nearest, distances < thresholds[-1])


def test_auc_needs_no_array_for_each_threshold():
    shape = jax.ShapeDtypeStruct((4096, 17), np.float32)
    needed = jax.jit(auc, static_argnums=1).lower(shape, 0.15).compile().memory_analysis().temp_size_in_bytes
    assert needed < 8 * 4096 * 17 * 4


def test_gradient_at_a_perfect_pose_is_zero():
    pose = jnp.ones((17, 3))
    assert not np.asarray(jax.grad(lambda p: mpjpe(p, pose))(pose)).any()


# Invariances


def same_rigid_motion(rng, predicted, target):
    turn, move = rotations(rng, len(target)), rng.normal(size=(len(target), 1, 3))
    return predicted @ turn + move, target @ turn + move


def scaled_prediction(rng, predicted, target):
    return predicted * rng.uniform(0.1, 10, (len(target), 1, 1)), target


def similarity_of_prediction(rng, predicted, target):
    moved, _ = scaled_prediction(rng, *same_rigid_motion(rng, predicted, target))
    return moved, target


def mirror_image(_, predicted, target):
    return tuple((poses @ REFLECTED)[:, H36M_17.mirrored] for poses in (predicted, target))


ABOUT_ORIGIN = {"n_mpjpe"}  # not invariant to translations


@pytest.mark.parametrize(
    ("change", "invariant"),
    [
        (same_rigid_motion, set(PER_POSE) - ABOUT_ORIGIN),
        (scaled_prediction, {"n_mpjpe", "p_mpjpe"}),
        (similarity_of_prediction, {"p_mpjpe"}),
        (mirror_image, set(PER_POSE)),
    ],
)
def test_invariances(rng, poses, change, invariant):
    changed = change(rng, *poses)
    for name in PER_POSE:
        expected, found = (in_float64(FUNCTIONS[name], *pair) for pair in (poses, changed))
        if name == "joints" and change is mirror_image:
            found = found[:, H36M_17.mirrored]
        assert np.allclose(found, expected, rtol=1e-9, atol=1e-12) == (name in invariant), name


# Shapes, dtypes and settings


@pytest.mark.parametrize("dtype", [np.float32, pytest.param(np.float64, marks=pytest.mark.slow)])
def test_jit_vmap_and_leading_axes_agree(dtype, poses):
    def all_of_them(predicted, target):
        return {name: function(predicted, target) for name, function in FUNCTIONS.items()}

    pair = [x[:6].astype(dtype) for x in poses]
    nested = [x.reshape(2, 3, 17, 3) for x in pair]
    with jax.enable_x64(dtype is np.float64):
        expected = [all_of_them(p, t) for p, t in zip(*pair, strict=True)]
        ways = [
            all_of_them(*pair),
            jax.jit(all_of_them)(*nested),
            jax.vmap(jax.jit(all_of_them))(*pair),
            jax.jit(jax.vmap(jax.vmap(all_of_them)))(*nested),
        ]
    for name in FUNCTIONS:
        one_by_one = np.stack([values[name] for values in expected])
        for found in (way[name] for way in ways):
            assert found.dtype == one_by_one.dtype == dtype, name
            np.testing.assert_allclose(found.reshape(one_by_one.shape), one_by_one, rtol=1e-5, atol=1e-6, err_msg=name)


def test_different_shapes_are_refused():
    for function in (joint_errors, mpjpe, p_mpjpe, n_mpjpe, similarity_aligned, FUNCTIONS["bone_length"]):
        with pytest.raises(ValueError, match=r"\(2, 17, 3\), targets \(17, 3\)"):
            function(np.zeros((2, 17, 3), np.float32), np.zeros((17, 3), np.float32))


def test_collapsed_poses_give_finite_errors(rng):
    target = rng.normal(size=(1, 17, 3)).astype(np.float32)
    for pair in ((np.zeros_like(target), target), (target, np.zeros_like(target)), (0 * target, 0 * target)):
        for name, function in FUNCTIONS.items():
            assert np.isfinite(function(*pair)).all(), name


def test_blocks_do_not_change_the_errors(poses, monkeypatch):
    predicted, target = (x[:21].astype(np.float32) for x in poses)
    expected = {name: in_float64(FUNCTIONS[name], predicted, target) for name in PER_POSE}
    monkeypatch.setattr(metrics, "_BLOCK", 8)
    for number in (0, 1, 8, 21):
        found = metrics.measure(predicted[:number], target[:number], H36M_17)
        assert set(found) == set(PER_POSE)
        for name, values in found.items():
            assert values.dtype == np.float64
            assert values.shape == ((number, 17) if name == "joints" else (number,))
            np.testing.assert_allclose(values, expected[name][:number], rtol=1e-12, atol=1e-15, err_msg=name)


def test_nan_is_no_perfect_score(rng):
    target = rng.normal(size=(3, 17, 3)).astype(np.float32)
    predicted = target.copy()
    predicted[1] = np.nan
    found = metrics.measure(predicted, target, H36M_17)
    for name in ("mpjpe", "p_mpjpe", "n_mpjpe", "bone_length", "symmetry"):
        assert np.isnan(found[name]).tolist() == [False, True, False], name
    assert found["pck_14"].tolist() == [1, 0, 1]
