"""Finding the motion files in a folder, and writing a report on them."""

import numpy as np
import pytest

from srnet_jax.data import prepare
from srnet_jax.data.mocap import conversion, motion_files
from srnet_jax.errors import DataError
from tests.data.test_mocap import walk, write_bvh


def test_what_lies_beside_motions_is_passed_over(tmp_path):
    (tmp_path / "walk.bvh").touch()
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "._walk.bvh").write_bytes(b"\0\5\x16\7")
    np.savez(tmp_path / "clips.npz", fps=30.0, **{"a/walk/1": np.zeros((2, 17, 3), np.float32)})
    np.savez(tmp_path / "poses.npz", poses=np.zeros((2, 156)))
    (tmp_path / "damaged.npz").write_bytes(b"PK")
    assert [file.name for file in motion_files.find(tmp_path)] == ["damaged.npz", "poses.npz", "walk.bvh"]
    assert motion_files.find(tmp_path / "clips.npz") == [tmp_path / "clips.npz"]
    with pytest.raises(DataError, match="joint positions, which need no conversion"):
        motion_files.read(tmp_path / "clips.npz", [])


def test_a_folder_that_is_no_unicode_is_converted_and_reported(tmp_path):
    write_bvh(tmp_path / "s\udcff" / "dataset-1_walk_old_1.bvh", walk(5, 30), 30)
    output, report = tmp_path / "x.npz", tmp_path / "x.html"
    for _ in range(2):  # a report is replaced
        done = prepare.mocap_file(tmp_path, output, skeleton=None, options=conversion.Options(), report_file=report)
        assert "wrote 1 clip of 1 subject (dataset-1), 5 frames" in done.written
        assert "s\\udcff" in report.read_text()
        output.unlink()
