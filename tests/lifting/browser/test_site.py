"""Test the static folder, and its page in Chromium: files become Python's poses, and no request goes to another host."""

import base64
import functools
import http.server
import json
import os
import re
import shutil
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest

import srnet_jax
from srnet_jax.errors import UserError
from srnet_jax.lifting.browser import site
from srnet_jax.lifting.lifter import KeypointLifter, load
from srnet_jax.pose import layouts
from tests.keypoints import builders
from tests.lifting.test_lifter import make

WALK = Path(__file__).parents[1] / "walk.json"
CHROMIUM, RUNTIME = shutil.which("chromium"), os.environ.get("SRNET_JAX_ONNXRUNTIME_WEB")
WAIT_MS = 60_000
HOSTILE = "<img src=x onerror=document.title='taken'>.json"
# A stand-in for MediaPipe: in each image it finds the next frame of a walk. Like the true one, it calls another host.
BUNDLE = """
const frames = WALK;
let next = 0;
export const PoseLandmarker = {
  async createFromOptions() {
    fetch('https://example.invalid/log').catch(() => { document.body.dataset.blocked = 'yes'; });
    return { close() {}, detectForVideo: () => ({ landmarks: [frames[next++ % frames.length]] }) };
  },
};
"""


@pytest.fixture
def runtime(tmp_path):
    """Return a folder like onnxruntime-web's, with tiny files."""
    folder = tmp_path / "npm" / "dist"
    folder.mkdir(parents=True)
    for name in site._RUNTIME_FILES:
        (folder / name).write_text(f"// {name}\n")
    return folder


@pytest.fixture
def small(tiny_config):
    tiny_config.model.update(network="fc", filter_widths=(3, 1), causal=True, normalization="centered")
    return KeypointLifter(make(tiny_config))


