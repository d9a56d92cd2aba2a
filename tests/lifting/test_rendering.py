"""Films, sheets and pages: what is drawn, in what time, and that a page needs nothing else and cannot be broken into."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from srnet_jax.errors import UserError
from srnet_jax.lifting import rendering, webpage
from srnet_jax.lifting import scene as scenes
from srnet_jax.pose.layouts import find
from srnet_jax.pose.skeleton import H36M_17


@pytest.fixture
def scene(rng):
    layout = find("coco")
    return scenes.Scene(
        keypoints_2d=rng.uniform(100, 900, (30, 17, 2)).astype(np.float32),
        bones_2d=layout.bones,
        sides_2d=("left",) * len(layout.bones),
        names_2d=layout.joints,
        poses=rng.normal(0, 0.4, (30, 17, 3)).astype(np.float32),
        estimated=np.zeros((30, 17), bool),
        image_size=(1920, 1080),
        fps=25.0,
        title="a </script><b>dance</b> __DATA__",
        first_frame=7,
    )


def test_a_gif_keeps_real_time_and_the_end():
    for count, fps in ((30, 25.0), (100, 12.0), (5000, 30.0), (1, 50.0)):
        frames, shown = rendering.film_frames(count, fps)
        assert len(frames) <= 300
        assert shown <= 12.5
        assert len(frames) / shown == pytest.approx(count / fps, abs=1 / shown)
        assert frames[-1] + fps / shown >= count


def test_pictures_are_written(scene, tmp_path):
    rendering.render(scene, tmp_path / "x.png")
    rendering.render(scene, tmp_path / "x.gif")
    with Image.open(tmp_path / "x.png") as sheet, Image.open(tmp_path / "x.gif") as film:
        assert sheet.width > 1000
        assert film.n_frames == 15
        first = np.asarray(film.convert("RGB"))
        film.seek(7)
        assert (np.asarray(film.convert("RGB")) != first).any()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.gif", "x.png"]  # no drafts


def test_bones_to_estimated_joints_are_dashed(scene, tmp_path):
    """Only in the frames where they are estimates; the drawing and the page both say what a dashed line is."""
    assert "Dashed" not in webpage.page(scene)
    scene.estimated[2, [3, 6]] = True
    page = webpage.page(scene)
    assert "Dashed: to joints that were not seen" in page
    assert json.loads(re.search(r"application/json\">(.*?)</script>", page, re.S)[1])["estimated"][1:4] == [[], [3, 6], []]
    axes = rendering.Figure().subplots()
    show = rendering._show_solid(axes, scene, np.arange(30))
    dashed = []
    for frame in (1, 2):
        show(frame)
        dashed.append([style[1] is not None for style in axes.collections[0].get_linestyle()])
    assert not any(dashed[0])
    assert [bone for bone, is_dashed in zip(scenes.bones_3d()[0], dashed[1], strict=True) if is_dashed] == [(2, 3), (5, 6)]


def test_a_scene_of_one_frame_is_drawn(scene, tmp_path):
    one, _ = scenes.thinned(scene, 1)
    for suffix in (".png", ".gif", ".html"):
        rendering.render(one, tmp_path / f"x{suffix}")


def test_what_cannot_be_drawn_is_said(scene, tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"x\.bmp: expected a name ending in \.html, \.gif, \.mp4, \.png"):
        rendering.render(scene, tmp_path / "x.bmp")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setitem(__import__("sys").modules, "imageio_ffmpeg", None)
    with pytest.raises(UserError, match=r"needs ffmpeg, which is not installed; \.html and \.gif need nothing"):
        rendering.render(scene, tmp_path / "x.mp4")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="needs ffmpeg")
def test_an_mp4_is_written(scene, tmp_path):
    rendering.render(scene, tmp_path / "x.mp4")
    assert (tmp_path / "x.mp4").read_bytes()[4:8] == b"ftyp"


def test_the_raised_view_shows_what_is_up_as_up():
    """A point above the hip is drawn above it, one to the right of it to the right, one nearer the camera lower."""
    points = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, -1]])
    (_, up), (right, _), (_, near) = rendering.turned(points)
    assert up < -0.9
    assert right > 0.8
    assert near > 0.1


def test_every_bone_has_the_side_of_its_joint():
    bones, sides = scenes.bones_3d()
    assert len(bones) == 16
    assert {joint for (_, joint), side in zip(bones, sides, strict=True) if side == "left"} == set(H36M_17.joints_left)


def test_a_page_holds_the_numbers(scene):
    page = webpage.page(scene)
    data = json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)[1])
    np.testing.assert_allclose(np.array(data["poses"]).reshape(30, 17, 3) / 1000, scene.poses, atol=6e-4)
    np.testing.assert_allclose(np.array(data["keypoints"]).reshape(30, 17, 2), scene.keypoints_2d, atol=0.06)
    assert (data["fps"], data["first"], data["step"], data["size"]) == (25.0, 7, 1, [1920, 1080])


def test_a_page_needs_nothing_and_a_title_is_text(scene):
    page = webpage.page(scene)
    assert not re.search(r"(src|href)=|https?://|@import|url\(", page)
    assert page.count("</script>") == 2
    assert "<h1>a &lt;/script&gt;&lt;b&gt;dance&lt;/b&gt; __DATA__</h1>" in page


def test_a_long_video_is_thinned_on_the_page(scene, monkeypatch):
    monkeypatch.setattr(webpage, "_MOST_FRAMES", 10)
    page = webpage.page(scene)
    assert "One in 3 frames of the video is shown." in page
    assert '"step":3' in page


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Chromium")
def test_a_browser_draws_the_page(scene, tmp_path):
    rendering.render(scene, tmp_path / "x.html")
    quiet = ("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync")
    command = ["chromium", "--headless", "--no-sandbox", *quiet, f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--virtual-time-budget=1000", "--dump-dom", f"file://{tmp_path / 'x.html'}"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False).stdout
    body = re.search(r"<body[^>]*>", shown)[0]
    assert "data-error" not in body
    assert re.search(r'data-drawn="\d+"', body)
