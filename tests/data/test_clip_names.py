from pathlib import Path

import pytest

from srnet_jax.data.mocap import clip_names
from srnet_jax.errors import DataError


@pytest.mark.parametrize(
    ("file", "key"),
    [
        ("HDM_bd_depositFloorR_001_120.amc", "bd/depositFloorR/001"),
        ("HDM_tr_05-03_02_120.amc", "tr/05-03/02"),
        ("dataset-2_raise-up-both-hands_active_104.bvh", "dataset-2/raise-up-both-hands/active_104"),
        ("fallAndGetUp2_subject3.bvh", "subject3/fallAndGetUp/2"),
        ("02_05.amc", "02/motion/02_05"),
        ("all/subjects/02/02_05.amc", "02/motion/02_05"),
        ("walk/135_10-daz.bvh", "135/walk/135_10-daz"),
        ("anna/jump_12.bvh", "anna/jump/12"),
        ("anna/jump.bvh", "anna/jump/jump"),
        ("anna/long jump-2b.bvh", "anna/long jump-2b/long jump-2b"),
        ("anna/0007.bvh", "anna/motion/0007"),
        ("jump3.bvh", "data/jump/3"),
        ("anna/20230501_120000.bvh", "anna/20230501/120000"),  # dates and times, not subjects of CMU
        ("anna/2023_05_01.bvh", "anna/2023_05/01"),
        ("anna/01_05_2023.bvh", "anna/01_05/2023"),
        ("anna/1_2.bvh", "anna/1/2"),
    ],
)
def test_names_say_subject_action_and_clip(tmp_path, file, key):
    path = tmp_path / "data" / file
    assert clip_names.clip_keys([path], tmp_path / "data") == {path: key}


def test_a_copy_of_a_file_of_cmu_changes_no_subject(tmp_path):
    files = [tmp_path / name for name in ("walk/02_05.bvh", "walk/07_01.bvh", "other/02_05.bvh")]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_text("HIERARCHY")
    assert [key.partition("/")[0] for key in clip_names.clip_keys(files, tmp_path).values()] == ["02", "07", "02"]
    files[2].write_text("another person")
    assert [key.partition("/")[0] for key in clip_names.clip_keys(files, tmp_path).values()] == ["walk", "walk", "other"]


@pytest.mark.parametrize(
    ("files", "keys"),
    [
        (("s1/bvh/walk_1", "s2/bvh/walk_1"), ("s1/walk/1", "s2/walk/1")),
        (("s1/bvh/walk_1", "s2/bvh/run_1"), ("s1/walk/1", "s2/run/1")),  # no two of one name, but subjects
        (("s1/a/bvh/walk_1", "s2/a/bvh/walk_1"), ("s1/walk/1", "s2/walk/1")),
        (("s1/walk/1", "s1/run/1", "s2/walk/1"), ("s1/walk/1", "s1/run/1", "s2/walk/1")),
        (("s1/day1/walk_1", "s1/day2/walk_1", "s2/day1/walk_1"), ("s1/walk/day1-1", "s1/walk/day2-1", "s2/walk/day1-1")),
        (("s1/d1/bvh/walk_1", "s1/d2/bvh/walk_1", "s2/d1/bvh/walk_1"), ("s1/walk/d1-1", "s1/walk/d2-1", "s2/walk/d1-1")),
        (("s1/bvh/walk_1", "s2/bvh/walk_1", "other/walk_1"), ("s1/walk/1", "s2/walk/1", "other/walk/1")),
        (("anna/walk_1", "bea/walk_1"), ("anna/walk/1", "bea/walk/1")),
        (("all/anna/walk_1", "all/bea/walk_1"), ("anna/walk/1", "bea/walk/1")),
        (("anna/01_01", "anna/01_02", "bea/01_01"), ("anna/01/01", "anna/01/02", "bea/01/01")),
        (("anna/walk1", "anna/walk_1"), ("anna/walk/walk1", "anna/walk/walk_1")),
        (("s1/bvh/walk1", "s1/bvh/walk_1", "s2/bvh/walk1"), ("s1/walk/walk1", "s1/walk/walk_1", "s2/walk/1")),
        (("anna/bvh/walk_1", "ben/walk_1"), ("anna/walk/1", "ben/walk/1")),
        (("anna/BVH/walk_1", "anna/c3d/run_1"), ("anna/walk/1", "anna/run/1")),
        (("anna/export/walk_1", "ben/walk_1"), ("anna/walk/1", "ben/walk/1")),
        (("all/anna/bvh/walk_1", "all/ben/walk_1"), ("anna/walk/1", "ben/walk/1")),
        (("all/anna/walk_1", "all/ben/walk_1", "cleo/walk_1"), ("anna/walk/1", "ben/walk/1", "cleo/walk/1")),
        (("bvh/walk_1", "walk_2"), ("bvh/walk/1", "{source}/walk/2")),
        (("s1/bvh/HDM_bd_walk_001_120", "s2/bvh/HDM_bk_walk_001_120"), ("bd/walk/001", "bk/walk/001")),
    ],
)
def test_subjects_may_be_folders_further_up(tmp_path, files, keys):
    paths = [tmp_path / f"{file}.bvh" for file in files]
    keys = (key.format(source=tmp_path.name) for key in keys)
    assert clip_names.clip_keys(paths, tmp_path) == dict(zip(paths, keys, strict=True))


@pytest.mark.parametrize(
    ("names", "file", "key"),
    [
        ("{subject}_{action}_{clip}", "any/anna_walk_03.bvh", "anna/walk/03"),
        ("{subject}_{action}_{clip}", "any/anna_walk_fast_3.bvh", "anna/walk/fast_3"),
        ("{action}-{subject}", "any/walk-anna.bvh", "anna/walk/walk-anna"),
        ("{subject}/*/{action}_{clip}", "anna/bvh/walk_03.bvh", "anna/walk/03"),
        ("{subject}/{action}/*", "x/anna/walk/03.bvh", "anna/walk/03"),
        ("mocap (*) {subject}.{clip}", "mocap (2025) anna.7.bvh", "anna/motion/7"),
        ("{subject}", "a/anna.bvh", "anna/motion/anna"),
    ],
)
def test_patterns(names, file, key):
    assert clip_names.parse(Path("data") / file, names) == key


def test_other_names_and_patterns_are_refused():
    with pytest.raises(DataError, match=r"walk\.bvh: found the name 'walk', expected one like '\{subject\}_\{clip\}'"):
        clip_names.parse(Path("walk.bvh"), "{subject}_{clip}")
    with pytest.raises(DataError, match="found the name"):  # an empty clip
        clip_names.parse(Path("anna_.bvh"), "{subject}_{clip}")
    for names in ("{action}_{clip}", "{subject}_{subject}", "{subject}_{person}", "{subject}_{}", 3, ["{subject}"]):
        with pytest.raises(DataError, match=r"found .*, expected text with \{subject\}"):
            clip_names.pattern(names)
