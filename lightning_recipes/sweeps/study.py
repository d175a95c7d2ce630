"""The study of a sweep in Optuna's storage: the one thing that its workers share."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from lightning_recipes.atomic_io import write_json
from lightning_recipes.errors import UserError
from lightning_recipes.sweeps.file_lock import JournalLock, locked
from lightning_recipes.sweeps.kinds import Choice, IntRange, Kind

__all__ = [
    "Study",
    "distribution_of",
    "keep_settings",
    "open_storage",
    "open_study",
    "param_of",
    "refuse_other_settings",
]

EXTRA = "needs the package '{}'; pip install 'lightning-recipes[sweep]'"
SETTINGS = "settings"
JOURNAL = "study.journal"
TRIES = 5
"""To open a database: workers that start together make its tables together, and all but one of them fail at it."""
PATIENCE = 30.0
"""Seconds to wait for the settings of a study that another worker is just beginning."""


@dataclass(frozen=True)
class Study:
    """A study that this process takes part in.

    Attributes:
        storage: Optuna's.
        id: Of the study in it.
        name: Likewise.
        mode: Where better values of the metric are.
    """

    storage: Any
    id: int
    name: str
    mode: Literal["max", "min"]

    def trials(self) -> list[Any]:
        """Return all of Optuna's trials as they are now, by Optuna's number; not to be changed."""
        found: list[Any] = self.storage.get_all_trials(self.id, deepcopy=False)
        return found

    def for_optuna(self, sampler: Any = None) -> Any:
        """Return Optuna's own object, new: an older one remembers trials as they were when it was asked first."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        return optuna.load_study(study_name=self.name, storage=self.storage, sampler=sampler)


def open_storage(out: Path, url: str | None) -> Any:
    """Open the storage that workers share.

    Args:
        out: Folder of the sweep, made if it is not there; holds the journal where ``url`` is None.
        url: Of a database, as SQLAlchemy writes it.

    Raises:
        UserError: A package is not installed, or the database cannot be opened.
    """
    if find_spec("optuna") is None:
        raise UserError(f"sweep: {EXTRA.format('optuna')}")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if url is None:
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        out.mkdir(parents=True, exist_ok=True)
        path = (out / JOURNAL).resolve()
        path.touch()
        return JournalStorage(JournalFileBackend(str(path), lock_obj=JournalLock(path)))  # type: ignore[arg-type]
    return _open_database(url)


def _open_database(url: str) -> Any:
    import optuna
    import sqlalchemy.exc

    _refuse_missing_driver(url)
    if url in ("sqlite://", "sqlite:///", "sqlite:///:memory:"):
        raise UserError("storage: is kept in memory, where nobody else finds it; name a file, as in sqlite:///sweep.db")
    for tries_left in reversed(range(TRIES)):
        try:
            # A connection that the server has closed meanwhile is made anew.
            return optuna.storages.get_storage(optuna.storages.RDBStorage(url, engine_kwargs={"pool_pre_ping": True}))
        except sqlalchemy.exc.NoSuchModuleError as error:
            raise UserError(f"storage: {error}; give one such as postgresql+psycopg://user@host/name") from None
        except (sqlalchemy.exc.ArgumentError, ValueError):
            raise UserError("storage: is no address of a database; give one such as sqlite:///sweep.db") from None
        except ImportError as error:
            raise UserError(f"storage: {error.__cause__ or error}; install the package of this database") from None
        except sqlalchemy.exc.SQLAlchemyError as error:
            if not tries_left:
                said = str(getattr(error, "orig", error)).strip().splitlines()
                raise UserError(f"storage: the database cannot be opened ({said[0] if said else error})") from None
            time.sleep(1.0)
    raise AssertionError(url)


def _refuse_missing_driver(url: str) -> None:
    if url.startswith("postgresql+psycopg:") and find_spec("psycopg") is None:
        raise UserError(f"storage: {EXTRA.format('psycopg')}".replace("[sweep]", "[sweep-postgres]"))


def open_study(
    storage: Any, name: str, *, mode: Literal["max", "min"], settings: Mapping[str, Any], where: str
) -> Study:
    """Begin a study, or join the one that is there.

    Args:
        storage: Of :func:`open_storage`.
        name: Of the study.
        mode: Where better values of the metric are.
        settings: What all of its workers have to have in common, as JSON has it.
        where: What the user calls the study, for errors.

    Raises:
        UserError: It began with other settings; names the first key that differs.
    """
    from optuna.exceptions import DuplicatedStudyError
    from optuna.study import StudyDirection

    direction = StudyDirection.MAXIMIZE if mode == "max" else StudyDirection.MINIMIZE
    try:
        # One process alone succeeds at it; a settings' attribute that all would write could be one's and another's.
        study_id = storage.create_new_study([direction], name)
    except DuplicatedStudyError:
        study_id = storage.get_study_id_from_name(name)
    else:
        storage.set_study_user_attr(study_id, SETTINGS, dict(settings))
    _compare(_settings_of(storage, study_id, settings), json.loads(json.dumps(settings)), where)
    return Study(storage, study_id, name, mode)


def refuse_other_settings(path: Path, settings: Mapping[str, Any]) -> None:
    """Refuse a folder that holds the runs of another sweep.

    Args:
        path: Where a sweep that is there wrote its settings.
        settings: Of this one, as JSON has it.

    Raises:
        UserError: Names the first key that differs.
    """
    if path.exists():
        _compare(json.loads(path.read_text(encoding="utf-8")), dict(settings), str(path.parent))


def keep_settings(path: Path, settings: Mapping[str, Any]) -> None:
    """Write the settings of a sweep into its folder, where they are not there yet; workers may come together."""
    with locked(path.with_name(".report.lock")):
        if not path.exists():
            write_json(path, dict(settings))


def _settings_of(storage: Any, study_id: int, ours: Mapping[str, Any]) -> dict[str, Any]:
    """Wait for the settings of who began the study; who began it may have died at it."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found: dict[str, Any] | None = storage.get_study_user_attrs(study_id).get(SETTINGS)
        if found is not None:
            return found
        time.sleep(0.1)
    storage.set_study_user_attr(study_id, SETTINGS, dict(ours))
    return dict(json.loads(json.dumps(ours)))


def _compare(began: Any, ours: Any, where: str, key: str = "") -> None:
    if began == ours and isinstance(began, bool) == isinstance(ours, bool):
        return
    if isinstance(began, dict) and isinstance(ours, dict) and (set(began) & set(ours) or not key):
        for name in [*began, *(name for name in ours if name not in began)]:
            _compare(began.get(name), ours.get(name), where, f"{key}.{name}".lstrip("."))
        return
    key = key.replace(".init_args", "").removeprefix("recipe.")
    said = "; ".join(f"{when} {json.dumps(of)[:60]}" for when, of in (("it began with", began), ("now it is", ours)))
    raise UserError(f"{key}: the sweep in {where} is another ({said}); give it as it was, or another --out")


def distribution_of(kind: Kind) -> Any:
    """Return Optuna's words for a kind of values."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(kind, Choice):
        return CategoricalDistribution(kind.labels)
    if isinstance(kind, IntRange):
        return IntDistribution(kind.low, kind.high, log=kind.log)
    return FloatDistribution(kind.low, kind.high, log=kind.log)


def param_of(kind: Kind, value: Any) -> Any:
    """Return what Optuna calls a value: of a choice its text, which it can tell from every other."""
    return json.dumps(value, sort_keys=True) if isinstance(kind, Choice) else value