def test_the_folder_holds_the_page_and_a_causal_network_once(small, runtime, tmp_path):
    size = site.write(tmp_path / "site", small, runtime.parent)  # the package's folder, or its dist
    names = {path.relative_to(tmp_path / "site").as_posix(): path for path in (tmp_path / "site").rglob("*") if path.is_file()}
    assert size == sum(path.stat().st_size for path in names.values())
    assert set(names) == {
        "tables.json",
        "network.onnx",
        "onnxruntime/ort.js",
        "onnxruntime/ort-wasm.js",
        "onnxruntime/ort-wasm.wasm",
        *(path.name for path in (Path(site.__file__).parent / "static").iterdir()),
    }
    tables = json.loads(names["tables.json"].read_text())
    assert set(tables["networks"]) == {"network"}
    assert tables["networks"]["network"]["frames"] == 3
    assert tables["bones3d"][:2] == [[0, 1, "right"], [1, 2, "right"]]
    assert [5, 7, "left"] in tables["bones2d"]["coco"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["npm", "site"]  # no drafts


def test_what_cannot_be_written_is_said(small, runtime, tmp_path):
    with pytest.raises(UserError, match=rf"{tmp_path}: no ort\.wasm\.min\.mjs, expected .* \(npm install onnxruntime-web\)"):
        site.write(tmp_path / "site", small, tmp_path)
    (runtime / "ort-wasm-simd-threaded.wasm").unlink()
    with pytest.raises(UserError, match=r"no ort-wasm-simd-threaded\.wasm, expected"):
        site.write(tmp_path / "site", small, runtime)
    (tmp_path / "there").mkdir()
    with pytest.raises(UserError, match=r"there: exists already, expected a new folder"):
        site.write(tmp_path / "there", small, runtime)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["npm", "there"]


def test_the_page_runs_its_own_scripts_alone():
    text = (Path(site.__file__).parent / "static" / "index.html").read_text()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy.startswith("default-src 'none'; script-src 'self' 'wasm-unsafe-eval';")
    assert "connect-src 'self';" in policy
    assert "unsafe-inline" not in policy
    assert not re.search(r"<script(?! type=\"module\" src=\"app\.js\")|\son\w+=|\sstyle=|https?:", text)
    for script in (Path(site.__file__).parent / "static").glob("*.js"):
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|new Function", script.read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return the page of the network `causal`, with a stand-in for MediaPipe."""
    folder = tmp_path_factory.mktemp("page") / "site"
    site.write(folder, load("causal"), Path(RUNTIME))
    (folder / "mediapipe" / "wasm").mkdir(parents=True)
    frames = []
    for row in range(30):
        points = np.full((33, 2), 0.5)
        points[:, 0] += 0.1 * np.sin(np.arange(33)) + 0.002 * row
        points[:, 1] += 0.2 * np.cos(np.arange(33))
        frames.append([{"x": x, "y": y, "visibility": 0.9} for x, y in points.tolist()])
    (folder / "mediapipe" / "vision_bundle.js").write_text(BUNDLE.replace("WALK", json.dumps(frames)))
    for name in ("wasm/vision_wasm_internal.js", "wasm/vision_wasm_internal.wasm", "pose_landmarker.task"):
        (folder / "mediapipe" / name).write_text("x")
    return folder


@pytest.fixture(scope="module")
def address(folder):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def chromium():
    api = pytest.importorskip("playwright.sync_api")
    arguments = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def opened(chromium, address):
    """Return the page, opened once, with what its console and its requests say."""
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.said, page.asked = [], []
    page.on("console", lambda message: page.said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(address, timeout=WAIT_MS)
    page.wait_for_selector("body[data-ready]", state="attached", timeout=WAIT_MS)
    return page


@pytest.fixture
def page(opened, address):
    """Return the page; at the end of a test, its console is empty but for `expected`, and it asked no other host."""
    opened.expected = ()
    opened.set_viewport_size({"width": 1280, "height": 900})
    yield opened
    assert all(url.startswith((address, f"blob:{address}")) for url in opened.asked)
    assert [line for line in opened.said if not any(part in line for part in opened.expected)] == []
    opened.said.clear()


def drop(page, *files):
    """Drop files on the page, and wait until they are lifted or refused."""
    page.evaluate("delete document.body.dataset.lifted")
    given = [[name, base64.b64encode(content).decode()] for name, content in files]
    script = """(files) => {
      const made = new DataTransfer();
      for (const [name, text] of files) {
        made.items.add(new File([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))], name));
      }
      return made;
    }"""
    page.dispatch_event("#drop", "drop", {"dataTransfer": page.evaluate_handle(script, given)})
    page.wait_for_selector("body[data-lifted]", state="attached", timeout=WAIT_MS)


def saved(page, suffix):
    """Return the files that the button of a format downloads."""
    with page.expect_download() as download:
        page.click(f'[data-save="{suffix}"]')
    return Path(download.value.path()).read_text()


def python_poses(path):
    with warnings.catch_warnings(action="ignore"):
        (person,) = srnet_jax.load("causal").lift_file(path)
    return person


in_chromium = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="needs Chromium"),
    pytest.mark.skipif(not RUNTIME, reason="needs SRNET_JAX_ONNXRUNTIME_WEB, the folder of the npm package onnxruntime-web"),
]


def marked(test):
    return functools.reduce(lambda done, mark: mark(done), in_chromium, test)


@marked
def test_dropped_files_become_the_poses_of_python(page, tmp_path):
    """JSON, CSV and npz, with and without what the file does not say."""
    person = builders.walker(frames=30)
    header, rows = builders.wide(person, layouts.find("coco").joints)
    (tmp_path / "walk.csv").write_text(builders.table(rows, header))
    np.savez(tmp_path / "walk.npz", keypoints=person.astype(np.float32), fps=30.0, width=1920, height=1080)
    shutil.copy(WALK, tmp_path / "walk.json")
    for name in ("walk.json", "walk.csv", "walk.npz"):
        drop(page, (name, (tmp_path / name).read_bytes()))
        assert page.text_content("#error") == ""
        expected, found = python_poses(tmp_path / name), json.loads(saved(page, ".json"))
        np.testing.assert_allclose(np.array(found["poses_3d"], float), expected.poses_3d, atol=1e-4)
        np.testing.assert_allclose(np.array(found["root"], float), expected.root, atol=1e-3)
        with warnings.catch_warnings(action="ignore"):
            expected.save(tmp_path / "x.csv")
        np.testing.assert_allclose(table(saved(page, ".csv")), table((tmp_path / "x.csv").read_text()), atol=1e-3)
        assert saved(page, ".bvh").startswith("HIERARCHY\nROOT ")


