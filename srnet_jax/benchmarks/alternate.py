"""Time functions of several processes in turns, so that a machine whose speed drifts treats them alike."""

import contextlib
import importlib
import multiprocessing
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

ALLOCATOR = "GLIBC_TUNABLES"  # see launch/__init__.py
WARM_UP = 3
_PEAK_MEMORY = "peak memory"  # asked in the place of a case


def _serve(pipe: Connection, maker: str) -> None:
    """Make functions by name, call them when asked, and answer with the seconds that it took."""
    module, name = maker.split(":")
    make: Callable[[str], Callable[[], object]] = getattr(importlib.import_module(module), name)
    functions: dict[str, Callable[[], object]] = {}
    while (case := pipe.recv()) is not None:
        try:
            if case == _PEAK_MEMORY:
                pipe.send(_peak_memory())
                continue
            if case not in functions:
                functions.clear()  # one at a time, as in a training
                functions[case] = make(case)
            begun = time.perf_counter()
            functions[case]()
            pipe.send(time.perf_counter() - begun)
        except Exception as error:
            pipe.send(f"{type(error).__name__}: {error}")
            return


def _peak_memory() -> int:
    """Return the most bytes that this process has held: on JAX's device if that keeps count, else of the machine's memory."""
    jax = sys.modules.get("jax")
    statistics_of_device = jax and jax.devices()[0].memory_stats()
    peak = (statistics_of_device or {}).get("peak_bytes_in_use")
    unit = 1 if sys.platform == "darwin" else 1024
    return peak or unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@contextlib.contextmanager
def workers(makers: dict[str, tuple[str, bool]]) -> Iterator[dict[str, Connection]]:
    """Start a process for each maker.

    Args:
      makers: by name "MODULE:FUNCTION", which maps a case to what is timed, and whether the process keeps our allocator's
        settings or has the system's.
    """
    context = multiprocessing.get_context("spawn")
    pipes, processes = {}, []
    ours = os.environ.get(ALLOCATOR)
    try:
        for name, (maker, tuned) in makers.items():
            if not tuned:
                os.environ.pop(ALLOCATOR, None)
            pipes[name], theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, maker), daemon=True)
            process.start()
            processes.append(process)
            if ours is not None:
                os.environ[ALLOCATOR] = ours
        yield pipes
        for pipe in pipes.values():
            pipe.send(None)
    finally:
        for process in processes:
            process.join(5)
            process.kill()


def _ask(pipe: Connection, question: str) -> Any:
    """Send a question and return the answer.

    Raises:
      RuntimeError: if the worker failed.
    """
    pipe.send(question)
    answer = pipe.recv()
    if isinstance(answer, str):
        raise RuntimeError(f"{question}: {answer}")
    return answer


def peak_memory(pipe: Connection) -> int:
    """Return the most bytes that a worker has held."""
    return _ask(pipe, _PEAK_MEMORY)


def alternate(pipes: dict[str, Connection], case: str, rounds: int) -> dict[str, list[float]]:
    """Call every worker's function of a case in turns; return the seconds, round by round."""
    for _ in range(WARM_UP):
        for pipe in pipes.values():
            _ask(pipe, case)
    seconds: dict[str, list[float]] = {name: [] for name in pipes}
    for _ in range(rounds):
        for name, pipe in pipes.items():
            seconds[name].append(_ask(pipe, case))
    return seconds


def ratio(slow: list[float], fast: list[float]) -> float:
    """Return the median of the ratios, round by round."""
    return statistics.median(a / b for a, b in zip(slow, fast, strict=True))
