import io
import sys
import tarfile

import cdflib.cdfwrite
import h5py
import numpy as np
import pytest

from srnet_jax.data.h36m import npz_files, raw_files
from srnet_jax.data.h36m.cameras import CAMERAS
from srnet_jax.errors import DataError, UserError
from srnet_jax.io.safe_load import load_npz
from srnet_jax.pose import cameras
from tests.data.test_mpi_inf_3dhp import write_hdf5, write_version_5

KEPT = [0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27]  # of the 32 joints
NAMES = {"S1": ["Walking 1", "TakingPhoto"], "S9": ["WalkingDog 2"], "S11": ["Directions", "Directions 1"]}
CANONICAL = {"S1": ["Photo", "Walking 1"], "S9": ["WalkDog 2"], "S11": ["Directions 1"]}


@pytest.fixture
def motions(rng):
    """Return {subject: {stem of the file: [T, 32, 3] millimetres}}."""
    return {subject: {name: motion(rng, 3 + len(name)) for name in names} for subject, names in NAMES.items()}


def motion(rng, frames):
    steps = rng.normal(0, 50, (frames, 32, 3)).cumsum(0)
    return rng.normal(0, 400, (32, 3)) + [0, 0, 900] + steps


def write_cdf(path, pose, variable="Pose", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    file = cdflib.cdfwrite.CDF(path, cdf_spec=options)
    pose = np.asarray(pose)
    kind = {"float32": 21, "float64": 22, "int32": 4}[pose.dtype.name]
    shape = {"Variable": variable, "Data_Type": kind, "Num_Elements": 1, "Rec_Vary": True, "Dim_Sizes": list(pose.shape[1:])}
    file.write_var(shape, var_data=pose)
    file.close()


def write_h5(path, positions, name="3D_positions"):
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file[name] = positions


def as_cdf(motions, folder, place="MyPoseFeatures/D3_Positions", **options):
    for subject, recordings in motions.items():
        for name, poses in recordings.items():
            write_cdf(folder / subject / place / f"{name}.cdf", poses.reshape(1, -1, 96).astype(np.float32), **options)


def as_h5(motions, folder):
    for subject, recordings in motions.items():
        for name, poses in recordings.items():
            write_h5(folder / subject / "MyPoses/3D_positions" / f"{name}.h5", poses.reshape(-1, 96).T)


def as_mat(motions, folder, write=write_version_5):
    """Write what VideoPose3D's convert_h36m.m makes of the CDF files."""
    for subject, recordings in motions.items():
        for name, poses in recordings.items():
            path = folder / subject / "MyPoseFeatures/D3_Positions" / f"{name}.cdf.mat"
            write(path, {"data": [poses.reshape(-1, 96).astype(np.float32)]})


def as_archives(motions, folder):
    as_cdf(motions, folder)
    for subject in motions:
        pack(folder, subject)


def pack(folder, subject):
    """Replace unpacked files by their archive."""
    with tarfile.open(folder / f"Poses_D3_Positions_{subject}.tgz", "w:gz") as archive:
        archive.add(folder / subject, subject)
    (folder / subject).rename(folder / f"unpacked {subject}")


FORMS = {
    "cdf": as_cdf,
    "unpacked deeper": lambda motions, folder: as_cdf(motions, folder, "D3_Positions"),
    "compressed": lambda motions, folder: as_cdf(motions, folder, Compressed=6),
    "mat": as_mat,
    "mat 7.3": lambda motions, folder: as_mat(motions, folder, write_hdf5),
    "h5": as_h5,
    "archives": as_archives,
}


@pytest.mark.parametrize("form", FORMS)
def test_poses_come_back(tmp_path, motions, form):
    source, output = tmp_path / "raw", tmp_path / "made" / "here"
    FORMS[form](motions, source)
    tracked = []
    raw_files.convert(source, output, track=lambda items: tracked.extend(items) or items)
    assert len(tracked) == (3 if form == "archives" else 4)
    assert sorted(path.name for path in output.iterdir()) == ["data_2d_h36m_gt.npz", "data_3d_h36m.npz"]

    dataset = npz_files.load(output)
    found = [f"{s.subject} {s.action} {s.trial}".rstrip() for s in dataset.sequences[::4]]
    assert found == [f"{subject} {name}" for subject, names in CANONICAL.items() for name in names]
    originals = {"Photo": "TakingPhoto", "WalkDog 2": "WalkingDog 2"}
    for sequence in dataset.sequences:
        name = f"{sequence.action} {sequence.trial}".rstrip()
        world = motions[sequence.subject][originals.get(name, name)][:, KEPT] / 1000
        seen = cameras.world_to_camera(world, sequence.camera)
        np.testing.assert_allclose(sequence.poses_3d, seen, atol=1e-5)
        np.testing.assert_allclose(sequence.inputs_2d, cameras.project(seen, sequence.camera), atol=1e-3)
        np.testing.assert_array_equal(sequence.inputs_2d, cameras.project(sequence.poses_3d, sequence.camera))


def test_the_layout_is_videopose3d_s(tmp_path, motions):
    as_h5(motions, tmp_path)
    raw_files.convert(tmp_path, tmp_path)
    with np.load(tmp_path / "data_3d_h36m.npz", allow_pickle=True) as file:
        assert file.files == ["positions_3d"]
        positions_3d = file["positions_3d"].item()
    with np.load(tmp_path / "data_2d_h36m_gt.npz", allow_pickle=True) as file:
        assert file.files == ["positions_2d", "metadata"]
        positions_2d, metadata = file["positions_2d"].item(), file["metadata"].item()
    assert {subject: list(recordings) for subject, recordings in positions_3d.items()} == CANONICAL
    assert {subject: list(recordings) for subject, recordings in positions_2d.items()} == CANONICAL
    assert positions_3d["S9"]["WalkDog 2"].dtype == np.float32
    np.testing.assert_allclose(positions_3d["S9"]["WalkDog 2"], motions["S9"]["WalkingDog 2"] / 1000, atol=1e-6)
    views = positions_2d["S9"]["WalkDog 2"]
    assert [(view.shape, view.dtype) for view in views] == [((15, 17, 2), np.float32)] * len(CAMERAS["S9"])
    assert isinstance(views, list)
    assert metadata == {
        "layout_name": "h36m",
        "num_joints": 17,
        "keypoints_symmetry": [[4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]],
    }


@pytest.mark.parametrize("joints", [17, 32])
def test_motions_of_another_source_come_back(tmp_path, rng, joints):
    poses = motion(rng, 5) / 1000
    world = poses if joints == 32 else poses[:, KEPT]
    raw_files.write(tmp_path, iter([("S8", "Sitting", "2", world), ("S8", "Eating", "", world)]))
    dataset = npz_files.load(tmp_path)
    assert [(s.action, s.trial) for s in dataset.sequences[::4]] == [("Eating", ""), ("Sitting", "2")]
    for sequence in dataset.sequences:
        back = cameras.camera_to_world(sequence.poses_3d, sequence.camera)
        np.testing.assert_allclose(back, poses[:, KEPT], atol=1e-5)
        np.testing.assert_array_equal(sequence.inputs_2d, cameras.project(sequence.poses_3d, sequence.camera))


def test_what_is_not_a_recording_is_not_read(tmp_path, motions):
    as_cdf(motions, tmp_path)
    places = [tmp_path / subject / "MyPoseFeatures/D3_Positions" for subject in motions]
    for place in places:
        for name in ("_ALL.cdf", "_ALL 1.cdf", "._Walking 1.cdf", "notes.txt"):
            (place / name).write_text("never read")
    (places[-1] / "Directions.cdf").write_text("never read")
    (tmp_path / "Poses_D3_Positions_S1.tgz").write_text("never read: it is unpacked beside")
    pack(tmp_path, "S11")
    raw_files.convert(tmp_path, tmp_path / "made")
    assert npz_files.load(tmp_path / "made").names("subject") == ("S1", "S9", "S11")


def convert_refused(source, output, message, error=DataError):
    before = sorted(output.iterdir()) if output.exists() else None
    with pytest.raises(error, match=message) as caught:
        raw_files.convert(source, output)
    assert len(str(caught.value).splitlines()) == 1
    assert "expected" in str(caught.value)
    assert (sorted(output.iterdir()) if output.exists() else None) == before


def changed(change):
    """Return a function that writes a changed S9/WalkingDog 2 in both forms."""

    def apply(poses, cdf, h5):
        poses = change(poses)
        write_cdf(cdf, poses.reshape(1, *poses.shape[:1], -1))
        write_h5(h5, poses.reshape(len(poses), -1).T)

    return apply


def with_nan(poses):
    poses[2, 9, 1] = np.nan
    return poses


def with_huge(poses):
    poses[2, 9, 1] = 1e300
    return poses


def both(cdf_content):
    return lambda poses, cdf, h5: [cdf.write_bytes(cdf_content(cdf)), h5.write_bytes(cdf_content(h5))]


def half(path):
    return path.read_bytes()[: path.stat().st_size // 2]


@pytest.mark.parametrize("form", ["cdf", "h5", "archives"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed(with_nan), "holds NaN or infinity at frame 2"),
        (changed(with_huge), "holds NaN or infinity at frame 2"),
        (changed(lambda poses: poses / 1000), "seems to be in metres, expected millimetres"),
        (changed(lambda poses: poses * 1000), "S9/WalkDog/2: .* in millimetres, expected metres"),
        (changed(lambda poses: poses[:, :17]), r"found float64 of shape \(15, 51\), expected .*\(frames >= 1, 96\)"),
        (changed(lambda poses: poses + [20000, 0, 0]), "S9/WalkDog/2/.* behind the camera"),
        (both(half), "damaged, cut short"),
        (both(lambda path: b""), "damaged, cut short"),
        (both(lambda path: b"not a file of numbers"), "damaged, cut short"),
        (
            lambda poses, cdf, h5: [write_cdf(cdf, poses, "Other"), write_h5(h5, poses, "other")],
            "expected .*(Pose|3D_positions)",
        ),
        (lambda poses, cdf, h5: [write_cdf(cdf, poses[:2]), write_h5(h5, poses)], r"found .* of shape \(.*32.*\)"),
        (
            lambda poses, cdf, h5: [write_cdf(cdf, np.float64([0])), write_h5(h5, "text")],
            "found|damaged",
        ),
    ],
)
def test_refused_recordings(tmp_path, motions, form, change, message):
    motions = {"S1": {"Walking 1": motions["S1"]["Walking 1"]}, "S9": motions["S9"]}
    as_cdf(motions, tmp_path / "cdf")
    as_h5(motions, tmp_path / "h5")
    cdf = tmp_path / "cdf/S9/MyPoseFeatures/D3_Positions/WalkingDog 2.cdf"
    h5 = tmp_path / "h5/S9/MyPoses/3D_positions/WalkingDog 2.h5"
    change(motions["S9"]["WalkingDog 2"], cdf, h5)
    where = "WalkingDog 2"
    if form == "archives":
        pack(tmp_path / "cdf", "S9")
        where = "Poses_D3_Positions_S9.tgz: S9/.*WalkingDog 2.cdf"
    if not message.startswith("S9/"):
        message = f"{where}.*({message})"
    source = tmp_path / ("h5" if form == "h5" else "cdf")
    convert_refused(source, tmp_path / "made", message)
    (tmp_path / "made").mkdir()
    convert_refused(source, tmp_path / "made", message)


@pytest.mark.parametrize("part", np.linspace(0, 0.99, 12))
def test_archives_that_are_cut_short(tmp_path, motions, part):
    as_archives({"S9": motions["S9"]}, tmp_path)
    archive = tmp_path / "Poses_D3_Positions_S9.tgz"
    archive.write_bytes(archive.read_bytes()[: int(part * archive.stat().st_size)])
    convert_refused(tmp_path, tmp_path / "made", "Poses_D3_Positions_S9.tgz: damaged, cut short")


def test_archives_with_one_wrong_byte(tmp_path, motions):
    as_archives({"S9": motions["S9"]}, tmp_path)
    archive = tmp_path / "Poses_D3_Positions_S9.tgz"
    content = bytearray(archive.read_bytes())
    content[-8] ^= 1  # in the checksum
    archive.write_bytes(content)
    convert_refused(tmp_path, tmp_path / "made", "Poses_D3_Positions_S9.tgz: damaged, cut short")


def test_archives_of_something_else(tmp_path, motions):
    as_cdf({"S9": motions["S9"]}, tmp_path)
    (tmp_path / "S9").rename(tmp_path / "S1")
    pack(tmp_path, "S1")
    (tmp_path / "Poses_D3_Positions_S1.tgz").rename(tmp_path / "Poses_D3_Positions_S9.tgz")
    convert_refused(tmp_path, tmp_path / "made", "S9.tgz: found no recordings, expected S9/MyPoseFeatures")


def test_archives_unpack_nothing(tmp_path, motions):
    """Links and paths that lead out of the archive are ignored."""
    as_archives({"S9": motions["S9"]}, tmp_path / "raw")
    with tarfile.open(tmp_path / "raw" / "Poses_D3_Positions_S1.tgz", "w:gz") as archive:
        link = tarfile.TarInfo("S1/MyPoseFeatures/D3_Positions/Walking.cdf")
        link.type, link.linkname = tarfile.SYMTYPE, "../../../secret.cdf"
        archive.addfile(link)
        outside = tarfile.TarInfo("../../S1/D3_Positions/Walking 1.cdf")
        content = (tmp_path / "raw/unpacked S9/MyPoseFeatures/D3_Positions/WalkingDog 2.cdf").read_bytes()
        outside.size = len(content)
        archive.addfile(outside, io.BytesIO(content))
    before = sorted(tmp_path.rglob("*"))
    raw_files.convert(tmp_path / "raw", tmp_path / "made")
    new = sorted(path.name for path in set(tmp_path.rglob("*")) - set(before))
    assert new == ["data_2d_h36m_gt.npz", "data_3d_h36m.npz", "made"]
    assert list(load_npz(tmp_path / "made/data_3d_h36m.npz")["positions_3d"].item()["S1"]) == ["Walking 1"]


def test_names_that_are_refused(tmp_path, motions):
    poses = motions["S1"]["TakingPhoto"]
    as_h5({"S1": {"TakingPhoto": poses, "Photo": poses}}, tmp_path / "twice")
    convert_refused(tmp_path / "twice", tmp_path / "made", "S1/Photo: found two recordings, expected")
    as_cdf({"S1": {"Photo.54138969": poses}}, tmp_path / "mono")
    convert_refused(tmp_path / "mono", tmp_path / "made", r"54138969.cdf: found poses of one camera \(D3_Positions_mono\)")
    as_mat({"S1": {"Photo.54138969": poses}}, tmp_path / "mono mat")
    convert_refused(tmp_path / "mono mat", tmp_path / "made", r"54138969.cdf.mat: found poses of one camera")
    as_mat({"S1": {"Photo": poses}}, tmp_path / "few", lambda path, found: write_version_5(path, {"other": poses}))
    convert_refused(tmp_path / "few", tmp_path / "made", r"Photo\.cdf\.mat: found the variables .*expected data")


def test_folders_that_are_refused(tmp_path, motions):
    convert_refused(tmp_path / "absent", tmp_path / "made", "absent: no such folder")
    looked_for = ["S1/MyPoseFeatures/D3_Positions/", "S1/D3_Positions/", "S1/MyPoses/3D_positions/", "_S1.tgz", "S11"]
    convert_refused(tmp_path, tmp_path / "made", "found no recordings.*" + ".*".join(looked_for))
    as_h5(motions, tmp_path / "raw")
    for name in raw_files.OUTPUTS:
        output = tmp_path / f"has {name}"
        output.mkdir()
        (output / name).write_text("mine")
        convert_refused(tmp_path / "absent", output, f"{name}: exists already", UserError)
        assert (output / name).read_text() == "mine"
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file: not a folder with write permission"):
        raw_files.convert(tmp_path / "raw", tmp_path / "file")


@pytest.mark.parametrize("form", ["cdf", "archives"])
def test_a_reader_that_is_not_installed(tmp_path, motions, monkeypatch, form):
    FORMS[form](motions, tmp_path)
    monkeypatch.setitem(sys.modules, "cdflib", None)
    convert_refused(tmp_path, tmp_path / "made", r"cdflib is not installed.*pip install -e '\.\[prepare\]'", UserError)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_nothing_is_left_when_it_is_interrupted(tmp_path, motions, monkeypatch, error):
    as_h5(motions, tmp_path / "raw")

    def interrupted(items):
        yield items[0]
        raise error

    with pytest.raises(error):
        raw_files.convert(tmp_path / "raw", tmp_path / "made", track=interrupted)
    assert not (tmp_path / "made").exists()

    def failing(function, name):
        def call(path, *arguments, **options):
            if name in str(path):
                raise error
            return function(path, *arguments, **options)

        return call

    for owner, function in ((np, "savez_compressed"), (raw_files.Path, "rename")):
        for name in raw_files.OUTPUTS:
            with monkeypatch.context() as patch:
                patch.setattr(owner, function, failing(getattr(owner, function), name))
                with pytest.raises(error):
                    raw_files.convert(tmp_path / "raw", tmp_path / "made")
            assert list((tmp_path / "made").iterdir()) == []
    raw_files.convert(tmp_path / "raw", tmp_path / "made")
