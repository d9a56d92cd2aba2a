import errno
import os

import pytest

from srnet_jax.io import files
from srnet_jax.io.files import remove, write_whole


@pytest.mark.parametrize("name", ["x.json", "x.json.tmp"])
def test_links_are_replaced_not_followed(tmp_path, name):
    (tmp_path / "precious").write_text("mine")
    (tmp_path / name).symlink_to(tmp_path / "precious")
    write_whole(tmp_path / "x.json", "new")
    assert (tmp_path / "precious").read_text() == "mine"
    assert (tmp_path / "x.json").read_text() == "new"
    assert not (tmp_path / "x.json").is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["precious", "x.json"]


def test_a_file_is_on_the_disk_before_it_takes_its_name(tmp_path, monkeypatch):
    order = []
    fsync = os.fsync
    monkeypatch.setattr(files.os, "fsync", lambda number: order.append(os.readlink(f"/proc/self/fd/{number}")) or fsync(number))
    monkeypatch.setattr(files.Path, "replace", lambda self, path: order.append(f"to {path}") or os.replace(self, path))
    write_whole(tmp_path / "x", b"new")
    assert order == [f"{tmp_path}/x.tmp", f"to {tmp_path}/x", str(tmp_path)]


def test_what_a_link_leads_to_is_not_removed(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    remove(tmp_path / "link")
    remove(tmp_path / "nothing")
    assert os.listdir(tmp_path) == ["folder"]
    remove(tmp_path / "folder" / "file")
    remove(tmp_path / "folder")
    assert os.listdir(tmp_path) == []


def test_a_full_disk_leaves_nothing_and_names_the_file(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_whole(tmp_path / "poses.npz", b"1")
    assert caught.value.filename == str(tmp_path / "poses.npz")
    assert not list(tmp_path.iterdir())
