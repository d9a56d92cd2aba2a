import re

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from srnet_jax.data import calibration_files
from srnet_jax.errors import DataError
from tests import own_data

SIZE = (1088, 1920)
DISTORTION = (-0.05, 0.14, 0.0006, 0.0007)
TURNS = {name: Rotation.from_rotvec(vector) for name, vector in (("cam2", [1.4, 0.3, -0.2]), ("cam10", [1.1, -0.9, 0.6]))}
PLACES = {"cam2": np.array([1.5, -2.0, 1.9]), "cam10": np.array([-3.2, 2.2, 2.1])}  # metres, in the world
TABLE = """[{key}]
name = "{name}"
size = [ 1088.0, 1920.0]
matrix = [ [ 1680.0, 0.0, 530.0], [ 0.0, 1681.0, 950.0], [ 0.0, 0.0, 1.0]]
distortions = {distortions}
rotation = {rotation}
translation = {translation}
fisheye = false

"""
ELEMENT = """<camera active="1" model="{model}" serial="{name}" viewrotation="{view}">
<fov_video left="{left}" top="4" right="{right}" bottom="1923"/>
<transform {transform}/>
<intrinsic focalLengthU="107520.0" focalLengthV="107584.0" centerPointU="{u}" centerPointV="61056.0"
 radialDistortion1="-0.05" radialDistortion2="0.14" tangentalDistortion1="0.0006" tangentalDistortion2="0.0007"/>
</camera>"""


def toml(unit=1.0, **changed):
    text = ""
    for name, turn in TURNS.items():
        place = -turn.apply(PLACES[name]) * unit
        fields = {
            "key": f"a_{name}",
            "name": name,
            "distortions": list(DISTORTION),
            "rotation": turn.as_rotvec().tolist(),
            "translation": place.tolist(),
        }
        text += TABLE.format(**fields)
    for key, value in changed.items():
        start = text.index(f"{key} =")
        text = f"{text[:start]}{value}{text[text.index(chr(10), start) :]}"
    return text + "[metadata]\nadjusted = false\nerror = 0.0\n"


def qualisys(view="0", model="Miqus Video", x=None):
    made = []
    for name, turn in TURNS.items():
        axes = np.diag([1, -1, -1]) @ turn.as_matrix()  # Qualisys' cameras have y up and look along -z
        numbers = {f"r{i + 1}{j + 1}": axes[i, j] for i in range(3) for j in range(3)}
        numbers |= dict(zip("xyz", 1000 * PLACES[name], strict=True)) | ({"x": x} if x else {})
        transform = " ".join(f'{key}="{value}"' for key, value in numbers.items())
        made.append(ELEMENT.format(name=name, view=view, model=model, transform=transform, left=2, right=1089, u=64 * 532))
    made.append('<camera model="Miqus M3" serial="marker"/>')
    return f"<?xml version='1.0'?>\n<calibration><cameras>{''.join(made)}</cameras></calibration>"


def write(folder, name, text):
    path = folder / name
    path.write_text(text)
    return path


def check(cameras, center=(530.0, 950.0)):
    assert [camera.name for camera in cameras] == ["cam2", "cam10"]
    for camera in cameras:
        assert camera.image_size == SIZE
        np.testing.assert_allclose(camera.focal, [1680, 1681])
        np.testing.assert_allclose(camera.center, center)
        np.testing.assert_allclose(camera.distortion, [*DISTORTION, 0])
        np.testing.assert_allclose(camera.rotation, TURNS[camera.name].as_matrix(), atol=1e-12)
        np.testing.assert_allclose(camera.position, PLACES[camera.name], atol=1e-12)


def test_both_forms_say_the_same(tmp_path):
    check(calibration_files.load(write(tmp_path, "a.toml", toml())))
    check(calibration_files.load(write(tmp_path, "b.qca.txt", qualisys())))
    check(calibration_files.load(write(tmp_path, "c.qca.txt", qualisys(model="none"))))


def test_millimetres_are_told_by_kilometres_between_cameras(tmp_path):
    check(calibration_files.load(write(tmp_path, "a.toml", toml(unit=1000))))


