"""All readers of untrusted files, each with small valid files (seeds), a way to damage them, and a function that reads them.

The seeds come from the builders in the readers' own tests. Slow imports are inside the functions that need them.
"""

import collections
import functools
import gzip
import json
import pickle
import shutil
import tarfile
import warnings
from unittest import mock

import numpy as np

from srnet_jax.data.dataset import PoseDataset
from srnet_jax.errors import DataError
from srnet_jax.io.safe_load import load_npz
from tests.fuzz import keypoint_readers, mutate, run_readers
from tests.fuzz.reader import NPZ, TEXT, Reader, contents, seeded


def _check(dataset):
    assert isinstance(dataset, PoseDataset)
    for sequence in dataset.sequences:
        assert sequence.inputs_2d.dtype == sequence.poses_3d.dtype == np.float32
        assert all(isinstance(name, str) and name.isprintable() for name in (sequence.subject, sequence.action, sequence.trial))


# NumPy archives.


def _h36m_seeds(folder, name):
    from tests.data.test_h36m import Files

    files = Files(seeded(), [("S1", "Walking 1")])
    files.views["S1"]["Walking 1"] = [view[:1] for view in files.views["S1"]["Walking 1"]]
    files.motions["S1"]["Walking 1"] = files.motions["S1"]["Walking 1"][:1]
    files.load(folder)
    plain = (folder / name).read_bytes()
    arrays = files.arrays_2d if "2d" in name else files.arrays_3d
    files.views["S1"]["Walking 1"] = np.stack(files.views["S1"]["Walking 1"])
    np.savez_compressed(folder / "packed.npz", **arrays)
    packed = (folder / "packed.npz").read_bytes()
    (folder / "packed.npz").unlink()
    return [plain, packed]


def _read_h36m(folder):
    from srnet_jax.data.h36m import npz_files, verification

    if sum(path.stat().st_size for path in folder.glob("*.npz")) % 40 == 0:  # only sometimes, because it reads everything twice
        rows = verification.check(folder)
        assert all(row.found.isprintable() for row in rows)
    _check(npz_files.load(folder))


def _own_people(folder):
    """Write motions and keypoints of our own cameras, and return three contents of the file of cameras."""
    from tests import own_data

    poses = own_data.motions(seeded(), ("ann",), frames=1)
    one, other = own_data.camera("cam1", 20), own_data.camera("cam2", 140)
    own_data.write(folder, poses, own_data.views(poses, (one,)))
    return [own_data.to_toml(cameras, fps).encode() for cameras, fps in (((one,), 30), ((one,), None), ((one, other), 25.5))]


def _read_own_people(folder):
    from srnet_jax.data.h36m import npz_files

    with warnings.catch_warnings(action="ignore"):  # a missing frame rate causes a warning
        _check(npz_files.load(folder))


def _joint_sets(folder):
    from tests import own_data

    del folder
    mine = own_data.MADE_UP_21
    return [mine.encode(), mine.replace("[joints]", 'name = "mine"\n[joints]').encode()]


def _read_joint_set(folder):
    from srnet_jax.config import joint_sets
    from srnet_jax.pose.skeleton import body_groups

    found = joint_sets.parse(joint_sets.read(folder / "joints.toml"))
    assert sorted(found.file_order) == list(range(found.num_joints))
    assert set().union(*body_groups(5, found)) == set(range(found.num_joints))


def _remembered_keypoints():
    """Cache the file beside the damaged one, so that it is read only once."""
    from srnet_jax.data.h36m import npz_files

    remembered = functools.lru_cache(1)(npz_files.load_npz)
    return [mock.patch.object(npz_files, "load_npz", lambda path: (remembered if "2d" in path.name else load_npz)(path))]


def _mocap_seeds(folder):
    clip = seeded().normal(0, 0.4, (2, 17, 3)).astype(np.float32) + [0, 0, 1]
    np.savez(folder / "a.npz", fps=np.float64(30), **{"a/walk/1": clip.astype(np.float32), "b/sit/1": clip})
    np.savez_compressed(folder / "b.npz", **{"a/walk/1": clip})
    return contents(folder / "a.npz", folder / "b.npz")


def _read_mocap(folder):
    from srnet_jax.data.mocap import clip_files
    from srnet_jax.pose.cameras import virtual_cameras

    cameras = virtual_cameras(number=1, distance_m=5, height_m=1.5, focal_px=1100.0, width_px=1000, height_px=1000)
    _check(clip_files.load(folder / "clips.npz", fps=30.0, cameras=cameras))


