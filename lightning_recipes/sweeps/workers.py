"""Who works on a trial, and whether it still lives: told by its process here, by its heartbeat elsewhere."""

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["BEAT_SECONDS", "DEAD_AFTER_SECONDS", "Watch", "lives", "same_machine", "this_process"]

BEAT_SECONDS = 10.0
"""Between two heartbeats of a worker."""
DEAD_AFTER_SECONDS = 60.0
"""Without a heartbeat, of a worker on another machine, by our own clock."""
ZOMBIE = "Z"


def this_process() -> dict[str, Any]:
    """Return what names this process for ever: machine, boot, process namespace, number and start."""
    return {
        "host": socket.gethostname(),
        "boot": _read("/proc/sys/kernel/random/boot_id"),
        "namespace": _namespace(),  # containers of one machine may have one host name, and each has a process 1
        "pid": os.getpid(),
        "started": _state_and_start(os.getpid())[1],
    }


def same_machine(worker: Mapping[str, Any]) -> bool:
    """Tell whether a worker's process can be looked for here."""
    here = this_process()
    return all(worker.get(part) == here[part] for part in ("host", "boot", "namespace"))


def lives(worker: Mapping[str, Any]) -> bool:
    """Tell whether a worker of this machine lives: its number may be another process's by now."""
    pid = int(worker["pid"])
    if not Path("/proc/self/stat").exists():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True
    state, started = _state_and_start(pid)
    return state not in ("", ZOMBIE) and started == worker["started"]


class Watch:
    """Which workers are dead; of those elsewhere it has to be asked again and again, as it goes by their heartbeats.

    Attributes:
        dead_after: Seconds without a heartbeat.
    """

    def __init__(self, dead_after: float = DEAD_AFTER_SECONDS) -> None:
        self.dead_after = dead_after
        self._seen: dict[int, tuple[object, float]] = {}

    def is_dead(self, trial: int, worker: Mapping[str, Any], beat: object) -> bool:
        """Tell whether the worker of a trial is gone.

        Args:
            trial: Its number in the storage, to remember heartbeats by.
            worker: As :func:`this_process` wrote it.
            beat: Its last heartbeat.
        """
        if same_machine(worker):
            return not lives(worker)
        now = time.monotonic()
        if trial not in self._seen or self._seen[trial][0] != beat:
            self._seen[trial] = (beat, now)
        return now - self._seen[trial][1] > self.dead_after


def _state_and_start(pid: int) -> tuple[str, str]:
    """Fields 3 and 22 of ``/proc/PID/stat``; a process's name, before them, may have blanks and brackets."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return (fields[0], fields[19]) if len(fields) > 19 else ("", "")


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
