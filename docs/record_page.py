"""Record docs/images/browser.gif: two people are dropped on the page of `launch.export`, and the camera turns around them.

python docs/record_page.py --site=page

It needs a folder that `launch.export --output=page/` wrote, Chromium, and the package playwright. A virtual camera films two
recorded people; what it sees becomes the keypoint file of a COCO detector.
"""

import functools
import http.server
import io
import json
import shutil
import threading
from pathlib import Path

import numpy as np
from absl import app, flags
from make_pictures import IMAGES, filmed
from PIL import Image
from playwright.sync_api import sync_playwright

_SITE = flags.DEFINE_string("site", None, "Folder of the page.", required=True)
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


def record(address: str) -> list[Image.Image]:
    """Return pictures of the page: before the file is dropped, and of the poses while they are turned."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"], timeout=100_000)
        page = browser.new_page(viewport=dict(zip(("width", "height"), _SIZE, strict=True)), color_scheme="light")
        page.goto(address, timeout=100_000)
        page.wait_for_selector("body[data-ready]", state="attached", timeout=100_000)
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
        browser.close()
    return [Image.open(io.BytesIO(shot)).convert("RGB") for shot in shots]


def main(_: list[str]) -> None:
    """Serve the folder, record the page, and write the clip."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=_SITE.value)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        first, *others = [
            shot.quantize(_COLOURS, dither=Image.Dither.NONE) for shot in record(f"http://127.0.0.1:{server.server_port}/")
        ]
        server.shutdown()
    path = Path(IMAGES) / "browser.gif"
    first.save(path, save_all=True, append_images=others, duration=160, loop=0, optimize=True)
    print(f"wrote {path}, {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    app.run(main)
