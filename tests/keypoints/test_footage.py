"""Frames of videos and pictures: numbers, orientation, times, and the focal length in the metadata."""

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from srnet_jax.errors import DataError, UserError
from srnet_jax.keypoints import footage
from tests.keypoints import videos

UNEVEN = np.concatenate([np.arange(20) / 60, 20 / 60 + np.arange(20) / 30, 1.0 + np.arange(20) / 15])
UNEVEN[40:] += 0.5  # a pause


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    return videos.write(tmp_path_factory.mktemp("videos") / "uneven.mp4", videos.numbered(60), UNEVEN)


def test_times_are_those_of_the_container(uneven):
    found = footage.open_footage(uneven)
    np.testing.assert_allclose(found.times, UNEVEN, atol=1e-4)  # the resolution of the time stamps
    assert found.uneven
    assert found.fps == pytest.approx(59 / UNEVEN[-1])
    assert found.image_size == (64, 48)
    assert found.focal is None


def test_a_rate_that_is_given_is_the_one_clock(uneven):
    found = footage.open_footage(uneven, fps=40.0)
    np.testing.assert_allclose(found.times, np.arange(60) / 40)
    assert (found.fps, found.uneven) == (40, False)
    np.testing.assert_array_equal(found.stamps, footage.open_footage(uneven).stamps)  # the time stamps, which locate the images


def test_even_times_are_left_to_the_rate(tmp_path):
    for name in ("x.mp4", "x.mkv"):  # .mkv stores whole milliseconds
        found = footage.open_footage(videos.write(tmp_path / name, videos.numbered(10), np.arange(10) / 30))
        assert not found.uneven
        assert found.fps == pytest.approx(30)


@pytest.mark.parametrize("wanted", [[0], [59], [7, 8, 9], [3, 58], range(60), range(0, 60, 7), [11, 50, 51]], ids=str)
def test_the_frames_in_demand_are_given(uneven, wanted, monkeypatch):
    monkeypatch.setattr(footage, "_FAR", 12)  # so that it seeks
    found = list(footage.images(footage.open_footage(uneven), wanted))
    assert [number for number, _ in found] == list(wanted)
    assert [videos.number(image) for _, image in found] == list(wanted)


def test_frames_before_a_part_are_not_decoded(uneven, monkeypatch):
    decoded = []
    upright = footage._decoded

    def counting(*arguments):
        for frame in upright(*arguments):
            decoded.append(frame.pts)
            yield frame

    video = footage.open_footage(uneven)
    monkeypatch.setattr(footage, "_decoded", counting)
    assert [number for number, _ in footage.images(video, [55, 56])] == [55, 56]
    assert len(decoded) <= 10
    assert min(decoded) >= video.stamps[45]


def test_seeking_that_goes_too_far_begins_again(uneven, monkeypatch):
    """A wrong index in a container, as some files have, costs time but no frame."""
    video = footage.open_footage(uneven)
    decoded = footage._decoded
    monkeypatch.setattr(
        footage, "_decoded", lambda av, path, seek: decoded(av, path, None if seek is None else int(video.stamps[-1]))
    )
    assert [videos.number(image) for _, image in footage.images(video, [25, 30])] == [25, 30]


def test_frames_without_time_stamps_are_counted(tmp_path):
    path = videos.write(tmp_path / "x.h264", videos.numbered(30), np.arange(30) / 30)
    found = footage.open_footage(path)
    assert found.stamps is None
    assert [videos.number(image) for _, image in footage.images(found, [4, 20])] == [4, 20]


def test_images_are_turned_as_the_metadata_say_and_as_asked(uneven, tmp_path):
    """Rotated clockwise, the upper left corner moves to the upper right, the lower right, the lower left."""
    turned = videos.turned_by_metadata(uneven, tmp_path / "turned.mp4", 64, 48)
    corners = [(False, False), (False, True), (True, True), (True, False)]
    for path, already in ((uneven, 0), (turned, 1)):
        for quarter in range(4):
            found = footage.open_footage(path, rotate=90 * quarter)
            ((number, image),) = footage.images(found, [9])
            assert (number, videos.number(image)) == (9, 9)
            assert videos.blue_corner(image) == corners[(quarter + already) % 4]
            assert found.image_size == image.shape[1::-1]
            assert found.size_before == ((48, 64) if already else (64, 48))


def test_a_video_that_is_cut_short_gives_a_warning(tmp_path):
    path = videos.write(
        tmp_path / "x.mp4", videos.numbered(60), np.arange(60) / 30, options={"movflags": "faststart"}, keys_every=1
    )
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.warns(UserWarning, match=r"x\.mp4: found \d+ frames, expected the declared 60; the file may be cut short"):
        found = footage.open_footage(path)
    assert 10 < len(found.numbers) < 50
    assert videos.number(next(footage.images(found, [9]))[1]) == 9


def test_damaged_frames_are_left_out(tmp_path):
    path = videos.write(tmp_path / "x.mp4", videos.numbered(30), np.arange(30) / 30, keys_every=1)
    found = footage.open_footage(path)
    data = bytearray(path.read_bytes())
    middle = data.index(b"mdat") + 4 + (data.index(b"moov") - data.index(b"mdat")) // 2
    data[middle : middle + 150] = bytes(150)
    path.write_bytes(data)
    numbers = [number for number, image in footage.images(found, range(30)) if videos.number(image) == number]
    assert len(numbers) >= 20
    assert {0, 1, 28, 29} <= set(numbers)