def table(text):
    return np.genfromtxt(text.splitlines()[1:], delimiter=",")


@marked
def test_options_are_asked_for_only_where_the_file_is_silent(page):
    content = json.dumps(builders.walker()[..., :2].tolist()).encode()
    drop(page, ("walk.json", WALK.read_bytes()))
    assert page.is_hidden("#options")
    drop(page, ("bare.json", content))
    assert [page.is_visible(field) for field in ("#fps-field", "#size-field")] == [True, True]
    assert "image size not known" in page.text_content("#warnings")
    page.fill("#fps", "50")
    page.fill("#width", "1280")
    page.click("#again")
    page.wait_for_selector("#error:not(:empty)", timeout=WAIT_MS)
    assert page.text_content("#error") == "image size: found one of width and height, expected both or neither"
    page.fill("#fps", "0.05")
    page.fill("#height", "720")
    page.click("#again")
    page.wait_for_selector("#error:text('found no number from 0.1 to 10000')", timeout=WAIT_MS)
    assert page.is_visible("#result")  # a wrong number leaves what is shown
    assert page.text_content("#status").endswith("From bare.json")
    page.fill("#fps", "50")
    page.click("#again")
    page.wait_for_selector("body[data-lifted]", state="attached", timeout=WAIT_MS)
    assert page.is_visible("#fps-field")
    found = json.loads(saved(page, ".json"))
    assert (found["fps"], found["image_size"]) == (50, [1280, 720])


@marked
def test_a_refused_file_is_lifted_once_what_it_lacks_is_set(page):
    """Normalised landmarks without an image size: the file is refused, and the size can be set."""
    landmarks = np.random.default_rng(0).uniform(0.2, 0.8, (33, 2)) + np.linspace(0, 0.1, 9)[:, None, None]
    frames = [
        {"frame": number, "landmarks": [{"x": x, "y": y, "z": 0.1, "visibility": 0.8} for x, y in points]}
        for number, points in enumerate(landmarks.tolist())
    ]
    drop(page, ("mediapipe.json", json.dumps(frames).encode()))
    assert "or the image's size (width and height)" in page.text_content("#error")
    assert all(page.is_visible(field) for field in ("#layout-field", "#fps-field", "#size-field"))
    page.fill("#width", "1280")
    page.fill("#height", "720")
    page.click("#again")
    page.wait_for_selector("body[data-lifted]", state="attached", timeout=WAIT_MS)
    assert page.text_content("#error") == ""
    assert page.text_content("#status").startswith("1 person, 9 frames")
    assert json.loads(saved(page, ".json"))["image_size"] == [1280, 720]


@marked
def test_a_file_can_be_chosen_again_and_the_newest_files_win(page):
    for name in ("a.json", "a.json", "b.json"):
        page.evaluate("delete document.body.dataset.lifted")
        page.set_input_files("#files", {"name": name, "mimeType": "application/json", "buffer": WALK.read_bytes()})
        page.wait_for_selector("body[data-lifted]", state="attached", timeout=WAIT_MS)
        assert page.input_value("#files") == ""
        assert page.text_content("#status").endswith(f"From {name}")
    script = """async (text) => {
      const file = (name, wait) => {
        const made = new File([text], name);
        made.arrayBuffer = () => new Promise((done) => setTimeout(() => done(new TextEncoder().encode(text).buffer), wait));
        return made;
      };
      for (const one of [file('slow.json', 400), file('quick.json', 0)]) {
        const event = new Event('drop');
        event.dataTransfer = { items: [], files: [one] };
        dispatchEvent(event);
      }
      await new Promise((done) => setTimeout(done, 600));
    }"""
    page.evaluate("delete document.body.dataset.lifted")
    page.evaluate(script, WALK.read_text())
    page.wait_for_selector("body[data-lifted]", state="attached", timeout=WAIT_MS)
    assert page.text_content("#status").endswith("From quick.json")


