"""A study in a database: workers with folders of their own take part in one sweep."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lightning_recipes.errors import UserError
from lightning_recipes.sweeps import study as study_module
from lightning_recipes.sweeps.study import open_storage
from tests.sweeps.postgres import postgres, programs
from tests.sweeps.sweeping import report, start_sweep, wait_until, write_files


@pytest.fixture
def url() -> Iterator[str]:
    if programs() is None:
        pytest.skip("PostgreSQL's initdb is not installed")
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))  # which a server of another user reads, and is short
    try:
        with postgres(folder) as address:
            yield address
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def opened(url: str) -> Iterator[Any]:
    """Open a storage, and close its connections behind it."""
    storage = open_storage(Path("unused"), url)
    yield storage
    storage.remove_session()
    storage._backend.engine.dispose()


@pytest.mark.slow
def test_two_machines_with_folders_of_their_own_do_one_study(tmp_path: Path, url: str) -> None:
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
        write_files(folder)
    words = ("--out", "out", "--trials", "4", "--storage", url)
    workers = [start_sweep(folder, "said", *words) for folder in folders]  # they make the tables at the same moment
    assert [worker.wait() for worker in workers] == [0, 0], [(f / "said.txt").read_text() for f in folders]
    one, other = (report(folder / "out") for folder in folders)
    assert one == other
    assert [(entry["number"], entry["state"]) for entry in one["trials"]] == [(k, "complete") for k in range(4)]
    done = [sorted(path.name for path in (folder / "out" / "trials").iterdir()) for folder in folders]
    assert all(done), "both did some"
    assert sorted(done[0] + done[1]) == [f"{k:04d}" for k in range(4)], "each is done by one of them"
    best = [(folder / "out" / "best.yaml").read_text().split("\n", 3)[3] for folder in folders]
    assert best[0] == best[1], "the recipe is there, wherever the run is"
    with opened(url) as storage:
        states = Counter(trial.state.name for trial in storage.get_all_trials(1))
    assert states["COMPLETE"] == 4
    assert states["RUNNING"] == 0


@pytest.mark.slow
def test_a_worker_that_dies_leaves_its_trial_to_another_machines(tmp_path: Path, url: str) -> None:
    """The other one cannot see the process, only that its heart stands still, for a minute."""
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        write_files(tmp_path / name)
    words = ("--out", "out", "--trials", "1", "--storage", url, "--study", "mine")
    worker = start_sweep(tmp_path / "one", "said", *words)
    assert wait_until(lambda: " began" in (tmp_path / "one" / "said.txt").read_text(), worker)
    worker.kill()
    worker.wait()
    with opened(url) as storage:
        (left,) = storage.get_all_trials(1)
        # A process that is gone is seen at once where it was: here it is said to have been elsewhere.
        storage.set_trial_user_attr(left._trial_id, "worker", {**left.user_attrs["worker"], "host": "elsewhere"})
    other = start_sweep(tmp_path / "other", "said", *words)
    assert other.wait() == 0, (tmp_path / "other" / "said.txt").read_text()
    assert "trial 0: " in (tmp_path / "other" / "said.txt").read_text()
    assert "began (again, after 1 given up)" in (tmp_path / "other" / "said.txt").read_text()
    assert [entry["state"] for entry in report(tmp_path / "other" / "out")["trials"]] == ["complete"]


def test_sqlite_will_do_too_and_what_is_no_database_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(f"sqlite:///{tmp_path / 'sweep.db'}") as storage:
        assert storage.get_all_studies() == []
    monkeypatch.setattr(study_module, "TRIES", 1)
    for url, said in (
        ("nonsense", "storage: is no address of a database; give one such as sqlite:///sweep.db"),
        ("oracool://here/x", "storage: Can't load plugin: sqlalchemy.dialects:oracool; give one such as postgresql"),
        (
            f"sqlite:///{tmp_path}/no/such/folder/x.db",
            "storage: the database cannot be opened (unable to open database",
        ),
        ("postgresql+psycopg2://here/x", "storage: No module named 'psycopg2'; install the package of this database"),
    ):
        with pytest.raises(UserError) as error:
            open_storage(tmp_path, url)
        assert str(error.value).startswith(said)
        assert "\n" not in str(error.value)
    monkeypatch.setattr(study_module, "find_spec", lambda name: None if name == "psycopg" else name)
    with pytest.raises(
        UserError, match=r"storage: needs the package 'psycopg'; pip install 'lightning-recipes\[sweep-pos"
    ):
        open_storage(tmp_path, "postgresql+psycopg://sweeper@/postgres")
    monkeypatch.setattr(study_module, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"sweep: needs the package 'optuna'; pip install 'lightning-recipes\[sweep\]'"):
        open_storage(tmp_path, None)
