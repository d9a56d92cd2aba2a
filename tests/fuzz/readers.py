"""Every reader of a file that a stranger may have made: small valid files, how to damage them, how to read them.

The seeds come from the builders of the readers' own tests. What can be imported only slowly is imported where it is used.
"""

import collections
import dataclasses
import functools
import gzip
import json
import shutil
import tarfile
import warnings
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np

from srnet_jax.data.dataset import PoseDataset
from srnet_jax.errors import UserError
from srnet_jax.io.safe_load import load_npz
from tests.fuzz import mutate


@dataclasses.dataclass(frozen=True)
class Reader:
    """A reader under test.

    Attributes:
      file: where in a folder the damaged file lies.
      seeds: writes what lies beside it into the folder, and returns valid files.
      damage: see `mutate`.
      read: reads what is in the folder; raises an AssertionError if it took what it should not have taken.
      extra: mocks that stay in place while it runs, such as fewer files to a data set.
    """

    file: str
    seeds: Callable[[Path], list[bytes]]
    damage: Callable
    read: Callable[[Path], object]
    extra: Callable[[], list] = list


def _rng():
    return np.random.default_rng(0)


def _contents(*files):
    return [file.read_bytes() for file in files]


def _check(dataset):
    assert isinstance(dataset, PoseDataset)
    for sequence in dataset.sequences:
        assert sequence.inputs_2d.dtype == sequence.poses_3d.dtype == np.float32
        assert all(isinstance(name, str) and name.isprintable() for name in (sequence.subject, sequence.action, sequence.trial))


# NumPy archives.


def _h36m_seeds(folder, name):
    from tests.data.test_h36m import Files

    files = Files(_rng(), [("S1", "Walking 1")])
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

    if sum(path.stat().st_size for path in folder.glob("*.npz")) % 40 == 0:  # sometimes: it reads all twice
        rows = verification.check(folder)
        assert all(row.found.isprintable() for row in rows)
    _check(npz_files.load(folder))


def _remembered_keypoints():
    """Read the file beside the damaged one once."""
    from srnet_jax.data.h36m import npz_files

    remembered = functools.lru_cache(1)(npz_files.load_npz)
    return [mock.patch.object(npz_files, "load_npz", lambda path: (remembered if "2d" in path.name else load_npz)(path))]


def _mocap_seeds(folder):
    clip = _rng().normal(0, 0.4, (2, 17, 3)).astype(np.float32) + [0, 0, 1]
    np.savez(folder / "a.npz", fps=np.float64(30), **{"a/walk/1": clip.astype(np.float32), "b/sit/1": clip})
    np.savez_compressed(folder / "b.npz", **{"a/walk/1": clip})
    return _contents(folder / "a.npz", folder / "b.npz")


def _read_mocap(folder):
    from srnet_jax.data.mocap import clip_files
    from srnet_jax.pose.cameras import virtual_cameras

    cameras = virtual_cameras(number=1, distance_m=5, height_m=1.5, focal_px=1100.0, width_px=1000, height_px=1000)
    _check(clip_files.load(folder / "clips.npz", fps=30.0, cameras=cameras))


def _custom_seeds(folder):
    from tests.keypoints.test_keypoint_files import person, write_videopose3d

    two = {1: person()[:3], 2: person()[:2, :, :2]}
    return _contents(
        write_videopose3d(folder / "a.npz", {None: person()[:2]}, missing=()),
        write_videopose3d(folder / "b.npz", two, missing=(1,)),
    )


# Keypoints of detectors.


def _read_keypoints(name, keypoint_format=None):
    def read(folder):
        from srnet_jax.keypoints import keypoint_files

        tracks = keypoint_files.load(folder / name, keypoint_files.Hints(keypoint_format, (640, 480)))
        assert len({track.name for track in tracks}) == len(tracks) > 0
        for track in tracks:
            frames, joints = track.confidences.shape
            assert track.keypoints.dtype == track.confidences.dtype == np.float32
            assert track.keypoints.shape == (frames, joints, 2)
            np.testing.assert_array_equal(np.isfinite(track.keypoints), (track.confidences > 0)[..., None].repeat(2, -1))
            assert ((track.confidences >= 0) & (track.confidences <= 1)).all()
            assert track.detected.shape == (frames,)
            assert track.detected[[0, -1]].all()
            assert track.name.isprintable()
            assert "/" not in track.name
            assert track.fps is None or 0 < track.fps < 10_000
            assert track.image_size is None or min(track.image_size) > 0

    return read