# Official checkpoints.


def _official(legacy):
    from srnet_jax.models.pose_lifter import PoseLifter, connectivity_plan
    from srnet_jax.official.networks import from_variables, official_tensors, zero_variables
    from srnet_jax.pose.skeleton import body_groups
    from tests.io import test_safe_load as build

    def tensor(array):
        kind = {"float32": "Float", "int64": "Long"}[array.dtype.name]
        strides = tuple(int(np.prod(array.shape[axis + 1 :], dtype=int)) for axis in range(array.ndim))
        return build.tensor(build.Storage(kind, array), array.shape, strides)

    def network(name, groups, prefix="", **seen):
        plan = connectivity_plan(name, 2)
        model = PoseLifter(plan, joint_groups=body_groups(groups), filter_widths=(1,), channels=17 + groups, **seen)
        state = from_variables(model, zero_variables(model), collections.defaultdict(lambda: 7))
        trained = [tensor.name for tensor in official_tensors(model) if tensor.path[:1] == ("params",)]
        moments = {name: tensor(state[trained[0]]) for name in ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")}
        optimizer = {"state": {0: {"step": 7, **moments}}, "param_groups": [{"params": list(range(len(trained)))}]}
        tensors = {f"{prefix}{name}": tensor(array) for name, array in state.items()}
        return {"epoch": 3, "optimizer": optimizer, "model_pos": tensors}

    def seeds(folder):
        write = build.write_legacy if legacy else build.write_zip
        kinds = {name: value for name, value in build.state_dict()[0].items() if name in ("Half", "Bool.t", "Long.p", "bf16")}
        other = {
            "random_state": np.random.RandomState(0),
            "arrays": [*build.ARRAYS[:2], np.float32(1)],
            "bytes": b"\0",
            "t": (1,),
        }
        small = [(kinds, 2), ({**kinds, **other}, 2), (other, 4), (build.Call(build.Name("torch", "Size"), (2, 3)), 2)]
        saved = [
            *small,
            *small,
            *small,
            (network("fc", 5, "module._orig_mod.", input_groups=tuple(tuple(range(g, 16, 5)) for g in range(5))), 2),
            (network("sr", 2), 4),
        ]
        return [write(folder / "x.bin", value, protocol).read_bytes() for value, protocol in saved]

    return seeds


def _safetensors(folder):
    """Return a network's file, and small ones of other dtypes."""
    from tests.io import test_safe_load as build

    def file(arrays):
        table, data = {"__metadata__": {"format": "pt"}}, b""
        for name, (kind, array) in arrays.items():
            stop = len(data) + array.nbytes
            table[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [len(data), stop]}
            data += array.tobytes()
        return build.write_safetensors(folder / "x.safetensors", table, data).read_bytes()

    shapes = {"shrink.weight": (51, 17, 1), "shrink.bias": (51,), "expand_conv.weight": (17, 34, 1)}
    shapes |= {f"layers_conv.{layer}.weight": (17, 17, 1) for layer in (0, 1)}
    norms = ("expand_bn", "layers_bn.0", "layers_bn.1")
    shapes |= {f"{norm}.{name}": (17,) for norm in norms for name in ("weight", "bias", "running_mean", "running_var")}
    network = {name: ("F32", np.ones(shape, np.float32)) for name, shape in shapes.items()}
    small = {"a": ("BF16", np.ones((2, 2), np.uint16)), "b": ("I64", np.array(1)), "c": ("BOOL", np.ones(3, bool))}
    return [file(network), file(small), file(small)]


def _read_official(folder):
    from srnet_jax.official import files, networks, recognition

    checkpoint = files.read_checkpoint(folder / "model.bin")
    model = recognition.recognise(checkpoint)
    notes = recognition.assumptions(checkpoint, model, recognition.Stated())
    assert all(note.isprintable() for note in notes)
    variables = networks.to_variables(model, checkpoint)
    networks.to_moments(model, checkpoint)
    assert set(variables) <= {"params", "batch_stats"}


# MATLAB, HDF5 and CDF files.


def _evaluation_set(folder):
    from tests.data import test_mpi_inf_3dhp as build

    variables = build.EvaluationSet(seeded(), frames=2).files["TS1"]
    kept = {name: variables[name] for name in ("annot2", "univ_annot3", "valid_frame", "activity_annotation")}
    path = folder / "TS1" / "annot_data.mat"
    packed = functools.partial(build.write_version_5, do_compression=True)
    made = []
    for write in (build.write_version_5, packed, functools.partial(build.write_like_matlab, order=">")):
        write(path, kept)
        made += contents(path)
    return made


def _read_evaluation_set(folder):
    from srnet_jax.data import mpi_inf_3dhp

    _check(mpi_inf_3dhp.load_test(folder))


def _one_scene():
    from srnet_jax.data import mpi_inf_3dhp

    return [mock.patch.object(mpi_inf_3dhp, "SCENES", {"TS1": "green screen"})]


def _training_set(folder):
    """Write a training set of one recording and one camera; return its .mat file in both versions."""
    from tests.data import test_mpi_inf_3dhp as build

    variables = build.TrainingSet(seeded(), frames=1).files["S2", "Seq1"]
    kept = {name: variables[name][:1] for name in ("annot2", "univ_annot3")} | {"cameras": np.array([[0.0]])}
    path = folder / "S2" / "Seq1" / "annot.mat"
    made = []
    for write in (build.write_hdf5, build.write_version_5):
        write(path, kept)
        made += contents(path)
    path.with_name("camera.calibration").write_text(build.calibration(0))
    return made


def _cells(version):
    return lambda folder: [_training_set(folder)[version == 5]]


def _calibration_seeds(folder):
    from tests.data import test_mpi_inf_3dhp as build

    _training_set(folder)
    return [build.calibration(0).encode(), build.calibration(3, 0, 5).encode()]


def _read_training_set(folder):
    from srnet_jax.data import mpi_inf_3dhp

    _check(mpi_inf_3dhp.load_train(folder, cameras=(0,), subjects=("S2",)))


def _one_recording():
    from srnet_jax.data import mpi_inf_3dhp

    product = mock.patch.object(mpi_inf_3dhp.itertools, "product", lambda subjects, _: [(subjects[0], 1)])
    return [product, mock.patch.object(mpi_inf_3dhp, "_NUM_CAMERAS", 1)]


def _packed_seeds(folder, kind):
    """Return P-STMO's file of the test set, or of one camera of the training set."""
    from tests.data import test_mpi_inf_3dhp as build
    from tests.data import test_mpi_inf_3dhp_npz as packed

    if kind == "test":
        data = packed.packed_test(build.EvaluationSet(seeded(), frames=2))
    else:
        whole = packed.packed_training(build.TrainingSet(seeded(), frames=1))
        data = {video: [{"0": views["0"]}, fps] for video, (views, fps) in whole.items()}
    path = folder / "seed.npz"
    made = []
    for save in (np.savez, np.savez_compressed):
        save(path, data=data)
        made += contents(path)
    path.unlink()
    return made


def _read_packed(folder, load):
    from srnet_jax.data import mpi_inf_3dhp_npz

    _check(getattr(mpi_inf_3dhp_npz, load)(folder / "data_3dhp.npz"))


def _pickle_seeds(folder):
    from tests.data.test_threedpw import recording

    return [pickle.dumps(recording(seeded(), frames=2, people=1), protocol) for protocol in (0, 2, 4)]


def _read_threedpw(folder):
    from srnet_jax.data import threedpw

    _check(threedpw.load(folder))


def _motion():
    from tests.data.test_h36m_raw import motion

    return motion(seeded(), 2).reshape(-1, 96)


def _h5_seeds(folder):
    import h5py

    from tests.data.test_h36m_raw import write_h5

    path = folder / "x.h5"
    write_h5(path, _motion().T)
    made = contents(path)
    with h5py.File(path, "w") as file:
        file.create_dataset("3D_positions", data=_motion().T, chunks=(48, 2), compression="gzip", fletcher32=True)
    made += contents(path)
    path.unlink()
    return made


def _cdf_seeds(folder):
    from tests.data.test_h36m_raw import write_cdf

    path = folder / "x.cdf"
    made = []
    for options in ({}, {"Compressed": 6}, {"Majority": "column_major"}):
        write_cdf(path, _motion()[None].astype(np.float32), **options)
        made += contents(path)
    path.unlink()
    return made


def _tgz_seeds(folder):
    from tests.data.test_h36m_raw import write_cdf

    place = folder / "made"
    write_cdf(place / "S1/MyPoseFeatures/D3_Positions/Walking 1.cdf", _motion()[None].astype(np.float32))
    made = []
    for kind in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        with tarfile.open(folder / "x", "w:", format=kind) as archive:
            archive.add(place / "S1/MyPoseFeatures", "S1/MyPoseFeatures")
        made.append(gzip.compress((folder / "x").read_bytes(), 1, mtime=0))
    shutil.rmtree(place)
    (folder / "x").unlink()
    return made


def _read_recordings(folder):
    from srnet_jax.data.h36m import raw_files

    recordings = raw_files.recordings(folder)
    for subject, action, trial, motion in recordings:
        assert motion.shape[1:] == (32, 3)
        assert f"{subject}{action}{trial}".isprintable()


# Motion capture, text.


def _bvh_seeds(folder):
    from tests.data.test_bvh import SMALL
    from tests.data.test_mocap import walk, write_bvh

    path = folder / "m.bvh"
    write_bvh(path, walk(2, 30), 30)
    return [SMALL.encode(), *contents(path, path)]


def _asf_amc_seeds(kind):
    def seeds(folder):
        from tests.data.test_asf_amc import AMC, ASF

        (folder / "m.asf").write_text(ASF)
        (folder / "m.amc").write_text(AMC)
        text = {"asf": ASF, "amc": AMC}[kind]
        return [text.encode(), text.replace("\n", "\r\n").encode()]

    return seeds


def _toml_seeds(folder):
    from srnet_jax.data.mocap.builtin_skeletons import LAYOUTS
    from tests.data.test_mocap import walk, write_bvh

    write_bvh(folder / "m.bvh", walk(2, 30), 30)
    layout = LAYOUTS["bandai"][0]
    lines = ["unit = 0.01  # metres", 'up = "y"', "fps = 60", "rest_pose = false", 'name = "{subject}"', "[joints]"]
    for joint, weights in layout.joints.items():
        names = list(weights)
        whole = f"{{ {', '.join(f'{name} = {weight}' for name, weight in weights.items())} }}"
        averaged = json.dumps(names if len(names) > 1 else names[0])
        lines.append(f"{joint} = {averaged if len(set(weights.values())) == 1 else whole}")
    return ["\n".join(lines).encode()]


def _producers_seeds(folder):
    from tests.data.people import made_walker
    from tests.data.test_recognise import PRODUCERS, write

    return contents(*(write(folder / "m.bvh", producer, made_walker()[:2]) for producer in PRODUCERS))


def _trc_seeds(folder):
    from tests.data.people import made_walker
    from tests.data.test_marker_files import POSE2SIM, gait, pose2sim, write_trc

    path = folder / "m.trc"
    points = pose2sim(made_walker()[:4])
    points[1:3, 4] = np.nan
    made = contents(write_trc(path, POSE2SIM, points))
    names, points, _, _ = gait(made_walker()[:3])
    return [*made, *contents(write_trc(path, names, points * 1000, unit="mm"))]


def _c3d_seeds(folder):
    from tests.data.people import made_walker
    from tests.data.test_marker_files import POSE2SIM, gait, pose2sim, write_c3d

    path = folder / "m.c3d"
    made = contents(write_c3d(path, POSE2SIM, pose2sim(made_walker()[:2]) * 1000))
    names, points, _, _ = gait(made_walker()[:2])
    made += contents(write_c3d(path, names, points * 1000))
    path.unlink()
    return made


def _smpl_seeds(folder):
    from tests.data.test_smpl import amass, standing

    path = folder / "m.npz"
    parts = {"root_orient": standing(2)[:, :3], "pose_body": standing(2)[:, 3:66], "poses": None}
    made = contents(amass(path, standing(2, 72)))
    made += contents(amass(path, standing(2, 72), parts))
    return made


def _read_motion(name):
    def read(folder):
        """Convert the motion with the skeleton that it has, or with a damaged one, and write the report."""
        from srnet_jax.data.mocap import conversion, report

        skeleton = folder / "skeleton.toml"
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            found = conversion.convert(folder / name, skeleton if skeleton.exists() else None)
        for one in warned:  # warnings about odd files are one line
            assert one.category is UserWarning, one.message
            assert str(one.message).startswith((str(folder / name), "subject "))
            assert str(one.message).isprintable()
        assert json.dumps(report.numbers(found), allow_nan=False).isprintable()
        assert "<script" not in report.page(found, name).lower()
        assert all(line.isprintable() for line in found.recognised)
        for poses in found.clips.values():
            _check_poses(poses)
        for recording in found.refused:
            raise DataError(f"{recording.file}: {recording.refused}")

    return read


def _check_poses(poses):
    assert poses.dtype == np.float32
    assert poses.shape == (len(poses), 17, 3)
    assert np.isfinite(poses).all()


def _read_asf_amc(folder):
    from srnet_jax.data.mocap import asf_amc

    motion = asf_amc.read(folder / "m.asf", folder / "m.amc")
    assert motion.positions.shape == (len(motion.positions), len(motion.joints), 3)
    assert np.isfinite(motion.positions).all()


READERS = {
    "h36m_3d.npz": Reader(
        "data_3d_h36m.npz", lambda f: _h36m_seeds(f, "data_3d_h36m.npz"), NPZ, _read_h36m, _remembered_keypoints
    ),
    "h36m_2d.npz": Reader("data_2d_h36m_gt.npz", lambda f: _h36m_seeds(f, "data_2d_h36m_gt.npz"), NPZ, _read_h36m),
    "mocap.npz": Reader("clips.npz", _mocap_seeds, NPZ, _read_mocap),
    "mpi_inf_3dhp_test.npz": Reader(
        "data_3dhp.npz", lambda f: _packed_seeds(f, "test"), NPZ, lambda f: _read_packed(f, "load_test")
    ),
    "mpi_inf_3dhp_train.npz": Reader(
        "data_3dhp.npz", lambda f: _packed_seeds(f, "train"), NPZ, lambda f: _read_packed(f, "load_train")
    ),
    "3dpw.pkl": Reader("test/x.pkl", _pickle_seeds, mutate.one_of(mutate.binary, *[mutate.pickled] * 3), _read_threedpw),
    "official_zip.bin": Reader(
        "model.bin",
        lambda folder: _official(legacy=False)(folder),
        mutate.one_of(mutate.binary, *[mutate.zipped(mutate.pickled)] * 3),
        _read_official,
    ),
    "official_legacy.bin": Reader(
        "model.bin",
        lambda folder: _official(legacy=True)(folder),
        mutate.one_of(mutate.binary, *[mutate.legacy] * 3),
        _read_official,
    ),
    "official.safetensors": Reader("model.bin", _safetensors, mutate.one_of(mutate.binary, mutate.text), _read_official),
    "matlab_5.mat": Reader(
        "TS1/annot_data.mat",
        _evaluation_set,
        mutate.one_of(mutate.binary, mutate.matlab_5, mutate.matlab_5),
        _read_evaluation_set,
        _one_scene,
    ),
    "matlab_5_cells.mat": Reader(
        "S2/Seq1/annot.mat",
        _cells(5),
        mutate.one_of(mutate.binary, mutate.matlab_5, mutate.matlab_5),
        _read_training_set,
        _one_recording,
    ),
    "hdf5.mat": Reader("S2/Seq1/annot.mat", _cells(7), mutate.binary, _read_training_set, _one_recording),
    "camera.calibration": Reader("S2/Seq1/camera.calibration", _calibration_seeds, TEXT, _read_training_set, _one_recording),
    "hdf5.h5": Reader("S1/MyPoses/3D_positions/Walking 1.h5", _h5_seeds, mutate.binary, _read_recordings),
    "pose.cdf": Reader("S1/D3_Positions/Walking 1.cdf", _cdf_seeds, mutate.binary, _read_recordings),
    "archive.tgz": Reader(
        "Poses_D3_Positions_S1.tgz",
        _tgz_seeds,
        mutate.one_of(mutate.binary, *[mutate.gzipped_tar(mutate.binary)] * 4),
        _read_recordings,
    ),
    "motion.bvh": Reader("m.bvh", _bvh_seeds, TEXT, _read_motion("m.bvh")),
    "producers.bvh": Reader("m.bvh", _producers_seeds, TEXT, _read_motion("m.bvh")),
    "markers.trc": Reader("m.trc", _trc_seeds, TEXT, _read_motion("m.trc")),
    "markers.c3d": Reader("m.c3d", _c3d_seeds, mutate.binary, _read_motion("m.c3d")),
    "body_model.npz": Reader("m.npz", _smpl_seeds, NPZ, _read_motion("m.npz")),
    "skeleton.asf": Reader("m.asf", _asf_amc_seeds("asf"), TEXT, _read_asf_amc),
    "motion.amc": Reader("m.amc", _asf_amc_seeds("amc"), TEXT, _read_asf_amc),
    "cameras.toml": Reader("cameras.toml", _own_people, TEXT, _read_own_people),
    "joints.toml": Reader("joints.toml", _joint_sets, TEXT, _read_joint_set),
    "skeleton.toml": Reader("skeleton.toml", _toml_seeds, TEXT, _read_motion("m.bvh")),
    **keypoint_readers.READERS,
    **run_readers.READERS,
}
