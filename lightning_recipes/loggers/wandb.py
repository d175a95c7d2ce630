"""Lightning's W&B logger, moved into a thread of its own: training never waits for W&B and never fails with it."""

import copy
import logging
import os
import queue
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch.loggers.logger import DummyLogger
from lightning.pytorch.utilities import rank_zero_only
from typing_extensions import override

from lightning_recipes.compat.lightning import OpenWandbLogger

log = logging.getLogger(__name__)

__all__ = ["BackgroundWandbLogger", "Mode", "run_ids_in"]

Mode = Literal["offline", "online", "disabled"]
LOGIN = 10.0  # seconds that W&B takes, at the most, to find that its server does not answer a login
Task = Callable[[Any], object]


def run_ids_in(folder: Path) -> list[str]:
    """Return the ids of the W&B runs in a folder's ``wandb/``, the first first."""
    found = sorted((folder / "wandb").glob("*run-*_*-*"), key=lambda path: path.name.split("run-")[1])
    return list(dict.fromkeys(path.name.rsplit("-", 1)[1] for path in found))


class BackgroundWandbLogger(OpenWandbLogger):
    """Hand everything that is logged to a thread that alone talks to W&B.

    Lightning's own logger starts W&B, and calls it, where the training runs: a server that cannot be reached holds the
    start for a minute and a half, a missing key stops the run, and the end waits until all is uploaded. Here a server
    or a key that is missing or wrong means that the run is written offline, and an error of W&B is a warning, given
    once. The end waits no longer than ``patience``, and ten seconds more where W&B has not even begun; what is on the
    disk by then goes up with ``wandb sync``.

    Args:
        folder: W&B's files go to ``wandb/`` in it.
        project: Of W&B.
        name: What the run is called there.
        mode: ``offline``, ``online`` or ``disabled`` (default: ``WANDB_MODE``, or offline).
        patience: Longest wait for W&B at its start and at the end, in seconds, > 0.
        **settings: For ``wandb.init``, such as ``entity`` or ``tags``.
    """

    def __init__(
        self,
        folder: str,
        *,
        project: str,
        name: str | None = None,
        mode: Mode | None = None,
        patience: float = 30.0,
        **settings: Any,
    ) -> None:
        super().__init__(name=name, save_dir=folder, project=project, **settings)
        self.mode, self.patience = mode or os.environ.get("WANDB_MODE") or "offline", patience
        self._tasks: queue.SimpleQueue[Task | int] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._begun = threading.Event()
        self._last: list[Task] = []
        self._warned = False

    # What training calls: nothing here waits.

    @rank_zero_only
    def submit(self, task: Task) -> None:
        """Have a function of W&B's run called in its turn.

        Args:
            task: Is given the ``wandb.Run``; what it raises becomes a warning.
        """
        if self._thread is None:
            # A daemon: a W&B that hangs must not keep the process alive.
            self._thread = threading.Thread(target=self._work, name="wandb", daemon=True)
            self._thread.start()
        self._tasks.put(task)

    @override
    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log figures, or what else W&B takes."""
        row = _row(metrics, step)
        self.submit(lambda run: run.log(row))

    @override
    @rank_zero_only
    def log_hyperparams(self, params: Any) -> None:
        """Put parameters into the run's config."""
        super_log = super().log_hyperparams
        self.submit(lambda run: super_log(params))

    @override
    @rank_zero_only
    def log_image(self, key: str, images: list[Any], step: int | None = None, **kwargs: Any) -> None:
        """Log pictures, as they are now."""
        now = [_read(image) if isinstance(image, (str, Path)) else copy.deepcopy(image) for image in images]
        each = [{name: values[i] for name, values in kwargs.items()} for i in range(len(images))]

        def draw(run: Any) -> None:
            image = _wandb().Image
            run.log(_row({key: [image(one, **options) for one, options in zip(now, each, strict=True)]}, step))

        self.submit(draw)

    @rank_zero_only
    def at_end(self, task: Task) -> None:
        """Have a function of W&B's run called last of all, when the others have written what they write at the end."""
        self._last.append(task)

    @override
    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Finish the run; the trainer calls this after all callbacks, also when it was interrupted."""
        self.close(0 if status == "success" else 1)

    @rank_zero_only
    def close(self, exit_code: int = 0) -> bool:
        """Finish the run, and wait for it, as long as the class says. What is logged later opens the run again.

        Args:
            exit_code: 0 for a run that ended well.

        Returns:
            Whether W&B was done in time.
        """
        for task in self._last:
            self.submit(task)
        self._last, thread = [], self._thread
        if thread is None:
            return True
        self._tasks.put(exit_code)
        limit = self.patience if self._begun.is_set() else self.patience + LOGIN
        thread.join(limit)
        self._thread, self._tasks, self._begun = None, queue.SimpleQueue(), threading.Event()
        if thread.is_alive():
            rest = f"`wandb sync` sends the rest from {self.save_dir}"
            self._warn(f"W&B was not done within {limit:.0f} s; {rest}")
        return not thread.is_alive()

    @property
    @override
    def experiment(self) -> Any:
        """W&B's run, for what only W&B can do; waits until there is one. A run that does nothing on other ranks."""
        if getattr(rank_zero_only, "rank", 0) == 0 and self.opened is None:
            self.submit(lambda run: None)
            self._begun.wait()
        return self.opened or super().experiment

    # In the thread.

    def _work(self) -> None:
        tasks, begun, theirs = self._tasks, self._begun, None
        try:
            theirs = _wandb().run
            self.opened = run = theirs or self._begin()
        except Exception as error:  # also of its import: an installation may be half a one
            self._warn(f"W&B does not start ({_line(error)}); the run goes on without it")
            self.opened = run = DummyLogger().experiment
        finally:
            begun.set()
        while not isinstance(task := tasks.get(), int):
            try:
                task(run)
            except Exception as error:
                self._warn(f"W&B fails ({_line(error)}); the run goes on")
        if theirs is None:
            try:
                run.finish(exit_code=task)
            except Exception as error:
                self._warn(f"W&B fails at its end ({_line(error)})")
        if self.opened is run:
            self.opened = None

    def _begin(self) -> Any:
        wandb = _wandb()
        Path(str(self.save_dir), "wandb").mkdir(parents=True, exist_ok=True)  # or it goes to the system's own folder
        settings = wandb.Settings(
            init_timeout=self.patience,
            finish_timeout=self.patience,
            console="off",
            silent=True,
            reinit="create_new",  # an earlier run that is still being sent is not this one
        )
        run = None
        if self.mode == "online":
            try:
                if wandb.login(prompt=False, verify=False):
                    run = wandb.init(**self.init_arguments, mode="online", settings=settings)
                else:
                    self._warn("W&B has no API key; the run is written offline (`wandb login`, then `wandb sync`)")
            except Exception as error:
                self._warn(f"W&B is out of reach ({_line(error)}); the run is written offline, for `wandb sync`")
                wandb.teardown()  # or the id is still in use
        if run is None:
            mode = "offline" if self.mode == "online" else self.mode
            run = wandb.init(**self.init_arguments, mode=mode, settings=settings)
        run.define_metric("trainer/global_step")
        run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
        return run

    def _warn(self, text: str) -> None:
        if not self._warned:
            self._warned = True
            log.warning(text)

    @override
    def __getstate__(self) -> dict[str, Any]:
        """Leave the thread behind."""
        left: dict[str, Any] = {"_tasks": None, "_thread": None, "_begun": None, "_last": []}
        return {**super().__getstate__(), **left}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Begin with no thread."""
        self.__dict__ |= state
        self._tasks, self._begun = queue.SimpleQueue(), threading.Event()


def _wandb() -> Any:
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # its own crash reports hold the process back at its end
    import wandb

    return wandb


def _row(values: Mapping[str, Any], step: int | None) -> dict[str, Any]:
    return dict(values) if step is None else {**values, "trainer/global_step": step}


def _read(path: str | Path) -> Any:
    """Return a picture's content: by the time that it is logged, another may lie there."""
    from PIL import Image

    with Image.open(path) as picture:
        return picture.copy()


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]
