"""Runs a command, and sees to it that nothing of it stays behind: ``python guard.py SECONDS COMMAND ...``.

Standard input is a pipe whose other end is the sweep's. When it closes, because the sweep wants the command to end or
was killed itself, the command gets SIGTERM, and SECONDS later all that is left of it SIGKILL. The exit code is the
command's; 128 and the signal's number where a signal ended it.

A program of its own, without imports of ours: it is started for each run, and takes a few megabytes.
"""

import ctypes
import os
import select
import signal
import sys
import time
from contextlib import suppress

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
LINGER = 5.0
"""Seconds that what a command has started may take to end behind it, such as a tracker that writes its last."""


def main() -> int:
    """Start the command, wait for it or for the pipe's end, and leave nothing."""
    patience, command = float(sys.argv[1]), sys.argv[2:]
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # what ends it is the pipe
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    child = _start(command, os.getpid())
    asked, code = 0.0, None
    while code is None:
        waiting = [read] if asked else [read, 0]
        left = max(0.0, asked + patience - time.monotonic()) if asked else None
        ready, _, _ = select.select(waiting, [], [], left)
        if read in ready:
            os.read(read, 4096)
        if 0 in ready:  # it holds nothing but its end
            asked = time.monotonic()
            os.kill(child, signal.SIGTERM)
        code = _reap(child)
        if code is None and asked and time.monotonic() - asked >= patience:
            os.kill(child, signal.SIGKILL)
            code = 128 + signal.SIGKILL
    _end_the_rest(child, LINGER if code == 0 else 0.0)
    return code


def _start(command: list[str], guard: int) -> int:
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)  # where even this guard is killed
        if os.getppid() != guard:  # before that was set
            os.kill(os.getpid(), signal.SIGTERM)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.execvp(command[0], command)
    except BaseException as error:
        os.write(2, f"{error}\n".encode())
    sys.exit(127)


def _reap(child: int) -> "int | None":
    """Collect all that has ended, and return the command's exit code if it is among it."""
    code = None
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == child:
                ended = os.waitstatus_to_exitcode(status)
                code = ended if ended >= 0 else 128 - ended
    return code


def _end_the_rest(group: int, linger: float) -> None:
    """Kill what the command has left: its group, and what came to us because those that started it are gone."""
    end = time.monotonic() + linger
    while True:
        _reap(-1)
        left = _children()
        if not left and not _exists(group):
            return
        if time.monotonic() >= end:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
            for pid in left:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            if time.monotonic() >= end + LINGER:  # what even this does not end waits for a disk
                return
        time.sleep(0.02)


def _exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _children() -> list[int]:
    """Processes whose parent this one is; none where there is no ``/proc``."""
    me, found = str(os.getpid()), []
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else []:
        with suppress(OSError, IndexError):
            if name.isdigit():
                with open(f"/proc/{name}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
                if fields[1].decode() == me and fields[0] != b"Z":
                    found.append(int(name))
    return found


def _prctl(option: int, value: int) -> None:
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main())