def _detectron2_seeds(folder):
    from tests.keypoints.test_keypoint_files import person, write_detectron2

    two = {1: person()[:3], 2: person(start=(800, 300))[:3]}
    return _contents(
        write_detectron2(folder / "a.npz", two, missing=(1,)), write_detectron2(folder / "b.npz", {1: person()[:1]}, missing=())
    )


def _plain_seeds(folder):
    from tests.keypoints.test_keypoint_files import person, write_plain

    two = np.stack([person()[:3], person(start=(800, 300))[:3]], 1)
    told = {"image_size": [640, 480], "fps": 25.0, "layout": "coco"}
    return _contents(
        write_plain(folder / "a.npz", person()[:3], **told),
        write_plain(folder / "b.npz", two[..., :2], confidences=two[..., 2].astype(np.float32)),
    )


def _keypoint_json_seeds(name):
    def seeds(folder):
        from tests.keypoints import test_keypoint_files as build

        people = {1: build.person(5)[:4], 2: build.person(5, start=(800, 300))[:4]}
        if name == "mediapipe":
            people = {1: build.person(33)[:3]}
        content = getattr(build, name)(people, missing=(1,))
        if name == "mmpose":
            return [
                json.dumps(made).encode()
                for made in (content, content["instance_info"], content["instance_info"][0]["instances"])
            ]
        unnamed = (
            [{key: value for key, value in entry.items() if key != "idx"} for entry in content]
            if name == "alphapose"
            else content
        )
        return [json.dumps(content).encode(), json.dumps(unnamed).encode()]

    return seeds


def _openpose_seeds(folder):
    from tests.keypoints.test_keypoint_files import person, write_openpose

    place = write_openpose(folder / "poses", {1: person(5)[:4], None: person(5, start=(800, 300))[:4]}, missing=(1,))
    return _contents(place / "dance2_000000000002_keypoints.json", place / "dance2_000000000001_keypoints.json")


def _table_seeds(folder):
    from tests.keypoints.test_keypoint_files import person, table

    people = {1: person(3)[:4], 2: person(3, start=(800, 300))[:4]}
    one = {None: person(3)[:4]}
    return [table(people, track=True).encode(), table(one).encode(), table(one, header=False).replace("\n", "\r\n").encode()]


def _shorter(content):
    """Return a form of `test_forms` with its first frames alone."""
    from tests.keypoints.builders import FRAMES

    if isinstance(content, list | dict) and len(content) == FRAMES:
        return content[:3] if isinstance(content, list) else dict(list(content.items())[:3])
    if isinstance(content, dict):
        return {key: _shorter(value) for key, value in content.items()}
    return content


def _form_seeds(folder):
    from tests.keypoints import test_forms

    whole = [_shorter(content) for content, _ in test_forms.JSON.values()]
    lines = [_shorter(content) for content, _ in test_forms.LINES.values()]
    images = _shorter(test_forms.annotations(test_forms.WALK, test_forms.COCO, "a/{}.jpg"))
    return [json.dumps(content).encode() for content in [*whole, images]] + [
        "\n".join(map(json.dumps, content)).encode() for content in lines
    ]


def _table_form_seeds(folder):
    from tests.keypoints import test_forms

    return ["".join(content.splitlines(keepends=True)[:7]).encode() for content, _ in test_forms.TABLES.values()]


def _folder_seeds(folder):
    from tests.keypoints.builders import write_folder
    from tests.keypoints.test_forms import FOLDERS

    write_folder(folder / "poses", FOLDERS["mmpose"][0], FOLDERS["mmpose"][1][:3])
    return [json.dumps(content[1]).encode() for _, content, _ in FOLDERS.values()]


def _label_seeds(folder):
    from tests.keypoints.test_forms import WALK, labels

    (folder / "poses").mkdir(exist_ok=True)
    for index in (1, 3):
        (folder / "poses" / f"walk_{index}.txt").write_text(labels(WALK[index], 3) + "\n")
    more = [(), (0.87,), (3,), (0.87, 3)]
    return ["\n".join(labels(WALK[2] + [0, 9 * k, 0], *one) for k in (0, 1)).encode() for one in more]


