"""SIGTERM and Ctrl-C: a first one asks for a stop, a second one ends the program at once."""

import os
import signal
import threading
from types import FrameType, TracebackType

from srnet_jax.errors import Interrupted

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def stop_at_once() -> None:
    """Let the signals end the program at once, as "try again", while there is nothing to save.

    An exception would not do: it can be lost in a library that is just being imported. For the same reason this module does not
    import JAX.
    """
    for number in _SIGNALS:
        signal.signal(number, _end)


def _end(number: int, frame: FrameType | None) -> None:
    os.write(2, b"interrupted; run the same command again to continue\n")
    os._exit(75)


class Interruption:
    """Listens for the signals as long as its context lasts.

    Among several processes JAX's own notifier listens for SIGTERM and agrees with the others on the step to stop after; Ctrl-C
    counts as SIGTERM.

    Attributes:
      deferred: whoever sets this calls `stop` after each step; until then a signal raises Interrupted.
    """

    def __init__(self) -> None:
        import jax

        self.deferred = False
        self._requested = False
        self._calls = 0
        self._together = jax.process_count() > 1

    def __enter__(self) -> "Interruption":
        self._before = {}
        if threading.current_thread() is threading.main_thread():  # Python allows it nowhere else
            signals = (signal.SIGINT,) if self._together else _SIGNALS
            self._before = {number: signal.signal(number, self._handle) for number in signals}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def stop(self) -> bool:
        """Return whether training stops here; every process calls it equally often, and all get the same answer."""
        if not self._together:
            return self._requested
        from jax.experimental import multihost_utils

        self._calls += 1
        return multihost_utils.reached_preemption_sync_point(self._calls)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._requested:
            os._exit(128 + number)  # as if the signal had not been caught; what is half-written is found at the next start
        self._requested = True
        if self._together:
            os.kill(os.getpid(), signal.SIGTERM)
        elif not self.deferred:
            raise Interrupted("stopped before training began; run the same command again")
        os.write(2, b"stopping after this step; a second signal stops at once\n")  # print() must not be used in a handler