@marked
def test_a_long_list_of_videos_is_cut_and_said(page):
    points = builders.walker()[0].ravel().tolist()
    pictures = [{"image": f"{row * row}.jpg", "keypoints": points} for row in range(1005)]  # no frames of a video
    drop(page, ("many.json", json.dumps(pictures).encode()))
    assert page.text_content("#error") == ""
    assert page.locator("#scene option").count() == 1000
    assert "Video: the first 1000 of 1005 are listed, 5 are not" in page.text_content("#warnings")


@marked
def test_several_files_mistakes_and_hostile_names(page):
    page.set_viewport_size({"width": 360, "height": 740})
    title = page.title()
    drop(page, (HOSTILE, WALK.read_bytes()), ("broken.json", b"{"), ("walk.json", WALK.read_bytes()))
    assert page.text_content("#error").startswith("broken.json: ")
    assert page.locator("#scene option").all_text_contents() == [HOSTILE.removesuffix(".json"), "walk"]
    assert page.text_content("#status").startswith("2 people, 60 frames")
    assert page.evaluate("document.querySelectorAll('img').length") == 0
    assert page.title() == title
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    with page.expect_download() as download:
        page.click('[data-save=".bvh"]')
    assert "/" not in download.value.suggested_filename
    drop(page, ("notes.txt", b"no keypoints here"))
    assert page.text_content("#error").startswith("notes.txt: ")
    assert page.is_hidden("#result")


@marked
def test_keys_play_step_and_turn(page):
    drop(page, ("walk.json", WALK.read_bytes()))
    page.focus(".solid")
    page.keyboard.press("Space")
    assert page.text_content(".play") == "Play"
    frame = int(page.input_value(".time"))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert int(page.input_value(".time")) == (frame + 1) % 30
    before = page.evaluate("document.querySelector('.solid').toDataURL()")
    page.keyboard.press("Shift+ArrowLeft")
    page.wait_for_timeout(100)
    assert page.evaluate("document.querySelector('.solid').toDataURL()") != before
    page.keyboard.press("Space")
    assert page.text_content(".play") == "Pause"
    unnamed = "[...document.querySelectorAll('button, input, select, canvas, video')].filter((one) => "
    unnamed += "!one.textContent && !one.ariaLabel && !one.labels?.length).map((one) => one.outerHTML)"
    assert page.evaluate(unnamed) == []


@marked
def test_live_lifts_the_camera_and_other_hosts_are_blocked(page):
    refused = ("Content Security Policy", "Fetch API cannot load https://example.invalid")
    page.set_viewport_size({"width": 360, "height": 740})
    page.expected = refused
    page.click("#webcam")
    page.wait_for_selector("body[data-blocked=yes]", state="attached", timeout=WAIT_MS)
    page.wait_for_selector("#rate:has-text('images a second')", timeout=WAIT_MS)
    assert re.fullmatch(r"\d+ images a second, \d+\.\d ms to lift one", page.text_content("#rate"))
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.click("#stop")
    assert page.text_content("#rate") == ""
    assert page.evaluate("document.getElementById('video').srcObject") is None


@marked
def test_live_without_mediapipe_says_how(page, folder):
    (folder / "mediapipe").rename(folder / "away")
    try:
        page.expected = ("404",)
        page.click("#webcam")
        page.wait_for_selector("#live-error:not(:empty)", timeout=WAIT_MS)
        assert page.text_content("#live-error").startswith("mediapipe/vision_bundle.js: not beside this page")
        assert page.evaluate("document.getElementById('how').open")
    finally:
        (folder / "away").rename(folder / "mediapipe")
