"""Write a report of a conversion, with the checks of each subject and file, as an HTML page or as JSON.

The page is self-contained: it has no scripts and no external links, and pictures are SVG. Names of files are escaped.
"""

import dataclasses
import json
import math
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from srnet_jax.data.mocap.conversion import Conversion, Recording
from srnet_jax.data.mocap.plausibility import Check, Measures
from srnet_jax.errors import UserError
from srnet_jax.io.files import check_new, write_whole
from srnet_jax.pose.skeleton import H36M_17

_COLUMNS = (
    *("height", "trunk", "shoulders against hips", "knees", "floor"),
    *("frame rate", "speed of the hip", "speed of the limbs"),
)
_VERDICTS = {"ok": "ok", "odd": "odd", "impossible": "refused"}
_SIZE, _MARGIN = 200, 10  # width and height of a picture and its margin, pixels

_STYLE = """
:root { color-scheme: light dark; --ground: #fafafa; --panel: #fff; --ink: #222; --faint: #d8d8d8; --dim: #666;
  --left: #0072b2; --right: #d55e00; --odd: #8a5a00; --bad: #b00020; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #17181a; --panel: #202124; --ink: #eee; --faint: #3c3f43; --dim: #a0a0a0;
    --left: #56b4e9; --right: #f0883e; --odd: #e0b050; --bad: #ff7b8a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 16px; max-width: 1200px; background: var(--ground); color: var(--ink);
  font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 22px; } h2 { font-size: 18px; margin-top: 28px; }
table { border-collapse: collapse; background: var(--panel); font-variant-numeric: tabular-nums; width: 100%; }
th, td { border: 1px solid var(--faint); padding: 3px 8px; text-align: left; vertical-align: top; font-size: 13px; }
th { color: var(--dim); font-weight: 600; } td.name { overflow-wrap: anywhere; min-width: 8em; }
.wide { overflow-x: auto; } .wide td { min-width: 5em; }
details { background: var(--panel); border: 1px solid var(--faint); border-radius: 6px; margin: 8px 0; }
summary { padding: 6px 10px; cursor: pointer; overflow-wrap: anywhere; }
.file { display: flex; flex-wrap: wrap; gap: 12px; padding: 0 10px 10px; align-items: flex-start; }
.file > .numbers { flex: 1 1 420px; min-width: 0; }
figure { margin: 0; width: 414px; max-width: 100%; } figcaption { color: var(--dim); font-size: 13px; }
svg { background: var(--ground); border: 1px solid var(--faint); max-width: 49%; height: auto; }
line { stroke: var(--dim); stroke-width: 3; stroke-linecap: round; }
line.l { stroke: var(--left); } line.r { stroke: var(--right); }
line.floor { stroke: var(--faint); stroke-width: 1; } svg text { fill: var(--dim); font-size: 11px; }
.left { color: var(--left); } .right { color: var(--right); }
.odd { color: var(--odd); font-weight: 600; } .impossible { color: var(--bad); font-weight: 600; } .dim { color: var(--dim); }
ul { margin: 4px 0 8px; padding-left: 20px; } li { overflow-wrap: anywhere; }
"""


def check_path(path: Path) -> None:
    """Check that a report can be written; an existing report is replaced.

    Raises:
      UserError: if the name ends neither in `.html` nor in `.json`, or the file cannot be written.
    """
    if path.suffix.lower() not in (".html", ".json"):
        raise UserError(f"{path}: expected a name ending in .html or .json")
    if not path.is_file():
        check_new(path)


def save(path: Path, conversion: Conversion, title: str) -> None:
    """Write the report as JSON if the name ends in `.json`, else as an HTML page.

    Args:
      path: the file, as in `check_path`.
      conversion: the conversion; every file may have been refused.
      title: name of the source.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    as_json = path.suffix.lower() == ".json"
    text = json.dumps(numbers(conversion), indent=1) + "\n" if as_json else page(conversion, title)
    write_whole(path, text.encode(errors="backslashreplace"))  # file names need not be Unicode


def numbers(conversion: Conversion) -> dict[str, Any]:
    """Return the report's content for JSON: lengths in metres, speeds in metres per second, null for unknown values."""
    subjects = {name: _entries(measures, checks) for name, (measures, checks) in conversion.subjects.items()}
    files = [
        {
            **{"file": str(recording.file), "clips": {} if recording.refused else _lengths(recording)},
            **{"subject": recording.subject, "refused": recording.refused, "notes": recording.notes},
            **_entries(recording.measures, recording.checks),
            "first_pose_m": None if recording.first_pose is None else recording.first_pose.round(4).tolist(),
        }
        for recording in conversion.files
    ]
    return {"joints": list(H36M_17.joints), "subjects": subjects, "files": files}


def page(conversion: Conversion, title: str) -> str:
    """Return the report as an HTML page; `title` is the name of the source."""
    odd = sum(_verdict(recording) == "odd" for recording in conversion.files)
    refused = len(conversion.refused)
    done = len(conversion.files) - refused
    worst_first = sorted(conversion.files, key=lambda recording: ("impossible", "odd", "ok").index(_verdict(recording)))
    files = "".join(map(_file, worst_first))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{escape(title)}: motion capture files</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<p>{done:,} files converted, {refused:,} refused, {odd:,} odd. Odd values may be right; impossible ones are refused.</p>
