"""Compare what the browser's readers find in keypoint files with what the package finds."""

import contextlib
import json
import os
import pickle
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from srnet_jax.errors import DataError
from srnet_jax.io.text import shown
from srnet_jax.keypoints import which_layout
from srnet_jax.keypoints.json_files import load_json
from srnet_jax.keypoints.keypoint_files import Hints
from srnet_jax.keypoints.tracks import Track
from srnet_jax.lifting.browser import reading_tables
from tests.fuzz.readers import READERS
from tests.keypoints import test_json_forms, test_keypoint_files, test_people_and_frames, test_table_forms
from tests.keypoints.builders import COCO, SIZE, WALK, walker, write_folder, write_json
from tests.lifting.browser.node import needs_node, run
from tests.lifting.browser.reading import browser_reads, case_of, difference

pytestmark = needs_node
ROOT = Path(__file__).parents[3]
FUZZED = [name for name in READERS if name.endswith((".json", ".csv", ".npy")) and "config" not in name] + ["keypoints.npz"]


def check(cases):
    """Check that the browser reads, or refuses, the files of cases as the package does."""
    kept = [case for case in cases if not case.is_left_out]
    assert kept
    found = browser_reads(kept)
    wrong = {
        f"{number} {case.files[0][0]} {case.hints}": wrong
        for number, (case, own) in enumerate(zip(kept, found, strict=True))
        if (wrong := difference(case, own))
    }
    assert wrong == {}
    assert max(own["ms"] for own in found) < 30_000
    return kept


def test_every_form_of_a_file(tmp_path):
    hints = Hints(image_size=SIZE)
    cases = []
    contents = [content for content, _ in test_json_forms.JSON.values()] + list(test_people_and_frames.ONE_PERSON.values())
    contents += [form(WALK, test_people_and_frames.OTHER) for form in test_people_and_frames.BY_PERSON.values()]
    contents.append(test_json_forms.annotations(WALK, COCO, "walk/{:06d}.jpg"))
    cases += [case_of(write_json(tmp_path / "walk.json", content), hints) for content in contents]
    cases += [
        case_of(write_json(tmp_path / "walk.json", form[0], lines=True), hints) for form in test_json_forms.LINES.values()
    ]
    for text, _ in test_table_forms.TABLES.values():
        (tmp_path / "walk.csv").write_bytes(text.encode())
        cases.append(case_of(tmp_path / "walk.csv", hints))
    for number, (name, content, _) in enumerate(test_json_forms.FOLDERS.values()):
        cases.append(case_of(write_folder(tmp_path / str(number), name, content), hints))
    for array in (WALK, WALK[None, ..., :2], WALK.reshape(25, -1), np.insert(WALK, 2, 0.1, axis=-1), WALK.transpose(0, 2, 1)):
        for given in (
            array,
            array.astype(">f4"),
            np.asfortranarray(array),
            (2 * array).astype(np.int16),
            array.astype(np.float16),
        ):
            np.save(tmp_path / "walk.npy", given)
            cases.append(case_of(tmp_path / "walk.npy", hints))
    two = {"keypoints": np.stack([WALK, WALK + [300, 0, 0]], 1), "times": np.cumsum(np.arange(25) % 3 + 1) / 30}
    np.savez_compressed(tmp_path / "two.npz", layout="coco", **two)
    cases.append(case_of(tmp_path / "two.npz"))
    assert len(check(cases)) > 100
    assert not [case.refused for case in cases if case.refused]


