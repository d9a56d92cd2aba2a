"""SIGTERM and Ctrl-C: a first one asks for a stop, a second one ends the program at once."""

import os
import signal
import threading
from types import FrameType, TracebackType

from srnet_jax.errors import Interrupted

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def stop_at_once() -> None:
    """Let the signals end the program at once, as "try again": for the time when there is nothing to save.

    An exception would not do: it can be lost in a library that is just being imported.
    """
    for number in _SIGNALS:
        signal.signal(number, _end)


def _end(number: int, frame: FrameType | None) -> None:
    os.write(2, b"interrupted; run the same command again to continue\n")
    os._exit(75)


class Interruption:
    """Listens for the signals as long as its context lasts.

    Attributes:
      requested: that a signal came.
      deferred: that whoever set this looks at `requested`; until then a signal raises Interrupted.
    """

    requested = False
    deferred = False

    def __enter__(self) -> "Interruption":
        self._before = {}
        if threading.current_thread() is threading.main_thread():  # Python allows it nowhere else
            self._before = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            os._exit(128 + number)  # as if the signal had not been caught; what is half-written is found at the next start
        self.requested = True
        if not self.deferred:
            raise Interrupted("stopped before training began; run the same command again")
        os.write(2, b"stopping after this step; a second signal stops at once\n")  # print() must not be used in a handler