<h2>Subjects</h2>
<p class="dim">Medians over the files of each subject; top speeds are the highest.</p>
{_subjects(conversion)}
<h2>Files</h2>
<p class="dim">Pictures show the first frame of the file, from the front and from the person's right; the line is the floor
that was found. <span class="left">Left is blue</span>, <span class="right">right is orange</span>.</p>
{files}
</body>
</html>
"""


def _entries(measures: Measures | None, checks: list[Check]) -> dict[str, Any]:
    known = dataclasses.asdict(measures) if measures else {}
    return {"measures": {name: _known(value) for name, value in known.items()}, "checks": [vars(check) for check in checks]}


def _lengths(recording: Recording) -> dict[str, int]:
    return {key: len(clip) for key, clip in recording.clips.items()}


def _known(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_known(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _subjects(conversion: Conversion) -> str:
    if not conversion.subjects:
        return "<p>None of the files could be read.</p>"
    head = "".join(f"<th>{name}</th>" for name in ("subject", "files", "frames", *_COLUMNS))
    rows = ""
    for name, (measures, checks) in conversion.subjects.items():
        files = sum(recording.subject == name for recording in conversion.files)
        found = {check.kind: check for check in checks}
        cells = "".join(f'<td class="{found[kind].verdict}">{escape(found[kind].found)}</td>' for kind in _COLUMNS)
        rows += f'<tr><td class="name">{escape(name)}</td><td>{files:,}</td><td>{measures.frames:,}</td>{cells}</tr>'
    return f'<div class="wide"><table><tr>{head}</tr>{rows}</table></div>'


def _verdict(recording: Recording) -> str:
    odd = recording.notes or any(check.verdict == "odd" for check in recording.checks)
    return "impossible" if recording.refused else "odd" if odd else "ok"


def _file(recording: Recording) -> str:
    verdict = _verdict(recording)
    frames = "" if recording.refused else f", {sum(_lengths(recording).values()):,} frames"
    names = ", ".join(recording.clips) if frames else recording.key
    reason = [recording.refused] if recording.refused else []
    notes = "".join(f"<li>{escape(note)}</li>" for note in reason + recording.notes)
    odd = [check for check in recording.checks if check.verdict != "ok"]
    table = _table(odd) + f"<details><summary>All checks</summary>{_table(recording.checks)}</details>" * bool(recording.checks)
    return f"""<details{" open" * (verdict != "ok")}>
<summary><span class="{verdict}">{_VERDICTS[verdict]}</span> {escape(str(recording.file))}
<span class="dim">{escape(names)}{frames}</span></summary>
<div class="file">{_pictures(recording)}<div class="numbers">{f"<ul>{notes}</ul>" if notes else ""}{table}</div></div>
</details>
"""


def _table(checks: list[Check]) -> str:
    rows = "".join(
        f"<tr><td>{escape(check.kind)}</td><td>{escape(check.found)}</td><td>{escape(check.expected)}</td>"
        f'<td class="{check.verdict}">{_VERDICTS[check.verdict]}{escape(f": {check.hint}" if check.hint else "")}</td></tr>'
        for check in checks
    )
    return f"<table><tr><th>what</th><th>found</th><th>expected</th><th></th></tr>{rows}</table>" if rows else ""


def _pictures(recording: Recording) -> str:
    """Draw the first frame from the front and from the right, in the same scale."""
    pose = recording.first_pose
    if pose is None:
        return ""
    left = (pose[4] - pose[1]) * [1, 1, 0]
    length = float(np.linalg.norm(left))
    left = left / length if length > 1e-9 else np.array([1.0, 0, 0])
    views = {"front": left, "right side": np.array([left[1], -left[0], 0.0])}  # direction to the right in the picture
    lowest, highest = float(pose[:, 2].min()), float(pose[:, 2].max())
    floor = recording.measures.floor_m if recording.measures else lowest
    shown = lowest - (highest - lowest) / 2 < floor < highest  # otherwise the person jumps, or another axis is up
    bottom = min(lowest, floor) if shown else lowest
    flat = {name: np.stack([(pose - pose[0]) @ across, pose[:, 2] - bottom], axis=-1) for name, across in views.items()}
    sideways = max(float(np.abs(points[:, 0]).max()) for points in flat.values())
    extent = max(highest - bottom, 2 * sideways, 1e-6)
    drawn = "".join(_picture(name, points, floor - bottom if shown else None, extent) for name, points in flat.items())
    return f"<figure>{drawn}<figcaption>The pictures are {extent:.3g} m wide and high.</figcaption></figure>"


def _picture(name: str, points: np.ndarray, floor: float | None, extent: float) -> str:
    """Draw joints and the floor as SVG.

    Args:
      name: of the view.
      points: [17, 2] joints, metres, to the right of the picture's middle and above its bottom.
      floor: height of the floor above the bottom, metres; None to omit it.
      extent: width and height of the picture, metres.
    """
    scale = (_SIZE - 2 * _MARGIN) / extent

    def line(a: np.ndarray, b: np.ndarray, kind: str) -> str:
        (x1, y1), (x2, y2) = ((_SIZE / 2 + x * scale, _SIZE - _MARGIN - y * scale) for x, y in (a, b))
        return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'

    side = dict.fromkeys(H36M_17.joints_left, "l") | dict.fromkeys(H36M_17.joints_right, "r")
    lines = "" if floor is None else line(np.array([-extent, floor]), np.array([extent, floor]), "floor")
    lines += "".join(line(points[H36M_17.parents[i]], points[i], side.get(i, "m")) for i in range(1, len(points)))
    size = f'width="{_SIZE}" height="{_SIZE}" viewBox="0 0 {_SIZE} {_SIZE}"'
    return f'<svg {size} role="img" aria-label="{name}">{lines}<text x="6" y="14">{name}</text></svg>'