def test_five_distortions_and_no_name(tmp_path):
    text = toml(distortions="distortions = [0.1, 0.2, 0.3, 0.4, 0.5]").replace('name = "cam2"\n', "")
    cameras = calibration_files.load(write(tmp_path, "a.toml", text))
    assert [camera.name for camera in cameras] == ["a_cam2", "cam10"]
    assert cameras[0].distortion == (0.1, 0.2, 0.3, 0.4, 0.5)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"matrix": "matrix = [[1, 2, 3], [4, 5]]"}, r"camera a_cam2: matrix: found .*, expected 3 x 3 finite numbers"),
        ({"matrix": "matrix = [[0, 0, 530.0], [0, 1681.0, 950.0], [0, 0, 1]]"}, "focal lengths 0, 1681"),
        ({"rotation": ""}, "camera a_cam2: rotation: missing"),
        ({"matrix": "K = 3", "size": ""}, "camera a_cam2: matrix: missing"),
        ({"rotation": "rotation = [1, 2, nan]"}, "rotation: found .* expected 3 or 3 x 3 finite numbers"),
        (
            {"rotation": "rotation = [1, 2, 1e308]"},
            r"a_cam2: rotation: found a vector of length 1e\+308, expected radians",
        ),
        ({"rotation": "rotation = [80.2, 17.2, -11.5]"}, r"rotation: found a vector of length 82\.83, expected radians"),
        (
            {"matrix": "matrix = [[1680, 0, 0], [0, 1681, 0], [530, 950, 1]]"},
            r"matrix: found .*, expected fx, 0, cx",
        ),
        (
            {"matrix": "matrix = [[1.5, 0, 0.5], [0, 0.9, 0.5], [0, 0, 1]]"},
            r"lengths 1\.5, 0\.9 for an image of",
        ),
        ({"translation": 'translation = "far"'}, "translation: found far"),
        ({"size": "size = [0.5, 10]"}, "found an image of 0.5 x 10"),
        ({"fisheye": "fisheye = true"}, "fisheye: .* expected false"),
        ({"distortions": "distortions = [0, 0]"}, r"distortions: found \[0, 0\], expected 4 or 5"),
        ({"name": 'name = "cam10"'}, "found 2 cameras, named 'cam10', 'cam10'; expected 2 to 100"),
        ({"name": "name = "}, "damaged"),
    ],
)
def test_wrong_toml_is_one_line(tmp_path, changed, message):
    refused(write(tmp_path, "a.toml", toml(**changed)), message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (qualisys(view="90"), "camera cam2: viewrotation: found '90', expected 0"),
        (qualisys(x="east"), "camera cam2: transform x: found 'east', expected a finite number"),
        (qualisys().replace('r11="', 'r11="9'), "camera cam2: found axes that are not perpendicular"),
        (qualisys().replace("<fov_video", "<fov_other"), "camera cam2: fov_video left: missing"),
        (qualisys().replace('serial="cam2"', ""), "found the name ''"),
        (qualisys()[:-30], "damaged"),
        (qualisys().replace("<calibration>", '<!DOCTYPE a [<!ENTITY b "c">]><calibration>'), "document type"),
        ("<calibration/>", r"found no camera, expected a \.toml file of Pose2Sim, .* or a \.qca\.txt file of Qualisys"),
        ("hello", "damaged"),
    ],
)
def test_wrong_xml_is_one_line(tmp_path, text, message):
    refused(write(tmp_path, "a.qca.txt", text), message)


def test_other_tables_and_ignored_cameras_as_caliscope_has_them(tmp_path):
    other = own_data.to_toml([own_data.camera("spare", 20)]) + "\nignore = true\n[charuco]\ncolumns = 4\nunits = 'inch'\n"
    check(calibration_files.load(write(tmp_path, "config_a.toml", toml() + other)))
    nested = toml().replace("[a_cam", "[cameras.a_cam")
    check(calibration_files.load(write(tmp_path, "camera_array.toml", nested)))


def test_pairs_and_unplaced_cameras_as_caliscope_has_them(tmp_path):
    pair = "[stereo_1_2]\nRMSE = 0.3\nrotation = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]\ntranslation = [[0.1], [0], [0]]\n"
    unplaced = "[cam_9]\nport = 9\nsize = [1920, 1080]\nmatrix = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]\n"
    for place in ('rotation = "null"\ntranslation = "null"\n', ""):
        path = write(tmp_path, "config_a.toml", toml() + pair + unplaced + place)
        with pytest.warns(UserWarning, match=r"config_a\.toml: found no place of 'cam_9' \(rotation, translation\), left out"):
            check(calibration_files.load(path))


