"""Record docs/images/browser.gif: two people are dropped on the page of `launch.export`, and the camera turns around them.

python -m docs.record_page --site=page

It needs a folder that `launch.export --output=page/` wrote, Chromium, and the package playwright. A virtual camera films two
recorded people; what it sees becomes the keypoint file of a COCO detector.
"""

import contextlib
import functools
import http.server
import io
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from absl import app, flags
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from docs.make_pictures import IMAGES, filmed

SITE = flags.DEFINE_string("site", None, "Folder of the page.", required=True)
_CLIPS = ("05/dance/05_10-cc", "06/basketball/06_15-cc")
_FRAMES, _SHOTS, _SIZE, _COLOURS = 120, 24, (760, 500), 24


def keypoints() -> bytes:
    """Return a keypoint file of two people, each frame a list of people."""
    people = [filmed(clip, aside_m=aside)[0][:_FRAMES] for clip, aside in zip(_CLIPS, (-0.9, 0.9), strict=True)]
    frames = [
        {
            "frame": row,
            "people": [{"id": who, "keypoints": np.round(points[row], 1).tolist()} for who, points in enumerate(people)],
        }
        for row in range(min(map(len, people)))
    ]
    return json.dumps({"fps": 30, "width": 1280, "height": 960, "frames": frames}).encode()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Log no requests."""


@contextlib.contextmanager
def opened(site: str) -> Iterator[Page]:
    """Serve the folder of a page, and open it in Chromium; the page is ready."""
    handler = functools.partial(_Quiet, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, sync_playwright() as playwright:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"], timeout=100_000)
        page = browser.new_page(viewport=dict(zip(("width", "height"), _SIZE, strict=True)), color_scheme="light")
        page.goto(f"http://127.0.0.1:{server.server_port}/", timeout=100_000)
        page.wait_for_selector("body[data-ready]", state="attached", timeout=100_000)
        yield page
        browser.close()
        server.shutdown()


def record(site: str) -> list[Image.Image]:
    """Return pictures of the page: before the file is dropped, and of the poses while they are turned."""
    with opened(site) as page:
        shots = [page.screenshot()] * 8
        page.set_input_files("#files", {"name": "two people.json", "mimeType": "application/json", "buffer": keypoints()})
        page.wait_for_selector("body[data-lifted]", state="attached", timeout=100_000)
        page.click(".play")
        page.focus(".solid")
        page.evaluate("document.getElementById('player').scrollIntoView()")
        last = int(page.get_attribute(".time", "max") or 0)
        for shot in range(_SHOTS):
            page.locator(".time").fill(str(round(shot * last / _SHOTS)))
            page.focus(".solid")
            page.keyboard.press("Shift+ArrowRight" if _SHOTS // 4 <= shot < 3 * _SHOTS // 4 else "Shift+ArrowLeft")
            page.wait_for_timeout(80)
            shots.append(page.screenshot())
    return [Image.open(io.BytesIO(shot)).convert("RGB") for shot in shots]


def main(_: list[str]) -> None:
    """Record the page, and write the clip."""
    first, *others = [shot.quantize(_COLOURS, dither=Image.Dither.NONE) for shot in record(str(SITE.value))]
    path = Path(IMAGES) / "browser.gif"
    first.save(path, save_all=True, append_images=others, duration=160, loop=0, optimize=True)
    print(f"wrote {path}, {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    app.run(main)
