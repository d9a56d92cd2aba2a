"""Test films, pictures and pages: what is drawn, when, and that a page is self-contained and safe against injection."""

import dataclasses
import importlib.util
import json
import re
import shutil
import subprocess

import av
import numpy as np
import pytest
from PIL import Image

from srnet_jax.errors import UserError
from srnet_jax.lifting import rendering, webpage
from srnet_jax.lifting import scene as scenes
from srnet_jax.pose.layouts import find
from srnet_jax.pose.skeleton import H36M_17
from tests.keypoints import videos


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
    """Bones are dashed only in frames in which a joint is estimated; the drawing and the page explain dashed lines."""
    assert "Dashed" not in webpage.page(scene)
    scene.estimated[2, [3, 6]] = True
    page = webpage.page(scene)
    assert "Dashed bones end in joints that were not seen" in page
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
    with pytest.raises(UserError, match=r"needs ffmpeg, which is not installed; \.html and \.gif do not need it"):
        rendering.render(scene, tmp_path / "x.mp4")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo some notes >&2; echo 'Unknown encoder h264' >&2; exit 8", r"cannot write it \(Unknown encoder h264\)"),
        ("cat > /dev/null; echo half > {path}; exit 3", r"cannot write it \(exit code 3\)"),
        ("cat > /dev/null", "has written nothing"),
    ],
)
def test_an_ffmpeg_that_fails_is_one_line_and_leaves_nothing(scene, tmp_path, monkeypatch, script, reason):
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\nfor path; do :; done\n" + script.replace("{path}", '"$path"') + "\n")
    program.chmod(0o755)
    monkeypatch.setattr(rendering, "find_ffmpeg", lambda path: str(program))
    short, _ = scenes.thinned(scene, 3)
    with pytest.raises(UserError, match=rf"x\.mp4: ffmpeg {reason}; \.html and \.gif do not need ffmpeg") as failed:
        rendering.render(short, tmp_path / "x.mp4")
    assert "\n" not in str(failed.value)
    assert [path.name for path in tmp_path.iterdir()] == ["ffmpeg"]


needs_ffmpeg = pytest.mark.skipif(
    not (shutil.which("ffmpeg") or importlib.util.find_spec("imageio_ffmpeg")), reason="needs ffmpeg"
)


@needs_ffmpeg
def test_an_mp4_is_written(scene, tmp_path):
    short, _ = scenes.thinned(scene, 3)
    rendering.render(short, tmp_path / "x.mp4")
    assert (tmp_path / "x.mp4").read_bytes()[4:8] == b"ftyp"


def over_images(scene, **changes):
    """Return a scene with images that encode their frame number, and the list of the numbers requested so far."""
    asked = []

    def images(numbers):
        for number in numbers.tolist():
            asked.append(number)
            yield number, videos.numbered(number + 1, scene.image_size)[-1]

    return dataclasses.replace(scene, images=images, **changes), asked


@pytest.fixture
def small(scene):
    """Return six frames, every second one of a video from frame 7, with a person in the middle of 640 x 480 pixels."""
    keypoints = np.random.default_rng(0).uniform([260, 180], [380, 300], (6, 17, 2)).astype(np.float32)
    parts = {"poses": scene.poses[:6], "estimated": scene.estimated[:6], "keypoints_2d": keypoints}
    return dataclasses.replace(scene, image_size=(640, 480), every=2, **parts)


def shown_number(picture, left, right):
    """Return the frame number that `numbered` encoded in these columns of a drawing, away from bones."""
    part = np.asarray(picture.convert("RGB"))[:, left:right].reshape(-1, 3).astype(int)
    part = part[(part[:, 0] > 0) & (abs(part[:, 1:]).max(1) < 30)]  # only red
    return round(float(np.median(part[:, 0])) / videos.STEP)


