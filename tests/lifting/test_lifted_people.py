"""The people of a file as a sequence that is printed, saved and shown."""

import doctest
import html
import sys
import tempfile
import types
import webbrowser
from pathlib import Path

import numpy as np
import pytest

from srnet_jax.errors import UserError
from srnet_jax.lifting import lifter as lifter_lib
from srnet_jax.lifting import show
from srnet_jax.lifting.lifted_people import LiftedPeople
from srnet_jax.lifting.lifter import load
from tests.keypoints import videos
from tests.keypoints.builders import FRAMES, walker

WALK = Path(__file__).parent / "walk.json"


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    path = tmp_path_factory.mktemp("two") / "two.npz"
    np.savez(path, keypoints=np.stack([walker("coco"), walker("coco", 300)], 1), fps=25.0, image_size=(1280, 720))
    return load("single").lift_file(path, layout="coco")


def test_people_are_a_sequence(people):
    assert [person.name for person in people] == ["person_1", "person_2"]
    assert people[1] is list(people)[1]
    assert isinstance(people[1:], LiftedPeople)
    assert [person.name for person in people[1:]] == ["person_2"]
    (only,) = people[:1]
    assert only.poses_3d.shape == (FRAMES, 17, 3)


def test_people_print_what_a_reader_wants_to_know(people):
    head, first, second = repr(people).split("\n")
    assert head.startswith("2 people in ")
    assert head.endswith("two.npz, lifted by the network single to 17 joints in metres")
    assert first.startswith("  person_1: 25 frames, 1.0 s at 25 fps, detected in 100% of the frames, expected error ")
    error = f"{1000 * people[1].expected_error_m:.0f} mm"
    assert second == f"  person_2: 25 frames, 1.0 s at 25 fps, detected in 100% of the frames, expected error {error}"
    assert f"detected in 100% of the frames, expected error {error}" in repr(people[1])
    many = LiftedPeople(list(people) * 15, "x.json")
    assert repr(many).endswith("\n  ... and 10 more")
    assert repr(LiftedPeople([], "x.json")) == "0 people in x.json"


def test_people_are_saved_as_the_command_saves_them(people, tmp_path):
    for suffix in (".npz", ".trc", ".csv", ".bvh", ".html", ".png"):
        written = people.save(tmp_path / f"x{suffix}")
        assert [path.name for path in written] == [f"x_person_1{suffix}", f"x_person_2{suffix}"]
        assert all(path.stat().st_size > 1000 for path in written)
    assert [path.name for path in people.save_angles(tmp_path / "x.mot")] == ["x_person_1.mot", "x_person_2.mot"]
    assert [path.name for path in people[:1].save(tmp_path / "y.bvh")] == ["y.bvh"]
    people[1].save(tmp_path / "z.html")
    assert (tmp_path / "z.html").read_text() == (tmp_path / "x_person_2.html").read_text()
    with pytest.raises(UserError, match=r"x\.jpg: expected a name ending in \.npz or .* or \.png in a folder that exists"):
        people.save(tmp_path / "x.jpg")


def test_a_film_shows_the_video(tmp_path):
    videos.write(tmp_path / "walk.mp4", videos.numbered(FRAMES, (640, 720)), np.arange(FRAMES) / 10)
    np.savez(tmp_path / "walk.npz", keypoints=walker("coco"))
    (person,) = load("single").lift_file(tmp_path / "walk.npz", layout="coco", video=tmp_path / "walk.mp4", start=0.5, every=5)
    assert person.image_size == (640, 720)
    np.testing.assert_allclose(person.seconds, [0.5, 1, 1.5, 2])
    assert [number for number, _ in person.images(person.frames)] == [5, 10, 15, 20]
    person.save(tmp_path / "x.png")
    with pytest.raises(UserError, match=r"walk\.mp4: is read too, expected another file"):
        load("single").lift_file(tmp_path / "walk.npz", layout="coco", video=tmp_path / "walk.mp4").save(tmp_path / "walk.mp4")


def test_outside_of_a_notebook_the_page_opens_in_a_browser(people, monkeypatch, capsys, tmp_path):
    opened = []
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or True)
    path = people[0].show()
    assert opened == [path.as_uri()]
    assert "openPlayer(" in path.read_text()
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    path = people.show()
    assert capsys.readouterr().out == f"open this page in a browser: {path}\n"
    text = path.read_text()
    assert "<option>person_1</option><option>person_2</option>" in text
    assert text.count("</script>") == 2  # the pages are data and end no script


def test_in_a_notebook_the_page_is_displayed(people, monkeypatch):
    shown = []
    shell = types.SimpleNamespace(kernel=object())
    display = types.SimpleNamespace(HTML=lambda text: text, display=shown.append)
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell, display=display))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    assert people[:1].show() is None
    (text,) = shown
    assert text.startswith("<div><iframe ")
    assert html.escape(people[:1].page()) in text


def test_a_page_of_one_person_is_that_person_s_page(people):
    assert show.together({"a": "<p>"}) == "<p>"
    both = show.together({"<a>": "<p></script>", "b": "__TITLE__"})
    assert "<option>&lt;a&gt;</option>" in both
    assert '["\\u003cp>\\u003c/script>", "__TITLE__"]' in both


def test_the_examples_in_docstrings_run(monkeypatch):
    monkeypatch.chdir(WALK.parent.parent.parent)
    done = doctest.testmod(lifter_lib)
    assert (done.failed, done.attempted > 2) == (0, True)
