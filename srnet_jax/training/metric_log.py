"""Write the metrics of a run to `metrics.jsonl`, one JSON object per line, and optionally to TensorBoard."""

import json
import os
import sys
import warnings
from pathlib import Path
from types import TracebackType
from typing import Any

from srnet_jax.errors import DiskFullError, UserError, full_disk
from srnet_jax.io.files import write_whole

METRICS_FILE = "metrics.jsonl"


class MetricLog:
    """Append to the metrics of a workdir, after removing the lines after the step from which the run continues."""

    def __init__(self, workdir: Path, *, from_step: int, tensorboard: bool) -> None:
        """Open the log of a run that continues after `from_step` (0 for a new run)."""
        self._path = workdir / METRICS_FILE
        kept = b"".join(text for text, line in read_lines(self._path) if line["step"] <= from_step)
        write_whole(self._path, kept)
        self._size = len(kept)
        self._unwritten = b""
        self._events = _summary_writer(workdir, from_step) if tensorboard else None

    def __enter__(self) -> "MetricLog":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._events is not None:
            self._events.close()

    def add(self, step: int, metrics: dict[str, float], *, only_shown: dict[str, float]) -> None:
        """Add the metrics of a step, which `flush` writes.

        Args:
          step: number of steps that the run has taken.
          metrics: values by name, which do not depend on interruptions.
          only_shown: values that differ from run to run, written only to TensorBoard.
        """
        self._unwritten += (json.dumps({"step": step, **metrics}) + "\n").encode()
        if self._events is not None:
            for name, value in (metrics | only_shown).items():
                self._events.add_scalar(name, value, step)

    def flush(self) -> None:
        """Write the added metrics; if this fails, they are kept for the next call.

        Raises:
          DiskFullError: if the disk is full.
        """
        if not self._unwritten:
            return
        try:
            with self._path.open("r+b") as file:
                file.seek(self._size)  # a failed write may have left half a line
                file.truncate()
                file.write(self._unwritten)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            if not full_disk(error):
                raise
            raise DiskFullError(f"{self._path}: the metrics could not be written ({full_disk(error)})") from error
        self._size += len(self._unwritten)
        self._unwritten = b""


def read_lines(path: Path) -> list[tuple[bytes, dict[str, float]]]:
    """Return the valid lines of a log, as text and as {name: number}; an empty list if the file is missing.

    The last line may be half-written, by a killed or a running process; any other invalid line causes a warning.
    """
    good: list[tuple[bytes, dict[str, float]]] = []
    bad = 0
    for number, text in enumerate(path.read_bytes().split(b"\n") if path.is_file() else [], start=1):
        if (line := _parsed(text)) is not None:
            if bad:
                warnings.warn(f"{path}: line {bad} is damaged and ignored", stacklevel=2)
            good.append((text + b"\n", line))
            bad = 0
        else:
            bad = bad or number
    return good


def _parsed(text: bytes) -> dict[str, Any] | None:
    """Return the numbers of a line, or None if the line is not valid."""
    try:
        line = json.loads(text.decode())
    except (ValueError, RecursionError):
        return None
    good = isinstance(line, dict) and all(
        type(value) in (int, float) and abs(value) <= sys.float_info.max for value in line.values()
    )
    return line if good and type(line.get("step")) is int else None


def _summary_writer(workdir: Path, from_step: int):
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise UserError(
            "config.train.tensorboard: tensorboardX is not installed, expected it (`pip install tensorboardX`) or False"
        ) from error
    return SummaryWriter(str(workdir / "tensorboard"), purge_step=from_step + 1)
