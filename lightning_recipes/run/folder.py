"""Where a run lives: a folder of its own that no other run writes to, and that is never overwritten."""

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from lightning_recipes.errors import UserError
from lightning_recipes.run.reader import is_recipe_of_run

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["RunFolder", "choose_run_folder", "holds_run"]

RUNS = Path("runs")
RESULTS = ("summary.json", "metrics.csv", "checkpoints")
PATIENCE = 6.0  # seconds that the loader's workers of a killed process may need to see that it is gone


def holds_run(folder: Path) -> bool:
    """Tell whether a folder holds a run, whole or not."""
    return any((folder / name).exists() for name in ("config.yaml", *RESULTS))


class RunFolder:
    """A folder that this process alone writes to, from :meth:`claim` to :meth:`release`.

    Two processes that claim a folder at the same moment do not both get it: a new one is made by whoever comes first,
    and one that is there is locked. The lock ends with the process, however that ends, and leaves no file.

    Attributes:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._made: list[Path] = []  # outermost first
        self._before: set[str] | None = None  # None where it is not ours
        self._lock: int | None = None

    def claim(self, *, must_be_new: bool = False, patience: float = 0.0) -> bool:
        """Make the folder if it is not there, and lock it.

        Args:
            must_be_new: Leave a folder that is there to whoever made it.
            patience: Seconds to wait for another process to let go of it.

        Returns:
            Whether it is ours now.
        """
        end = time.monotonic() + patience
        while True:
            new = self._make()
            if (new or not must_be_new) and self._hold():
                self._before = {entry.name for entry in self.path.iterdir()}
                return True
            if must_be_new or time.monotonic() >= end:
                return False
            time.sleep(0.2)

    def _make(self) -> bool:
        """Make the folder with those above it, and tell whether it was this process that made it."""
        for tries_left in reversed(range(100)):
            missing = [folder for folder in (self.path, *self.path.parents) if not os.path.lexists(folder)]
            for folder in reversed(missing):
                try:
                    folder.mkdir()
                except FileExistsError:  # another process was faster
                    continue
                except FileNotFoundError:  # another process has removed an empty one above it: once more
                    if not tries_left:  # a place that takes no folders, such as /proc
                        raise
                    break
                self._made.append(folder)
            else:
                break
        return self.path in self._made

    def _hold(self) -> bool:
        if fcntl is None:
            return True
        try:
            number = os.open(self.path, os.O_RDONLY)
        except FileNotFoundError:  # removed again by whoever made it
            return False
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(number)
            return False
        except OSError:  # a drive without locks: that the folder is made by one process alone has to do
            os.close(number)
            return True
        if not self.path.exists() or os.fstat(number).st_ino != self.path.stat().st_ino:  # removed in between
            os.close(number)
            return False
        self._lock = number
        os.register_at_fork(after_in_child=self._forget)
        return True

    def _forget(self) -> None:
        """Close the lock in a child: workers that outlive a killed process must not keep it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def release(self, *, failed: bool = False) -> None:
        """Let go of the folder; what a run that failed before it began has put there is removed.

        Args:
            failed: The command did not end well; where nothing had been trained by then, a folder that was claimed is
                as before. One that was only chosen is nobody's to clean.
        """
        with suppress(OSError):
            if failed and self._before is not None and not any((self.path / name).exists() for name in RESULTS):
                for entry in list(self.path.iterdir()):
                    if entry.name not in self._before:
                        shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink()
            for folder in reversed(self._made):
                folder.rmdir()  # only what is empty
        self._made = []
        self._forget()

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self.release(failed=kind is not None)


def choose_run_folder(
    run_dir: str | None, recipe: str, *, config: Path | None = None, resume: bool = False, claim: bool = True
) -> RunFolder:
    """Choose the folder of a run, make it, and claim it for this process.

    Args:
        run_dir: The folder that was asked for; without it, the next free number in ``runs/<recipe>/``.
        recipe: What the run is called.
        config: The recipe's file; to go on, the run that it lies in comes before the newest of its name.
        resume: Go on with the run that is there.
        claim: Without it, only choose: for processes that are started side by side to train one run.

    Raises:
        UserError: The folder holds a run that is not to be continued, or cannot be written, or belongs to another
            process.
    """
    newest = _newest(recipe)
    if run_dir is not None:
        path = Path(run_dir)
    elif resume and config is not None and is_recipe_of_run(config.name) and holds_run(config.parent):
        path = config.parent
    elif resume and newest is not None:
        path = newest
    else:
        return _next_number(recipe, claim=claim)
    folder = RunFolder(path)
    if claim:
        _check_writable(path)
        if not _claim(folder, patience=PATIENCE if resume else 0.0):
            raise UserError(f"run_dir: '{path}' is in use by another process; wait for its end, or name another folder")
    if not resume and holds_run(path):
        folder.release()
        raise UserError(f"run_dir: '{path}' holds a run; go on with it by --ckpt_path last, or name another folder")
    return folder


def _claim(folder: RunFolder, *, must_be_new: bool = False, patience: float = 0.0) -> bool:
    try:
        return folder.claim(must_be_new=must_be_new, patience=patience)
    except OSError as error:  # such as a name that is too long, or a place that holds no folders
        raise UserError(f"run_dir: '{folder.path}' cannot be made ({error.strerror}); name another folder") from error


def _numbers(recipe: str) -> list[int]:
    return sorted(int(path.name) for path in (RUNS / recipe).glob("*") if path.name.isdigit())


def _newest(recipe: str) -> Path | None:
    """The newest run of a name; a folder in which none began, as a kill leaves it, is none."""
    folders = [RUNS / recipe / str(number) for number in _numbers(recipe)]
    return next((folder for folder in reversed(folders) if holds_run(folder)), None)


def _next_number(recipe: str, *, claim: bool) -> RunFolder:
    while True:
        folder = RunFolder(RUNS / recipe / str(max(_numbers(recipe), default=-1) + 1))
        if not claim:
            return folder
        _check_writable(folder.path)
        if _claim(folder, must_be_new=True):
            return folder


def _check_writable(folder: Path) -> None:
    """Say before the training, not after it, that nothing could be saved."""
    above = next(one for one in (folder, *folder.parents) if os.path.lexists(one))
    if not above.is_dir():
        raise UserError(f"run_dir: '{above}' is a file; name a folder that can be written")
    if not os.access(above, os.W_OK | os.X_OK):
        raise UserError(f"run_dir: '{above}' cannot be written; name another folder by --run_dir")