def _array_seeds(folder):
    from tests.keypoints.builders import walker

    made = []
    for array in (walker()[:3], walker()[None, :3, :, :2].astype(np.float32), (walker("body_25")[:2] * 8).astype(np.int64)):
        np.save(folder / "k.npy", array)
        made += _contents(folder / "k.npy")
    return made


def _reconstruction_seeds(folder):
    from tests.keypoints.builders import walker

    np.savez(folder / "k.npz", reconstruction=walker("h36m")[None, :3, :, :2])
    np.savez_compressed(folder / "l.npz", reconstruction=walker("h36m")[:3].astype(np.float32))
    return _contents(folder / "k.npz", folder / "l.npz")


def _values_in_a_list(rng, data):
    """Damage values of a JSON list, or of an object."""
    try:
        json.loads(data)
    except json.JSONDecodeError:  # of several lines
        return mutate.text(rng, data)
    changed = json.loads(mutate.json_values(rng, b'{"content": %b}' % data))
    return json.dumps(changed.get("content")).encode()


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

    def network(name, groups):
        plan = connectivity_plan(name, 2)
        model = PoseLifter(plan, joint_groups=body_groups(groups), filter_widths=(1,), channels=17 + groups)
        state = from_variables(model, zero_variables(model), collections.defaultdict(lambda: 7))
        trained = [tensor.name for tensor in official_tensors(model) if tensor.path[:1] == ("params",)]
        moments = {name: tensor(state[trained[0]]) for name in ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")}
        optimizer = {"state": {0: {"step": 7, **moments}}, "param_groups": [{"params": list(range(len(trained)))}]}
        return {"epoch": 3, "optimizer": optimizer, "model_pos": {name: tensor(array) for name, array in state.items()}}

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
        saved = [*small, *small, *small, (network("fc", 5), 2), (network("sr", 2), 4)]
        return [write(folder / "x.bin", value, protocol).read_bytes() for value, protocol in saved]

    return seeds


def _read_official(folder):
    from srnet_jax.official import networks

    checkpoint = networks.read_checkpoint(folder / "model.bin")
    options = {"causal": False, "adds_input": False, "activation": "relu", "recombine": "multiply"}
    model = networks.recognise(checkpoint, **options)
    variables = networks.to_variables(model, checkpoint)
    networks.to_moments(model, checkpoint)
    assert set(variables) <= {"params", "batch_stats"}


# MATLAB, HDF5 and CDF files.


def _evaluation_set(folder):
    from tests.data import test_mpi_inf_3dhp as build

    variables = build.EvaluationSet(_rng(), frames=2).files["TS1"]
    kept = {name: variables[name] for name in ("annot2", "univ_annot3", "valid_frame", "activity_annotation")}
    path = folder / "TS1" / "annot_data.mat"
    packed = functools.partial(build.write_version_5, do_compression=True)
    made = []
    for write in (build.write_version_5, packed, functools.partial(build.write_like_matlab, order=">")):
        write(path, kept)
        made += _contents(path)
    return made


def _read_evaluation_set(folder):
    from srnet_jax.data import mpi_inf_3dhp

    _check(mpi_inf_3dhp.load_test(folder))


def _one_scene():
    from srnet_jax.data import mpi_inf_3dhp

    return [mock.patch.object(mpi_inf_3dhp, "SCENES", {"TS1": "green screen"})]


def _training_set(folder):
    """Make a training set of one recording and one camera; return its .mat file in both versions."""
    from tests.data import test_mpi_inf_3dhp as build

    variables = build.TrainingSet(_rng(), frames=1).files["S2", "Seq1"]
    kept = {name: variables[name][:1] for name in ("annot2", "univ_annot3")} | {"cameras": np.array([[0.0]])}
    path = folder / "S2" / "Seq1" / "annot.mat"
    made = []
    for write in (build.write_hdf5, build.write_version_5):
        write(path, kept)
        made += _contents(path)
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


def _motion():
    from tests.data.test_h36m_raw import motion

    return motion(_rng(), 2).reshape(-1, 96)


def _h5_seeds(folder):
    import h5py

    from tests.data.test_h36m_raw import write_h5

    path = folder / "x.h5"
    write_h5(path, _motion().T)
    made = _contents(path)
    with h5py.File(path, "w") as file:
        file.create_dataset("3D_positions", data=_motion().T, chunks=(48, 2), compression="gzip", fletcher32=True)
    made += _contents(path)
    path.unlink()
    return made


def _cdf_seeds(folder):
    from tests.data.test_h36m_raw import write_cdf

    path = folder / "x.cdf"
    made = []
    for options in ({}, {"Compressed": 6}, {"Majority": "column_major"}):
        write_cdf(path, _motion()[None].astype(np.float32), **options)
        made += _contents(path)
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
    return [SMALL.encode(), *_contents(path, path)]


def _asf_amc_seeds(kind):
    def seeds(folder):
        from tests.data.test_asf_amc import AMC, ASF

        (folder / "m.asf").write_text(ASF)
        (folder / "m.amc").write_text(AMC)
        text = {"asf": ASF, "amc": AMC}[kind]
        return [text.encode(), text.replace("\n", "\r\n").encode()]

    return seeds


def _toml_seeds(folder):
    from srnet_jax.data.mocap.skeleton_maps import LAYOUTS
    from tests.data.test_mocap import walk, write_bvh

    write_bvh(folder / "m.bvh", walk(2, 30), 30)
    layout = LAYOUTS["bandai"][0]
    lines = ["unit = 0.01  # metres", 'up = "y"', "fps = 60", "[joints]"]
    for joint, weights in layout.joints.items():
        names = list(weights)
        whole = f"{{ {', '.join(f'{name} = {weight}' for name, weight in weights.items())} }}"
        averaged = json.dumps(names if len(names) > 1 else names[0])
        lines.append(f"{joint} = {averaged if len(set(weights.values())) == 1 else whole}")
    return ["\n".join(lines).encode()]


def _read_bvh(folder):
    """Read the motion with its database's skeleton, or with a damaged one."""
    from srnet_jax.data.mocap import clip_files

    skeleton = folder / "skeleton.toml"
    for poses in clip_files.convert(folder / "m.bvh", skeleton if skeleton.exists() else "bandai").values():
        assert poses.dtype == np.float32
        assert poses.shape == (len(poses), 17, 3)
        assert np.isfinite(poses).all()


def _read_asf_amc(folder):
    from srnet_jax.data.mocap import asf_amc

    motion = asf_amc.read(folder / "m.asf", folder / "m.amc")
    assert motion.positions.shape == (len(motion.positions), len(motion.joints), 3)
    assert np.isfinite(motion.positions).all()


# Weights that others trained, and what a run writes and a workdir of a stranger may hold.


def _weights_seeds(folder):
    from srnet_jax.lifting import weights
    from tests.conftest import make_tiny_config
    from tests.lifting.test_lifter import make

    made = []
    for network, fps in (("fc", 30.0), ("sr", None)):
        config = make_tiny_config()
        config.model.update(network=network, channels=20, filter_widths=(1,))
        weights.save(folder / "x.npz", make(config, fps))
        made += _contents(folder / "x.npz")
    (folder / "x.npz").unlink()
    return made


def _read_weights(folder):
    from srnet_jax.lifting import weights

    trained = weights.load(folder / "w.npz")
    assert set(trained.variables) <= {"params", "batch_stats"}
    assert trained.fps is None or 0 < trained.fps < 1e6


def _config_seeds(folder):
    from configs import default
    from srnet_jax.config import config_files

    config_files.save(default.get_config(), folder)
    return _contents(folder / "config.json")


def _read_config(folder):
    from srnet_jax.config import config_files, schema

    found = config_files.load(folder)
    schema.validate(found)
    json.dumps(found.to_dict())


def _tiny_state():
    from srnet_jax.training.state import TrainState

    weights = {"layer": {"kernel": np.arange(12, dtype=np.float32).reshape(3, 4), "bias": np.zeros(4, np.float32)}}
    statistics = {"norm": {"mean": np.ones(4, np.float32)}}
    return TrainState(np.int32(7), np.int32(1), weights, statistics, (weights, ()))


def _save_checkpoint(folder):
    from srnet_jax.training.checkpoint_format import Snapshot
    from srnet_jax.training.checkpoints import Checkpoints

    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    with Checkpoints(folder) as checkpoints:
        checkpoints.save(Snapshot(_tiny_state(), 3), 12.5)
    return folder / "checkpoints" / "7"


def _about_seeds(folder):
    return _contents(_save_checkpoint(folder) / "about" / "metadata")


def _item_seeds(folder):
    """Return the folder `variables` in one file: as orbax writes it, and without compression, so that damage gets deep."""
    import tensorstore as ts

    place = _save_checkpoint(folder) / "variables"
    whole = ts.open({"driver": "zarr", "kvstore": {"driver": "ocdbt", "base": f"file://{place}/", "path": "bytes/"}}).result()
    again = folder / "again"
    plain = {"compression": None, "max_inline_value_bytes": 20}
    store = {"driver": "ocdbt", "base": f"file://{again}/", "path": "bytes/", "config": plain}
    array = ts.open({"driver": "zarr", "kvstore": store, "metadata": whole.spec().to_json()["metadata"]}, create=True).result()
    array.write(whole.read().result()).result()
    made = []
    for source in (place, again):
        files = {str(path.relative_to(source)): path.read_bytes() for path in sorted(source.rglob("*")) if path.is_file()}
        made.append(mutate.bundle(files))
    shutil.rmtree(again)
    return made


def _read_checkpoint(folder):
    """Restore the checkpoint, of which something or, from one file, all of `variables` was damaged."""
    from srnet_jax.training.checkpoints import Checkpoints

    bundle, state = folder / "variables", _tiny_state()
    if bundle.exists():
        place = folder / "checkpoints" / "7" / "variables"
        shutil.rmtree(place)
        for name, content in mutate.unbundled(bundle.read_bytes()).items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(content)
    with Checkpoints(folder, read_only=True) as checkpoints:
        found = checkpoints.restore("latest", state)
    assert found.params["layer"]["kernel"].dtype == np.float32
    assert np.array_equal(found.params["layer"]["kernel"], state.params["layer"]["kernel"])
    assert np.array_equal(found.batch_stats["norm"]["mean"], state.batch_stats["norm"]["mean"])


def _metrics_seeds(folder):
    lines = [{"step": 6 * epoch, "epoch": epoch, "loss": 0.1 / epoch, "train_mpjpe_mm": 90.5} for epoch in (1, 2, 3)]
    return ["".join(json.dumps(line | {"validation_mpjpe_mm": 80.25}) + "\n" for line in lines).encode()]


def _read_metrics(folder):
    """Draw the log's numbers and go on with it; a warning counts as a refusal."""
    from srnet_jax.evaluation.charts import history
    from srnet_jax.training.metric_log import MetricLog

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for line in history(folder):
            assert all(np.isfinite(float(value)) for value in line.values())
        with MetricLog(folder, from_step=12, tensorboard=False) as log:
            log.add(13, {"loss": 1.0}, only_shown={})
            log.flush()
    steps = [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_bytes()[:-1].split(b"\n")]
    assert steps[-1] == 13
    assert all(step <= 12 for step in steps[:-1])
    if warned:
        raise UserError(str(warned[0].message))


def _forks_seeds(folder):
    changes = {"train.learning_rate": [1e-3, 5e-4], "model.filter_widths": [[1, 1], [3, 3]], "data": ["4 frames", "5 frames"]}
    return [json.dumps({"8": {"fields": changes}, "19": {"fields": {"train.epochs": [3, 5]}}}).encode()]


def _read_forks(folder):
    from srnet_jax.training import records

    assert all(label.isprintable() for label in records.fork_labels(folder, 100))


def _data_seeds(folder):
    return [json.dumps({"training_frames": 1287, "validation_frames": 142, "means": [0.5, -0.25, 0.0]}).encode()]


def _read_data(folder):
    from srnet_jax.training import records

    stored = records._stored_data(folder)
    records.same_data(stored, stored)
    assert records.as_text(stored).isprintable()


_NPZ = mutate.one_of(mutate.binary, *[mutate.zipped(mutate.npy)] * 3)
_TEXT = mutate.one_of(mutate.binary, *[mutate.text] * 3)
_JSON = mutate.one_of(mutate.binary, mutate.text, *[mutate.json_values] * 4)
_JSON_LIST = mutate.one_of(mutate.binary, mutate.text, *[_values_in_a_list] * 4)

READERS = {
    "h36m_3d.npz": Reader(
        "data_3d_h36m.npz", lambda f: _h36m_seeds(f, "data_3d_h36m.npz"), _NPZ, _read_h36m, _remembered_keypoints
    ),
    "h36m_2d.npz": Reader("data_2d_h36m_gt.npz", lambda f: _h36m_seeds(f, "data_2d_h36m_gt.npz"), _NPZ, _read_h36m),
    "mocap.npz": Reader("clips.npz", _mocap_seeds, _NPZ, _read_mocap),
    "custom_2d.npz": Reader("data_2d_custom_mine.npz", _custom_seeds, _NPZ, _read_keypoints("data_2d_custom_mine.npz")),
    "detectron2.npz": Reader("d.npz", _detectron2_seeds, _NPZ, _read_keypoints("d.npz", keypoint_format="detectron2")),
    "keypoints.npz": Reader("k.npz", _plain_seeds, _NPZ, _read_keypoints("k.npz")),
    **{
        f"{name}.json": Reader(f"{name}.json", _keypoint_json_seeds(name), _JSON_LIST, _read_keypoints(f"{name}.json"))
        for name in ("alphapose", "mmpose", "coco", "mediapipe")
    },
    "openpose.json": Reader("poses/dance2_000000000002_keypoints.json", _openpose_seeds, _JSON, _read_keypoints("poses")),
    "forms.json": Reader("k.json", _form_seeds, _JSON_LIST, _read_keypoints("k.json")),
    "folder.json": Reader("poses/frame_00001.json", _folder_seeds, _JSON_LIST, _read_keypoints("poses")),
    "forms.csv": Reader("k.csv", _table_form_seeds, _TEXT, _read_keypoints("k.csv")),
    "labels.txt": Reader("poses/walk_2.txt", _label_seeds, _TEXT, _read_keypoints("poses")),
    "keypoints.npy": Reader("k.npy", _array_seeds, mutate.one_of(mutate.binary, *[mutate.npy] * 3), _read_keypoints("k.npy")),
    "reconstruction.npz": Reader("k.npz", _reconstruction_seeds, _NPZ, _read_keypoints("k.npz")),
    "keypoints.csv": Reader("k.csv", _table_seeds, _TEXT, _read_keypoints("k.csv")),
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
    "camera.calibration": Reader("S2/Seq1/camera.calibration", _calibration_seeds, _TEXT, _read_training_set, _one_recording),
    "hdf5.h5": Reader("S1/MyPoses/3D_positions/Walking 1.h5", _h5_seeds, mutate.binary, _read_recordings),
    "pose.cdf": Reader("S1/D3_Positions/Walking 1.cdf", _cdf_seeds, mutate.binary, _read_recordings),
    "archive.tgz": Reader(
        "Poses_D3_Positions_S1.tgz",
        _tgz_seeds,
        mutate.one_of(mutate.binary, *[mutate.gzipped_tar(mutate.binary)] * 4),
        _read_recordings,
    ),
    "motion.bvh": Reader("m.bvh", _bvh_seeds, _TEXT, _read_bvh),
    "skeleton.asf": Reader("m.asf", _asf_amc_seeds("asf"), _TEXT, _read_asf_amc),
    "motion.amc": Reader("m.amc", _asf_amc_seeds("amc"), _TEXT, _read_asf_amc),
    "skeleton.toml": Reader("skeleton.toml", _toml_seeds, _TEXT, _read_bvh),
    "weights.npz": Reader("w.npz", _weights_seeds, _NPZ, _read_weights),
    "config.json": Reader("config.json", _config_seeds, _TEXT, _read_config),
    "forks.json": Reader("forks.json", _forks_seeds, _JSON, _read_forks),
    "data.json": Reader("data.json", _data_seeds, _JSON, _read_data),
    "metrics.jsonl": Reader("metrics.jsonl", _metrics_seeds, _TEXT, _read_metrics),
    "checkpoint.about": Reader("checkpoints/7/about/metadata", _about_seeds, _JSON, _read_checkpoint),
    "checkpoint.variables": Reader(
        "variables", _item_seeds, mutate.bundled(mutate.one_of(mutate.binary, *[mutate.ocdbt] * 4)), _read_checkpoint
    ),
}
