"""Values that take what other trials have reached into account."""

import json
from typing import Any

from lightning_recipes.randomness import seed_for
from lightning_recipes.sweeps.kinds import Choice
from lightning_recipes.sweeps.space import Space
from lightning_recipes.sweeps.study import Study, distribution_of, param_of
from lightning_recipes.sweeps.values import Values

__all__ = ["tpe_values"]

NOT_STORED = 2**31 - 1
"""A number that no trial has: the sampler leaves out the one of this number where it looks at the others."""


def tpe_values(study: Study, space: Space, number: int, *, seed: int) -> Values:
    """Return the values of a trial by the tree-structured Parzen estimator, of the keys that exist in it.

    Each key by itself, given the trials that had it; trials that run count as bad ones, so that workers side by side do
    not all try the same. The first ten are random. Depends on which trials are done by then.

    Source: Bergstra et al. (2011), "Algorithms for Hyper-Parameter Optimization"; Optuna's sampler.

    Args:
        study: Whose trials are looked at.
        space: What is searched.
        number: Of the trial.
        seed: Of the search.
    """
    from optuna.samplers import TPESampler
    from optuna.trial import FrozenTrial, TrialState

    # A seed a number: a sampler that is made anew with the same seed draws the same.
    sampler = TPESampler(seed=seed_for("sweep", number, seed=seed), constant_liar=True, multivariate=False)
    whole = study.for_optuna(sampler)
    values: Values = {}
    params: dict[str, Any] = {}
    for one in space.ordered:
        if not one.exists(values):
            continue
        trial = FrozenTrial(
            number=NOT_STORED, trial_id=NOT_STORED, state=TrialState.RUNNING, value=None, datetime_start=None,
            datetime_complete=None, params=dict(params), user_attrs={}, system_attrs={}, intermediate_values={},
            distributions={key.key: distribution_of(key.kind) for key in space.keys if key.key in params},
        )  # fmt: skip
        drawn = sampler.sample_independent(whole, trial, one.key, distribution_of(one.kind))
        values[one.key] = json.loads(drawn) if isinstance(one.kind, Choice) else drawn
        params[one.key] = param_of(one.kind, values[one.key])
    return values
