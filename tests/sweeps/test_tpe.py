"""Values by the Parzen estimator: Optuna's, told what the trials of the sweep reached."""

from pathlib import Path

import pytest

from lightning_recipes.sweeps.claims import look_for_work, set_state
from lightning_recipes.sweeps.space import parse_space
from lightning_recipes.sweeps.study import Study, open_storage, open_study
from lightning_recipes.sweeps.tpe import tpe_values
from lightning_recipes.sweeps.values import Values
from lightning_recipes.sweeps.workers import Watch, this_process

SPACE = parse_space({
    "x": {"uniform": [0, 1]},
    "kind": {"choice": ["bad", ["good", 1], None]},
    "y": {"log": [1e-3, 1], "when": {"kind": [["good", 1]]}},
    "n": {"int": [1, 9]},
})  # fmt: skip


def score(values: Values) -> float:
    """Best at x = 0.3, of the good kind."""
    return -abs(float(values["x"]) - 0.3) - (0.0 if values["kind"] == ["good", 1] else 0.5)


def searched(folder: Path, trials: int, mode: str = "max") -> list[Values]:
    study = open_study(open_storage(folder, None), "sweep", mode=mode, settings={}, where="here")  # type: ignore[arg-type]
    found = []
    for _ in range(trials):
        one = look_for_work(
            study,
            SPACE,
            trials,
            worker=this_process(),
            watch=Watch(),
            draw=lambda k: tpe_values(study, SPACE, k, seed=1),
        )
        assert one is not None
        set_state(study, one, "COMPLETE", score(one.values) if mode == "max" else -score(one.values))
        found.append(one.values)
    return found


@pytest.mark.parametrize("mode", ["max", "min"])
def test_it_goes_where_trials_were_good(tmp_path: Path, mode: str) -> None:
    found = searched(tmp_path, 40, mode)
    assert len({values["x"] for values in found}) == 40, "no two are alike, though each number has a sampler of its own"
    assert all(("y" in values) == (values["kind"] == ["good", 1]) for values in found)
    late = found[25:]
    assert sum(values["kind"] == ["good", 1] for values in late) >= 10, "of fifteen; by chance five"
    away = [abs(values["x"] - 0.3) for values in late]
    assert sorted(away)[len(away) // 2] < 0.15, "the median by chance is 0.25"


def test_the_same_trials_before_it_give_the_same_values(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert searched(tmp_path / "a", 15) == searched(tmp_path / "b", 15)


def test_two_that_are_drawn_while_nothing_is_known_are_not_alike(tmp_path: Path) -> None:
    study: Study = open_study(open_storage(tmp_path, None), "sweep", mode="max", settings={}, where="here")
    assert tpe_values(study, SPACE, 0, seed=1) != tpe_values(study, SPACE, 1, seed=1)
