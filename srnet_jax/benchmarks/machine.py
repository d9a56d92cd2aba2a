"""Describe the machine that runs a benchmark, and measure how many cores other programs use at the same time."""

import contextlib
import os
import platform
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import psutil

_EXTENSIONS = {"amx_tile": "AMX", "avx512f": "AVX-512", "avx2": "AVX2"}  # by Linux's names, the widest first
_MAX_OTHER_CORES = 0.15  # cores; warn if other programs use more
_WAIT_S = 1.0  # to measure other programs before the benchmark starts


def processor() -> str:
    """Return the processor's name, the number of cores that this process may use, and the widest vector instructions."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    fields = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    name = fields.get("model name") or platform.processor() or platform.machine()
    flags = fields.get("flags", fields.get("Features", "")).split()
    widest = next((text for flag, text in _EXTENSIONS.items() if flag in flags), "")
    return f"{name}, {_cores()} cores{', ' * bool(widest)}{widest}"


@contextlib.contextmanager
def watched() -> Iterator[list[str]]:
    """Measure how many of the machine's cores other programs use before and during a benchmark.

    All processes that the benchmark starts must end before the context ends.

    Yields:
      A list, empty at first. When the context ends, it gets one line that gives the cores that other programs used.

    Warns:
      UserWarning: if other programs used more than 0.15 cores.
    """
    start = _read_clocks()
    time.sleep(_WAIT_S)
    start_of_run = _read_clocks()
    report: list[str] = []
    yield report
    before, during = _cores_of_others(start, start_of_run), _cores_of_others(start_of_run, _read_clocks())
    cores = f"of the machine's {os.cpu_count()} cores"
    report.append(f"other programs used {before:.1f} {cores} before the measurement and {during:.1f} during it")
    if max(before, during) > _MAX_OTHER_CORES:
        warnings.warn(
            "the machine is busy: times are too long, and ratios may be wrong; measure on an idle machine", stacklevel=3
        )


def _cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _read_clocks() -> tuple[float, float, float]:
    """Return the clock, the processor time of the whole machine, and that of this process and its ended children, seconds."""
    machine = psutil.cpu_times()._asdict()
    idle = ("idle", "iowait", "guest", "guest_nice")  # the time of guests is also part of user
    return time.perf_counter(), sum(value for name, value in machine.items() if name not in idle), sum(os.times()[:4])


def _cores_of_others(start: tuple[float, float, float], end: tuple[float, float, float]) -> float:
    """Return how many cores other programs used between two results of `_read_clocks`.

    In a virtual machine, time that its host gave to others counts as theirs.
    """
    wall, busy, own = (b - a for a, b in zip(start, end, strict=True))
    return max(busy - own, 0.0) / wall
