"""SIGTERM and SIGINT (Ctrl-C) as a wish to stop that a training can grant between two steps."""

import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

__all__ = ["StopSignals", "Stopped"]

SIGNALS = (signal.SIGTERM, signal.SIGINT)
AT_ONCE = 1.0  # seconds; `timeout` and some schedulers send the same signal to a process and to its group


class Stopped(SystemExit):
    """A signal ended the command; its exit code is 128 and the signal's number.

    Attributes:
        signal: Which.
        together: All processes of the training stop at this same step.
    """

    def __init__(self, number: int, *, together: bool = False) -> None:
        super().__init__(128 + number)
        self.signal = signal.Signals(number)
        self.together = together


class StopSignals:
    """Within its block, the first SIGTERM or SIGINT asks to stop and the second ends the process.

    Attributes:
        patient: Only note the first signal, as there is something to save; otherwise it raises :class:`Stopped`.
        received: The first signal's number, 0 before it.
    """

    def __init__(self) -> None:
        self.patient, self.received = False, 0
        self._when = 0.0
        self._process = os.getpid()
        self._before: dict[int, Callable[[int, FrameType | None], Any] | int | None] = {}

    def __enter__(self) -> "StopSignals":
        self._before = {number: signal.getsignal(number) for number in SIGNALS}
        self.listen()
        return self

    def __exit__(self, *error: object) -> None:
        if _can_listen():
            for number, handler in self._before.items():
                signal.signal(number, handler)

    def listen(self) -> None:
        """Put our handler where another one has been put since; what a shell lets a process ignore stays ignored."""
        self._process = os.getpid()
        for number in SIGNALS:
            if _can_listen() and self._before[number] is not signal.SIG_IGN:
                signal.signal(number, self._hear)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a loader's worker: the process above it decides when it ends
            if number != signal.SIGINT:
                _die(number)
        elif not self.received:
            self.received, self._when = number, time.monotonic()
            if not self.patient:
                raise Stopped(number)
        elif time.monotonic() - self._when > AT_ONCE:
            _die(number)


def _can_listen() -> bool:
    return threading.current_thread() is threading.main_thread()


def _die(number: int) -> None:
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
