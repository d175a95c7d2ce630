"""How much of what trials reach is explained by each key, and how sure that is."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lightning_recipes.randomness import numpy_generator_for
from lightning_recipes.sweeps.space import Searched, Space
from lightning_recipes.sweeps.study import distribution_of, param_of

__all__ = ["FEWEST", "importances"]

FEWEST = 8
"""Trials that are complete, below which nothing can be said."""
RESAMPLES = 20
TREES = 32


def importances(space: Space, entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return ``key``, ``importance``, ``low``, ``high`` and ``trials`` of each key, the largest first.

    The share of the metric's variance that a forest explains by the key alone (functional ANOVA), and percentiles of
    what it says of trials that are drawn anew: of few trials the interval is wide. A key that exists only with some
    value of another is judged among the trials that have it. None of a key that fewer than eight complete trials have.

    Source: Hutter, Hoos and Leyton-Brown (2014), "An efficient approach for assessing hyperparameter importance";
    Optuna's.

    Args:
        space: What was searched.
        entries: Of ``sweep.json``.
    """
    done = [one for one in entries if one["state"] == "complete"]
    common = [one for one in space.keys if not one.when]
    found = _of(common, common, done)
    for key in (one for one in space.keys if one.when):
        found += _of([key], [*common, key], done)
    return sorted(found, key=lambda row: -row["importance"])


def _of(keys: Sequence[Searched], among: Sequence[Searched], done: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Importances of keys among others, by the trials that have all of these."""
    having = [one for one in done if all(other.key in one["values"] for other in among)]
    if len(having) < FEWEST:
        return []
    generator = numpy_generator_for("importance", len(having), *[key.key for key in keys], seed=0)
    drawn = [generator.integers(len(having), size=len(having)) for _ in range(RESAMPLES)]
    said = [_shares(among, [having[i] for i in places]) for places in drawn]
    whole, rows = _shares(among, having), []
    for key in (one.key for one in keys if one.key in whole):
        value, known = whole[key], [one[key] for one in said if key in one]
        if known:
            low, high = (float(bound) for bound in np.quantile(known, [0.025, 0.975]))
            row = {"key": key, "importance": value, "low": min(low, value), "high": max(high, value)}
            rows.append({**row, "trials": len(having)})
    return rows


def _shares(among: Sequence[Searched], entries: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Importance of each key by these trials; none of a key that has one value, or where all reach the same."""
    import optuna
    from optuna.importance import FanovaImportanceEvaluator

    varied = [one for one in among if len({repr(entry["values"][one.key]) for entry in entries}) > 1]
    if not varied or len({entry["metric"] for entry in entries}) < 2:
        return {}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study()
    for entry in entries:
        params = {one.key: param_of(one.kind, entry["values"][one.key]) for one in varied}
        distributions = {one.key: distribution_of(one.kind) for one in varied}
        study.add_trial(optuna.create_trial(params=params, distributions=distributions, value=entry["metric"]))
    found = FanovaImportanceEvaluator(n_trees=TREES, seed=0).evaluate(study)
    total = sum(found.values())
    return {key: float(share) for key, share in found.items()} if total > 0 else {}