def test_each_pose_is_over_its_own_frame(small, tmp_path):
    over, asked = over_images(small)
    rendering.render(over, tmp_path / "x.png")
    assert asked == [7, 9, 11, 13, 15, 17]
    with Image.open(tmp_path / "x.png") as sheet:
        width = sheet.width / 6
        found = [
            shown_number(sheet.crop((0, 0, sheet.width, sheet.height // 2)), int(i * width), int((i + 1) * width))
            for i in range(6)
        ]
    assert found == asked
    over, _ = over_images(small)
    rendering.render(over, tmp_path / "x.gif")
    with Image.open(tmp_path / "x.gif") as film:
        found = []
        for index in range(film.n_frames):
            film.seek(index)
            found.append(shown_number(film, 0, film.width // 2))
    assert found == [7, 11, 15]  # 25 frames a second are thinned to 12.5


def test_an_image_that_is_damaged_is_blank(small):
    over, _ = over_images(small)
    rows = np.arange(6)
    backdrop = rendering._Backdrop(((number, np.full((1, 1), number)) for number in (7, 11, 17)), over.numbers)
    assert [None if (image := backdrop.at(row)) is None else int(image[0, 0]) for row in rows] == [7, None, 11, None, None, 17]


def test_what_is_shown_of_an_image_holds_the_person_and_no_more_than_there_is():
    def window(low, high, size=(1920, 1080)):
        return rendering._window(np.array([[low, high]], np.float64), 1, size).ravel().tolist()

    assert window((900, 500), (1000, 600)) == [950 - 240, 550 - 240, 950 + 240, 550 + 240]  # a quarter of the longer side
    assert window((0, 0), (100, 100)) == [0, 0, 480, 480]  # in a corner
    left, top, right, bottom = window((100, 300), (1800, 800))  # across it
    assert (top, bottom) == (0, 1080)
    assert left == 0
    assert right == pytest.approx(1920)
    assert window((-200, 100), (300, 700))[0] == -200  # beside it
    assert window((-5000, 100), (300, 700))[0] == -960  # far beside it
    assert window((300, 100), (500, 900), (608, 1080)) == [0, 0, 608, 2 * 520]  # upright


@needs_ffmpeg
def test_an_mp4_of_uneven_times_plays_in_real_time(small, tmp_path):
    """Each frame is shown at its time, to the step of the film."""
    times = 0.2 + np.array([0, 0.05, 0.11, 0.15, 0.29, 0.33])
    over, _ = over_images(small, times=times)
    rendering.render(over, tmp_path / "x.mp4")
    found = []
    with av.open(str(tmp_path / "x.mp4")) as film:
        for frame in film.decode(video=0):
            picture = frame.to_image()
            found.append((frame.time, shown_number(picture, 0, picture.width // 2)))
    for row, time in enumerate(times - times[0]):
        first = next(seconds for seconds, number in found if over.numbers[row] - number in (0, 1))  # the .gif rounds colours
        assert first == pytest.approx(time, abs=0.021)
    assert found[-1][0] == pytest.approx(0.32, abs=0.021)


def durations(path):
    """Return how long each frame of a .gif lasts, milliseconds."""
    with Image.open(path) as film:
        found = []
        for index in range(film.n_frames):
            film.seek(index)
            found.append(film.info["duration"])
    return found


def test_a_gif_of_uneven_times_plays_in_real_time(small, tmp_path):
    times = np.array([0.2, 0.3, 0.4, 0.61, 0.9, 1.0])
    rendering.render(dataclasses.replace(small, times=times, fps=6.0), tmp_path / "x.gif")
    assert durations(tmp_path / "x.gif") == [100, 100, 210, 290, 100, 170]


def test_a_gif_has_no_frames_of_no_time(small, tmp_path):
    """Several frames fall into the same hundredth of a second, before a pause without frames."""
    times = np.array([0.0, 0.1199, 0.1201, 0.4, 0.5, 0.6])
    rendering.render(dataclasses.replace(small, times=times, fps=6.0), tmp_path / "x.gif")
    assert durations(tmp_path / "x.gif") == [120, 280, 100, 100, 170]


def test_the_poses_of_a_sheet_are_evenly_spaced_in_time(small, tmp_path, monkeypatch):
    """Frames 0 to 10 take as long as the 40 frames that follow."""
    drawn = []
    monkeypatch.setattr(rendering, "_clock", lambda scene, frame: drawn.append(int(frame)) or "")
    again = np.arange(51) % 6
    times = np.concatenate([np.arange(10) / 10, 1 + np.arange(41) / 40])
    parts = {"poses": small.poses[again], "estimated": small.estimated[again], "keypoints_2d": small.keypoints_2d[again]}
    rendering.render(dataclasses.replace(small, times=times, fps=25.0, **parts), tmp_path / "x.png")
    assert drawn == [0, 4, 8, 18, 34, 50]


def test_a_gif_lasts_as_long_as_the_video(scene, tmp_path):
    """The format has a resolution of 0.01 s, so at 7.5 frames a second frames last 130 or 140 ms."""
    rendering.render(dataclasses.replace(scene, fps=7.5), tmp_path / "x.gif")
    total = 0
    with Image.open(tmp_path / "x.gif") as film:
        for index in range(film.n_frames):
            film.seek(index)
            total += film.info["duration"]
    assert total == 4000


def test_a_page_has_the_times_of_uneven_frames(small):
    times = np.array([0.2, 0.3, 0.4, 0.61, 0.9, 1.0])
    for scene, expected in ((small, None), (dataclasses.replace(small, times=times), times.tolist())):
        data = json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', webpage.page(scene), re.S)[1])
        assert data["times"] == expected
        assert (data["first"], data["step"]) == (7, 2)


def test_the_raised_view_shows_what_is_up_as_up():
    """A point above the hip is drawn above it, a point to its right at its right, and a nearer point lower."""
    points = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, -1]])
    (_, up), (right, _), (_, near) = rendering.seen_from_aside(points)
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
    assert "The page shows one in 3 frames of the video." in page
    assert '"step":3' in page


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Chromium")
def test_a_browser_draws_the_page(scene, tmp_path):
    rendering.render(scene, tmp_path / "x.html")
    quiet = ("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync")
    command = ["chromium", "--headless", "--no-sandbox", *quiet, f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--virtual-time-budget=10000", "--dump-dom", f"file://{tmp_path / 'x.html'}"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False).stdout
    body = re.search(r"<body[^>]*>", shown)[0]
    assert "data-error" not in body
    assert re.search(r'data-drawn="\d+"', body)
