"""Describe the machine that a benchmark runs on, and measure how much other programs use it meanwhile."""

import contextlib
import os
import platform
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import psutil

_EXTENSIONS = {"amx_tile": "AMX", "avx512f": "AVX-512", "avx2": "AVX2"}  # flags of Linux for wide products, the widest first
_BUSY = 0.15  # of a core: more by other programs is worth a warning
_BEFORE_S = 1.0


def processor() -> str:
    """Return the processor's name, the number of cores that this process may use, and the widest instructions for products."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    fields = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    name = fields.get("model name") or platform.processor() or platform.machine()
    flags = fields.get("flags", fields.get("Features", "")).split()
    widest = next((text for flag, text in _EXTENSIONS.items() if flag in flags), "")
    return f"{name}, {_cores()} cores{', ' * bool(widest)}{widest}"


@contextlib.contextmanager
def watched() -> Iterator[list[str]]:
    """Measure what other programs use before and during a benchmark.

    The benchmark's own processes must have ended when the context ends.

    Yields:
      A list that has one line at the end: how many cores the other programs used.

    Warns:
      UserWarning: if they used more than 0.15 cores.
    """
    begun = _times()
    time.sleep(_BEFORE_S)
    between = _times()
    said: list[str] = []
    yield said
    before, during = _used_by_others(begun, between), _used_by_others(between, _times())
    said.append(f"other programs used {before:.1f} of {_cores()} cores before the measurement and {during:.1f} during it")
    if max(before, during) > _BUSY:
        warnings.warn(
            "the machine is busy: times are too long, and ratios may be wrong; measure on an idle machine", stacklevel=3
        )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _times() -> tuple[float, float, float]:
    """Return seconds: of the clock, of processor time of the whole machine, and of this process and its ended children."""
    every = psutil.cpu_times()._asdict()
    idle = ("idle", "iowait", "guest", "guest_nice")  # user includes the guests
    return time.perf_counter(), sum(value for name, value in every.items() if name not in idle), sum(os.times()[:4])


def _used_by_others(begun: tuple[float, float, float], ended: tuple[float, float, float]) -> float:
    """Return the cores that other programs used between two results of `_times`."""
    wall, busy, own = (b - a for a, b in zip(begun, ended, strict=True))
    return max(busy - own, 0.0) / wall