def test_what_is_no_video_is_named(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"nothing\.mp4: no such file, expected a video"):
        footage.open_footage(tmp_path / "nothing.mp4")
    for content in ("hello", "RIFF"):
        (tmp_path / "x.mp4").write_text(content)
        message = r"x\.mp4: found no image that PyAV can read \(Invalid data found when processing input\), expected a video"
        with pytest.raises(DataError, match=message):
            footage.open_footage(tmp_path / "x.mp4")
    (tmp_path / "x.png").write_text("hello")
    with pytest.raises(DataError, match=r"x\.png: damaged, cut short or another kind of file, expected a picture"):
        footage.open_footage(tmp_path / "x.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"found 0 pictures, expected 1 to"):
        footage.open_footage(tmp_path / "empty")
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(UserError, match=r"PyAV is not installed, expected `pip install -e \.\[footage\]`"):
        footage.open_footage(tmp_path / "x.mp4")


def test_a_35_mm_equivalent_compares_diagonals():
    """A 3:2 image at 100 pixels per mm has the 35 mm focal length; in other shapes the diagonal determines it."""
    assert footage.focal_in_pixels(50.0, (3600, 2400)) == pytest.approx(5000)
    assert footage.focal_in_pixels(26.0, (4032, 3024)) == pytest.approx(26 * 5040 / np.sqrt(36**2 + 24**2))


def test_the_focal_length_of_a_phones_video(tmp_path):
    metadata = {"com.apple.quicktime.camera.focal_length.35mm_equivalent": "26"}
    options = {"movflags": "use_metadata_tags"}
    path = videos.write(tmp_path / "x.mov", videos.numbered(3), np.arange(3) / 30, metadata=metadata, options=options)
    found = footage.open_footage(path).focal
    assert found.px == pytest.approx(26 * 80 / np.hypot(36, 24))
    assert found.source == "26 mm (35 mm equivalent) in x.mov"
    for wrong in ("0", "wide", "-3", "nan"):
        metadata = dict.fromkeys(metadata, wrong)
        videos.write(tmp_path / "x.mov", videos.numbered(3), np.arange(3) / 30, metadata=metadata, options=options)
        assert footage.open_footage(tmp_path / "x.mov").focal is None


def save(path, image, mm=None, orientation=1, filmed=None):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    inside = exif.get_ifd(ExifTags.IFD.Exif)
    if mm is not None:
        inside[ExifTags.Base.FocalLengthIn35mmFilm] = mm
    if filmed:
        inside[ExifTags.Base.ExifImageWidth], inside[ExifTags.Base.ExifImageHeight] = filmed
    Image.fromarray(image).save(path, exif=exif, quality=95)


def test_the_focal_length_of_pictures(tmp_path):
    def found(*settings):
        for old in tmp_path.iterdir():
            old.unlink()
        for number, (mm, filmed) in enumerate(settings):
            save(tmp_path / f"{number}.jpg", videos.numbered(1)[0], mm, filmed=filmed)
        return footage.open_footage(tmp_path).focal

    one = found((28, (640, 480)), (28, None))
    assert one.px == pytest.approx(28 * 80 / np.hypot(36, 24))
    assert one.source == "28 mm (35 mm equivalent) in the EXIF data of 0.jpg"
    assert found((28, None), (50, None)) is None  # zoomed
    assert found((28, None), (None, None)) is None
    assert found((0, None)) is None  # 0 means not known in EXIF
    assert found((28, (640, 640))) is None  # cropped to another shape


def test_the_size_of_a_folders_pictures_is_known_without_decoding_them(tmp_path, monkeypatch):
    for orientation in range(1, 9):
        save(tmp_path / f"{orientation}.jpg", videos.numbered(1)[0], 28, orientation=orientation)
        with Image.open(tmp_path / f"{orientation}.jpg") as image:
            expected = ImageOps.exif_transpose(image).size
        assert footage.open_footage(tmp_path / f"{orientation}.jpg").image_size == expected
    for orientation in range(1, 5):
        (tmp_path / f"{orientation}.jpg").unlink()
    monkeypatch.setattr(Image.Image, "load", None)
    found = footage.open_footage(tmp_path)
    assert found.image_size == (48, 64)
    assert found.focal.px == pytest.approx(28 * 80 / np.hypot(36, 24))


def test_pictures_are_numbered_and_upright(tmp_path):
    images = videos.numbered(40)
    for number in (30, 4, 17):
        save(tmp_path / f"f_{number:03}.jpg", np.rot90(images[number]), orientation=6)  # to be rotated clockwise
    found = footage.open_footage(tmp_path, fps=10)
    assert found.image_size == (64, 48)
    np.testing.assert_array_equal(found.numbers, [4, 17, 30])
    np.testing.assert_allclose(found.times, [0.4, 1.7, 3.0])
    shown = list(footage.images(found, [4, 5, 30]))
    assert [number for number, _ in shown] == [4, 30]
    assert [videos.number(image) for _, image in shown] == [4, 30]
    assert not any(videos.blue_corner(shown[0][1]))
    save(tmp_path / "holiday.jpg", images[0])
    assert footage.open_footage(tmp_path, fps=10).still
    assert footage.open_footage(tmp_path / "holiday.jpg").numbers.tolist() == [0]
