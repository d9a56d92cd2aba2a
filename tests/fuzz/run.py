"""Give damaged files to a reader, and check that it loads them correctly or rejects them with a one-line message.

A worker process reads the files, and is replaced when it dies. The name of the reader, the seed and a number determine each
input.
"""

import contextlib
import dataclasses
import hashlib
import multiprocessing
import os
import random
import re
import resource
import signal
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from unittest import mock

from srnet_jax.errors import UserError
from srnet_jax.io import sandbox
from tests.fuzz import audit
from tests.fuzz.readers import READERS

SECONDS = 2.0  # of processor time, limit for one input
BYTES = 640 * 2**20  # limit of the memory beyond that of the worker at the start
STALLED = 60  # seconds without progress after which a worker counts as dead
_CHUNK = 100  # inputs per report
_EXPECTED_WARNINGS = ("left and right are swapped", "are left and right swapped?")


class TooSlowError(BaseException):
    """Raised when a reader takes too long; not an Exception, so that no reader mistakes it for damage."""


@dataclasses.dataclass
class Tally:
    """Outcomes of a reader's inputs; `crashes` holds the first of each kind: {what happened: how to reproduce it}."""

    inputs: int = 0
    loaded: int = 0
    refused: int = 0
    killed: int = 0  # rejected because the library that read them crashed or did not end
    crashes: dict[str, str] = dataclasses.field(default_factory=dict)
    num_crashes: int = 0
    seconds: float = 0.0

    def add(self, other):
        for name in ("inputs", "loaded", "refused", "killed", "num_crashes", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.crashes = other.crashes | self.crashes


class Bench:
    """A folder in which a reader reads damaged files, one after another."""

    def __init__(self, name, folder):
        self.name, self.reader, self.folder = name, READERS[name], Path(folder)
        self.file = self.folder / self.reader.file
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        audit.install()
        signal.signal(signal.SIGVTALRM, _too_slow)
        self.seeds = self.reader.seeds(self.folder)
        for replacement in self.reader.extra():
            self._stack.enter_context(replacement)
        self._stack.enter_context(mock.patch.object(sandbox, "_seconds", return_value=0.03))
        self._stack.enter_context(mock.patch.object(sandbox, "_START", audit.IN_CHILD))
        for name in ("_started", "end"):  # these start and end the child process
            allowed = audit.unwatched(getattr(sandbox._Child, name))
            self._stack.enter_context(mock.patch.object(sandbox._Child, name, allowed))
        self._stack.enter_context(sandbox.one_process())
        self._stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        for seed in self.seeds:  # late imports happen now
            self.file.write_bytes(seed)
            with contextlib.suppress(UserError):
                self.reader.read(self.folder)
        warnings.simplefilter("always")
        self._memory = _peak()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def damaged(self, seed, number):
        rng = random.Random(f"{self.name} {seed} {number}")
        data = rng.choice(self.seeds)
        return self.reader.damage(rng, data)

    def outcome(self, data):
        """Return "loaded", "refused" or "killed", or a description of what went wrong."""
        self.file.write_bytes(data)
        warned = []
        warnings.showwarning = lambda message, *_, **__: warned.append(str(message))
        forbidden: list[str] = []
        signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
        try:
            with audit.watched(self.folder, forbidden):
                self.reader.read(self.folder)
            found = "loaded"
        except UserError as error:
            killed = re.search("of processor time|made the library", str(error))
            found = self._flaw(str(error)) or ("killed" if killed else "refused")
        except TooSlowError as error:
            found = f"takes more than {SECONDS:g} s, in {_place(error)}"
        except BaseException as error:
            found = f"{type(error).__name__} in {_place(error)}: {str(error)[:100]!r}"
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        if forbidden:
            found = f"did what a reader may not do: {forbidden[0]}"
        if others := [
            text for text in warned if not text.endswith(_EXPECTED_WARNINGS[1]) and _EXPECTED_WARNINGS[0] not in text
        ]:
            found = f"warned: {others[0][:100]}"
        if _peak() > self._memory + BYTES:
            found = "takes too much memory"
        return found

    def _flaw(self, line):
        """Return the flaw in an error message, or None."""
        if not line.isprintable():
            return f"a message that is not one printable line: {_without_names(line)!r}"
        if str(self.folder) not in line and self.file.name not in line:
            return f"a message without the file: {_without_names(line)}"
        if f"exit code {audit.CAUGHT}" in line:
            return "did what a reader may not do, in the child process"
        if len(line) > 1000:
            return "a message of more than 1000 characters"
        return None


def _without_names(line):
    return line[:60]


def _peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _place(error):
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "srnet_jax" in frame.filename] or frames
    return " < ".join(dict.fromkeys(f"{Path(frame.filename).name}:{frame.name}" for frame in (own[-1], frames[-1])))


def _too_slow(*_):
    raise TooSlowError


def _work(name, seed, numbers, folder, current, reports):
    resource.setrlimit(resource.RLIMIT_AS, (6 * 2**30, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    begun, tally = time.process_time(), Tally()
    with Bench(name, folder) as bench:
        for number in numbers:
            current.value = number
            data = bench.damaged(seed, number)
            found = bench.outcome(data)
            tally.inputs += 1
            if found in ("loaded", "refused", "killed"):
                setattr(tally, found, getattr(tally, found) + 1)
            else:
                tally.num_crashes += 1
                tally.crashes.setdefault(found, keep(name, seed, number, data))
            full = "memory" in found
            if tally.inputs == _CHUNK or number == numbers[-1] or full:
                tally.seconds, begun = time.process_time() - begun, time.process_time()
                reports.send((number, tally))
                tally = Tally()
            if full:
                break


def keep(name, seed, number, data):
    """Write an input to the folder of crashes, and return text about how to reproduce it."""
    folder = Path(tempfile.gettempdir()) / "srnet_jax_fuzz"
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.{hashlib.sha256(data).hexdigest()[:8]}"
    path.write_bytes(data)
    return f"seed {seed}, number {number}: {path}"


def fuzz(name, numbers, seed=0):
    """Try inputs of a reader, by number, in a separate process, and return their Tally."""
    context, total, begun = multiprocessing.get_context("spawn"), Tally(), time.monotonic()
    current = context.RawValue("q", numbers[0])
    while numbers:
        receiving, sending = context.Pipe(duplex=False)
        with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
            worker = context.Process(target=_work, args=(name, seed, numbers, folder, current, sending))
            worker.start()
            sending.close()
            done = _listen(worker, receiving, total, current)
            if worker.exitcode:
                what = f"signal {-worker.exitcode}" if worker.exitcode < 0 else f"exit code {worker.exitcode}"
                lost = current.value
                data = next((path.read_bytes() for path in Path(folder).glob(READERS[name].file)), b"")
                total.add(Tally(inputs=1, num_crashes=1, crashes={f"the process ended, {what}": keep(name, seed, lost, data)}))
                done = lost
                if lost == numbers[0] and not data:
                    raise RuntimeError(f"{name}: the worker does not start")
        numbers = range(max(done + 1, numbers.start), numbers.stop)
    total.seconds = time.monotonic() - begun
    return total


def _listen(worker, receiving, total, current):
    """Add the reports of a worker until it ends; kill it if it makes no progress. Return the last reported number."""
    done, seen, still = -1, None, 0
    while True:
        still += 1  # seconds in which this process itself ran, as the whole machine may be suspended
        if receiving.poll(1.0):
            try:
                done, tally = receiving.recv()
            except EOFError:
                break
            total.add(tally)
        if current.value != seen:
            seen, still = current.value, 0
        elif still > STALLED:
            worker.kill()
    worker.join()
    return done
