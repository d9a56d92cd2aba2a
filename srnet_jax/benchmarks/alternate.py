"""Time functions of several processes in turns, so that a machine whose speed drifts treats them alike."""

import contextlib
import importlib
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection

ALLOCATOR = "GLIBC_TUNABLES"  # see launch/__init__.py
WARM_UP = 3


def _serve(pipe: Connection, maker: str) -> None:
    """Make functions by name, call them when asked, and answer with the seconds that it took."""
    module, name = maker.split(":")
    make: Callable[[str], Callable[[], object]] = getattr(importlib.import_module(module), name)
    functions: dict[str, Callable[[], object]] = {}
    while (case := pipe.recv()) is not None:
        try:
            if case not in functions:
                functions.clear()  # one at a time, as in a training
                functions[case] = make(case)
            begun = time.perf_counter()
            functions[case]()
            pipe.send(time.perf_counter() - begun)
        except Exception as error:
            pipe.send(f"{type(error).__name__}: {error}")
            return


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


def alternate(pipes: dict[str, Connection], case: str, rounds: int) -> dict[str, list[float]]:
    """Call every worker's function of a case in turns; return the seconds, round by round."""

    def call(pipe: Connection) -> float:
        pipe.send(case)
        answer = pipe.recv()
        if isinstance(answer, str):
            raise RuntimeError(f"{case}: {answer}")
        return answer

    for _ in range(WARM_UP):
        for pipe in pipes.values():
            call(pipe)
    seconds: dict[str, list[float]] = {name: [] for name in pipes}
    for _ in range(rounds):
        for name, pipe in pipes.items():
            seconds[name].append(call(pipe))
    return seconds


def ratio(slow: list[float], fast: list[float]) -> float:
    """Return the median of the ratios, round by round."""
    return statistics.median(a / b for a, b in zip(slow, fast, strict=True))