@pytest.mark.slow
def test_every_file_of_the_readers_tests(tmp_path):
    """Run the tests of the package's readers, record the files, and compare."""
    names = ("forms", "unusual_files", "current_tools", "table_forms", "keypoint_files", "people_and_frames", "confidences")
    tests = [f"tests/keypoints/test_{name}.py" for name in (*names, "times")]
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "tests.lifting.browser.recorder", *tests]
    recorded = tmp_path / "recorded"
    environment = os.environ | {"RECORDED_FILES": str(recorded), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
    kept = check(pickle.loads(recorded.read_bytes()))
    assert len(kept) > 400
    assert sum(case.refused is not None for case in kept) > 100


def damaged(folder, number):
    """Return cases of damaged files, some for each reader."""
    cases = []
    for name in FUZZED:
        reader = READERS[name]
        place = folder / name / reader.file
        place.parent.mkdir(parents=True)
        seeds = reader.seeds(folder / name)
        rng = random.Random(name)
        for _ in range(number):
            place.write_bytes(reader.damage(rng, rng.choice(seeds)))
            cases.append(case_of(place.parent if "/" in reader.file else place, Hints(image_size=(640, 480))))
    return cases


def test_damaged_files(tmp_path):
    check(damaged(tmp_path, 4))


@pytest.mark.slow
def test_many_damaged_files(tmp_path):
    check(damaged(tmp_path, 60))


def test_what_once_went_wrong(tmp_path):
    cases = []
    for crash in sorted((ROOT / "tests" / "fuzz" / "crashes").iterdir()):
        if (name := crash.name.rpartition(".")[0]) in FUZZED and "/" not in READERS[name].file:
            place = tmp_path / READERS[name].file
            place.write_bytes(crash.read_bytes())
            cases.append(case_of(place, Hints(image_size=(640, 480))))
    assert len(check(cases)) > 8


@pytest.mark.parametrize("middle", [" " * 200_000, " " * 100_000, "1" * 100_000])
def test_long_texts_take_no_quadratic_time(tmp_path, middle):
    """A cell, a value and a joint's name of so many letters: the run would time out."""
    long, cases = f"1{middle}x", []
    named = [{"nose": [row, 2, 1], "left_eye": [4, row, 1], "right_eye": [7, 8, 1], long: [1, 2, 1]} for row in range(1, 4)]
    for content in ({"frames": [{"people": long}]}, [{"keypoints": one} for one in named], {"frames": [{"keypoints": long}]}):
        cases.append(case_of(write_json(tmp_path / "a.json", content)))
    for number, cell in enumerate((long, f" 1{middle}2 ", f"{middle}1.5")):
        (tmp_path / f"{number}.csv").write_text(f"frame,nose_x,nose_y\n0,1,2\n1,{cell},2\n")
        cases.append(case_of(tmp_path / f"{number}.csv"))
    check(cases)


def test_complex_numbers_are_named_as_numpy_names_them(tmp_path):
    np.save(tmp_path / "a.npy", WALK.astype(complex))
    np.savez(tmp_path / "a.npz", keypoints=WALK.astype(np.complex64))
    for name, found in (("a.npy", "complex128"), ("a.npz", "complex64")):
        case = case_of(tmp_path / name)
        (own,) = browser_reads([case])
        assert f"found {found} of shape (25, 17, 3)" in own["refused"]
        assert f"found {found} of shape (25, 17, 3)" in case.refused


def test_what_a_browser_does_not_read_is_refused_by_name(tmp_path):
    people = {None: test_keypoint_files.person()}
    cases = [
        case_of(test_keypoint_files.write_videopose3d(tmp_path / "a.npz", people)),
        case_of(test_keypoint_files.write_detectron2(tmp_path / "b.npz", people)),
        case_of(write_json(tmp_path / "c.json", WALK.tolist()), Hints("yolo_txt")),
    ]
    for found in browser_reads(cases):
        assert found["isOurs"]
        assert "browser" in found["refused"]
        assert "Python package" in found["refused"]


def test_what_the_user_says_replaces_what_the_file_says(tmp_path):
    np.savez(tmp_path / "a.npz", keypoints=WALK, fps=25.0, image_size=SIZE, layout="h36m")
    script = """
      const { readFiles } = await load('read.js');
      const options = { layout: 'coco', fps: 50, imageSize: [640, 480] };
      const file = { name: 'a.npz', bytes: inputs.bytes };
      const read = (more) => readFiles([file], inputs.tables, { ...options, ...more }).catch((error) => error.message);
      return [await read({}), await read({ minConfidence: 0.8 }), await read({ fps: 0 }), await read({ layout: 'dog' })];
    """
    found = run(script, bytes=(tmp_path / "a.npz").read_bytes(), tables=reading_tables.tables())
    ((track,), nobody, slow, dog) = found
    assert (track["layout"], track["fps"], track["imageSize"]) == ("coco", 50, [640, 480])
    assert nobody == "a.npz: found no person in any frame"
    assert slow == "fps: found 0, expected 0.1 to 10,000 frames per second"
    assert dog.startswith("a.npz: layout 'dog': not known, expected one of coco, ")


SYNTAX = """[1,] {"a":1,} [01] [1.] [.5] [+1] [-] [1e5] [NaN,Infinity,-Infinity] ['a'] ["\\x"] {"a":1,"a":2} [1]2 [1 [nan]
[tru] [1e400,-0,1E+2] {"a"} {1:2} [true,false,null] ["\\ud83d\\ude00\\n"] {"b":1,"10":2,"9":[3,{}],"__proto__":null}"""
JSON_TEXTS = SYNTAX.split()
JSON_TEXTS += [f"[{'9' * 400}]", f"[{'9' * 5000}]", "[" * 100_000, '{"a": 1}\n\n{"b": 2}\r\n', '{"a": 1}\n{"b": 2', "\ufeff[]"]
JSON_TEXTS += ['["[1]", "{}"]', '["[1]", "2"]', "", " ", "[1 2]", '["é\u2028"]', '["\t"]']


def test_json_is_what_python_says_it_is(tmp_path):
    script = """
      const { loadJson } = await load('json.js');
      const plain = (value) => value instanceof Map ? { entries: [...value].map(([key, one]) => [key, plain(one)]) }
        : Array.isArray(value) ? value.map(plain) : typeof value === 'bigint' ? 'bigint' : value === Infinity ? 'inf' : value;
      return inputs.texts.map((text) => {
        try { return { value: plain(loadJson(new TextEncoder().encode(text), 'x', {})) }; } catch (error) { return error.name; }
      });
    """

    def plain(value):
        if isinstance(value, dict):
            return {"entries": [[key, plain(one)] for key, one in value.items()]}
        if isinstance(value, list):
            return [plain(one) for one in value]
        return "inf" if value == np.inf else "bigint" if isinstance(value, int) and abs(value) > 1e300 else value

    for text, own in zip(JSON_TEXTS, run(script, texts=JSON_TEXTS), strict=True):
        (tmp_path / "x.json").write_bytes(text.encode())
        try:
            expected = {"value": plain(load_json(tmp_path / "x.json"))}
        except DataError:
            expected = "UserError"
        assert own == expected, text[:100]


NUMBERS = "1 1.5 1. .5 . +1e5 1e 0x10 1_0 1__0 _1 inf -Infinity nan ١٢ 𝟗 1e400 1,5 --1 ² E5 1e5_0 infinit"
WORDS = NUMBERS.split()
WORDS += ["", " 1.5 ", "9" * 400, "1 2", "a\u2028", "é b", "\ud800", "x\x7f", "it's", "x" * 70]


def test_numbers_and_letters_are_what_python_says_they_are():
    script = """
      const { toNumber, isPrintable, isDecimal, shown, general } = await load('text.js');
      return inputs.words.map((word) => [String(toNumber(word)), isPrintable(word), isDecimal(word), shown(word)])
        .concat(inputs.numbers.map((number) => [general(number), general(number, 3)]));
    """
    numbers = [0, 1, -1.5, 1e-5, 0.0001, 123456, 1234567, 1e22, 99999.95, 1 / 3]
    found = run(script, words=WORDS, numbers=numbers)

    def number(word):
        try:
            value = float(word)
        except ValueError:
            return "null"
        return {np.inf: "Infinity", -np.inf: "-Infinity"}.get(value) or json.dumps(value).removesuffix(".0")

    for word, own in zip(WORDS, found, strict=False):
        assert own == [number(word), word.isprintable(), word.isdecimal(), shown(word)], ascii(word)
    assert found[len(WORDS) :] == [[f"{value:g}", f"{value:.3g}"] for value in numbers]


def test_implausible_people_are_warned_of():
    points = walker("h36m")
    sure = points[..., 2].astype(np.float32)
    noise = np.random.default_rng(0).uniform(100, 500, (25, 17, 2))
    variants = [
        (points[..., :2], "h36m", ""),
        (points[..., :2], "coco", "joint distances do not fit a person in layout coco; they fit layout h36m"),
        (points[..., :2] * [1, -1] + [0, 720], "h36m", "found people upside down"),
        (points[..., [1, 0]], "h36m", "found lying people in most frames"),
        (noise, "coco", "joint distances do not fit a person in layout coco"),
    ]
    script = """
      const { warnIfImplausible } = await load('which_layout.js');
      return inputs.tracks.map((track) => {
        const warnings = [];
        warnIfImplausible(track, inputs.tables, (message) => warnings.push(message));
        return warnings;
      });
    """
    shape = {"name": "walk", "confidences": sure, "frames": 25, "joints": 17, "fps": 30}
    tracks = [{**shape, "keypoints": given.astype(np.float32), "layout": layout} for given, layout, _ in variants]
    answers = run(script, tracks=tracks, tables=reading_tables.tables())
    for (given, layout, expected), found in zip(variants, answers, strict=True):
        track = Track("walk", given.astype(np.float32), sure, 0, layout, SIZE, 30, np.ones(25, bool))
        with pytest.warns(UserWarning, match=expected) if expected else contextlib.nullcontext():
            which_layout.warn_if_implausible(track)
        assert len(found) == bool(expected)
        assert all(expected in message for message in found)
