"""Metrics of a run: one JSON object a line in `metrics.jsonl`, and TensorBoard if asked for."""

import json
from pathlib import Path
from types import TracebackType

from srnet_jax.errors import UserError

METRICS_FILE = "metrics.jsonl"


class MetricLog:
    """Appends to a workdir's metrics; lines after the step that a run resumes from are dropped first."""

    def __init__(self, workdir: Path, *, from_step: int, tensorboard: bool) -> None:
        """Open the log for a run that continues after `from_step` (0 for a new one)."""
        self._path = workdir / METRICS_FILE
        kept = [line for line in _lines(self._path) if line["step"] <= from_step]
        draft = self._path.with_suffix(".tmp")
        draft.write_text("".join(json.dumps(line) + "\n" for line in kept))
        draft.replace(self._path)
        self._events = _summary_writer(workdir, from_step) if tensorboard else None

    def __enter__(self) -> "MetricLog":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._events is not None:
            self._events.close()

    def write(self, step: int, metrics: dict[str, float]) -> None:
        """Append the metrics of a step."""
        with self._path.open("a") as file:
            file.write(json.dumps({"step": step, **metrics}) + "\n")
        if self._events is not None:
            for name, value in metrics.items():
                self._events.add_scalar(name, value, step)


def _lines(path: Path) -> list[dict[str, float]]:
    """Read the whole lines of a log; a last line that a killed process left half-written is dropped."""
    lines = []
    for text in path.read_text().splitlines() if path.exists() else []:
        try:
            lines.append(json.loads(text))
        except ValueError:
            break
    return lines


def _summary_writer(workdir: Path, from_step: int):
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise UserError(
            "config.train.tensorboard: tensorboardX is not installed, expected `pip install tensorboardX` or False"
        ) from error
    return SummaryWriter(str(workdir / "tensorboard"), purge_step=from_step + 1)