def test_all_cameras_ignored_and_too_many_are_refused(tmp_path):
    refused(write(tmp_path, "a.toml", "[a]\nmatrix = 1\nignore = true\n"), "found 1 cameras, all with ignore = true")
    refused(
        write(tmp_path, "a.toml", "".join(f"[c{n}]\nmatrix = 1\n" for n in range(101))), "found 101 cameras, expected at most"
    )


def test_a_matrix_with_rounding_is_read(tmp_path):
    text = re.sub(r"matrix = \[ *\[ *([\d.]+), 0\.0", r"matrix = [[\1, 3.2", toml(), count=1)
    assert text != toml()
    check(calibration_files.load(write(tmp_path, "a.toml", text)))


def test_a_unit_that_may_be_centimetres_gives_a_warning(tmp_path):
    with pytest.warns(UserWarning, match=r"a\.toml: found cameras up to 631 units apart, taken as millimetres: 0\.63 m; if"):
        calibration_files.load(write(tmp_path, "a.toml", toml(unit=100)))


def test_width_and_height_that_are_exchanged_give_a_warning(tmp_path):
    text = toml().replace("size = [ 1088.0, 1920.0]", "size = [1920, 1088]", 1)
    with pytest.warns(UserWarning, match=r"a\.toml: camera cam2: found the centre 530, 950 in an image of 1920 x 1088"):
        calibration_files.load(write(tmp_path, "a.toml", text))


def test_xml_in_utf_16(tmp_path):
    text = qualisys().replace("<?xml version='1.0'?>", "<?xml version='1.0' encoding='utf-16'?>")
    (tmp_path / "a.qca.txt").write_bytes(text.encode("utf-16"))
    check(calibration_files.load(tmp_path / "a.qca.txt"))


def test_vectors_and_matrices_as_opencv_has_them(tmp_path):
    one = own_data.camera("cam", 20)
    text = own_data.to_toml((one,))
    rotvec = Rotation.from_matrix(one.rotation).as_rotvec()
    for old, new in (
        (f"rotation = {rotvec.tolist()}", f"rotation = {rotvec[:, None].tolist()}"),
        (f"rotation = {rotvec.tolist()}", f"rotation = {one.rotation.tolist()}"),
        (f"translation = {one.translation.tolist()}", f"translation = {one.translation[:, None].tolist()}"),
        (f"distortions = {list(one.distortion[:4])}", f"distortions = {[list(one.distortion)]}"),
        (f"distortions = {list(one.distortion[:4])}", f"distortions = {[*one.distortion, 0, 0, 0]}"),
    ):
        assert old in text
        [found] = calibration_files.read(write(tmp_path, "one.toml", text.replace(old, new)))
        np.testing.assert_allclose(found.rotation, one.rotation, atol=1e-9)
        np.testing.assert_allclose(found.translation, one.translation, atol=1e-9)
        assert found.distortion == one.distortion
    longer = text.replace(f"distortions = {list(one.distortion[:4])}", "distortions = [0, 0, 0, 0, 0, 0.1, 0, 0]")
    with pytest.raises(DataError, match=r"distortions: found .*, expected 4 or 5 finite numbers"):
        calibration_files.read(write(tmp_path, "one.toml", longer))


def test_one_camera_is_read_in_metres(tmp_path):
    """A file may have a single camera; if it is more than 100 units from the world's origin, the unit is millimetres."""
    one, far = own_data.camera("cam", 20), own_data.camera("cam", 20, distance_m=4000)
    for camera, scale in ((one, 1), (far, 1000)):
        [found] = calibration_files.read(write(tmp_path, "one.toml", own_data.to_toml((camera,))))
        np.testing.assert_allclose(found.translation, camera.translation / scale, atol=1e-9)
    refused(tmp_path / "one.toml", "found 1 cameras, named 'cam'; expected 2 to 100")
    cameras = [own_data.camera(name, 20) for name in ("b", "a")]
    found = calibration_files.read(write(tmp_path, "two.toml", own_data.to_toml(cameras)))
    assert [camera.name for camera in found] == ["b", "a"]  # as in the file


def test_missing_and_empty_files(tmp_path):
    refused(tmp_path / "a.toml", "no such file")
    refused(write(tmp_path, "b.toml", ""), "empty file")


def refused(path, message):
    with pytest.raises(DataError, match=message) as caught:
        calibration_files.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_sort_as_people_count():
    names = ["cam10_json", "cam2_json", "Cam1", "7", "a"]
    assert sorted(names, key=calibration_files.natural_order) == ["7", "a", "Cam1", "cam2_json", "cam10_json"]
