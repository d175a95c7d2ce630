"""What can be taken out of a recipe, one line at a time: each technique off, all others on."""

from collections.abc import Iterator, Mapping
from typing import Any

from lightning_recipes.errors import UserError
from lightning_recipes.sweeps.kinds import Choice
from lightning_recipes.sweeps.space import Searched, Space, same

__all__ = ["lines_of", "name_of"]

OFF: dict[str, Any] = {
    "model.pretrained": False,
    "model.lr_decay": 1.0,
    "model.weight_decay": 0.0,
    "model.schedule": "constant",
    "model.dropout": 0.0,
    "model.freeze_norm_stats": False,
    "model.init": None,
    "model.activation": None,
    "data.augment": "none",
    "data.balance": False,
    "trainer.precision": "32-true",
    "trainer.accumulate_grad_batches": 1,
    "trainer.gradient_clip_val": None,
}
"""A key that is a technique, and its value without it."""
NOTHING_IS_OFF = ("trainer.precision",)
"""Keys whose null is the value without the technique, by another name."""
IN_MAPPINGS: dict[str, Any] = {
    "model.loss.label_smoothing": 0.0,
    "model.optimizer.momentum": 0.0,
    "model.optimizer.nesterov": False,
}
"""The same of what stands in a mapping that a recipe may have."""
OF_A_STAGE: dict[str, Any] = {"lr_decay": 1.0, "schedule": "constant", "augment": "none"}
KEPT = ("Stages", "EpochLines", "ProgressBar", "TrainingDoctor", "WandbTracker")
"""Callbacks that are the plan, or change nothing of what is learnt."""


def lines_of(recipe: Mapping[str, Any]) -> Space:
    """Return the techniques of a recipe, each with the one value that takes it out.

    Callbacks and stages are taken out whole; of a stage that stays, its decay of rates, schedule and augmentation.

    Args:
        recipe: With every key.

    Raises:
        UserError: There is none.
    """
    lines = [*_keys(recipe), *_callbacks(recipe)]
    if not lines:
        raise UserError("one_at_a_time: the recipe has no technique that could be taken out; name keys by --search")
    return Space(tuple(Searched(key, Choice((off,)), {}) for key, off in lines))


def name_of(values: Mapping[str, Any]) -> str:
    """Return what a trial is called in tables.

    Example:
        >>> name_of({}), name_of({"trainer.callbacks[EMA]": None}), name_of({"model.weight_decay": 0.0})
        ('whole recipe', 'without EMA', 'model.weight_decay 0.0')
    """
    if not values:
        return "whole recipe"
    ((key, off),) = values.items()
    if ".stages[" in key and not key.endswith("]"):
        stage, _, name = key.rpartition(".stages[")[2].partition("].")
        return f"stage {stage}: {name} {off}"
    if key.endswith("]") and off is None:
        name = key.rpartition("[")[2].removesuffix("]")
        stage = "stage " if ".stages[" in key else "callback " if name.isdigit() else ""
        return f"without {stage}{name}"
    return f"{key} {'off' if off is None else str(off).lower() if isinstance(off, bool) else off}"


def _keys(recipe: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    stages = _stages_in(recipe)
    for key, off in (OFF | IN_MAPPINGS).items():
        name = key.rpartition(".")[2]
        if stages and name in OF_A_STAGE and all(_says(stage, name) for stage in stages):
            continue  # a stage's own value comes before it
        node: Any = recipe
        for name in key.split("."):
            node = node.get("init_args", node) if isinstance(node, Mapping) else {}
            node = node.get(name, {} if key in IN_MAPPINGS else off) if isinstance(node, Mapping) else off
        absent = node == {} if key in IN_MAPPINGS else node is None and key in NOTHING_IS_OFF
        if not absent and not same(node, off):
            yield key, off


def _stages_in(recipe: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    listed = (recipe.get("trainer") or {}).get("callbacks") or []
    found = [one["init_args"]["stages"] for one in listed if one["class_path"].rpartition(".")[2] == "Stages"]
    return list(found[0]) if found else []


def _says(stage: Mapping[str, Any], name: str) -> bool:
    return stage.get(name) is not None or _has_no_say(stage, name)


def _callbacks(recipe: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    listed = (recipe.get("trainer") or {}).get("callbacks") or []
    names = [str(one["class_path"]).rpartition(".")[2] for one in listed]
    for position, name in enumerate(names):
        key = f"trainer.callbacks[{name if names.count(name) == 1 else position}]"
        if name not in KEPT:
            yield key, None
        elif name == "Stages":
            yield from _stages(key, listed[position]["init_args"]["stages"])


def _stages(key: str, stages: list[Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    for stage in stages:
        if len(stages) > 1:
            yield f"{key}.stages[{stage['name']}]", None
    for stage in stages:
        for name, off in OF_A_STAGE.items():
            if stage.get(name) is not None and not same(stage[name], off) and not _has_no_say(stage, name):
                yield f"{key}.stages[{stage['name']}].{name}", off


def _has_no_say(stage: Mapping[str, Any], name: str) -> bool:
    """Tell whether a value of a stage changes nothing: rates of layers that are frozen, augmentation of features."""
    if name == "lr_decay":
        return stage.get("train") == "head"
    return name == "augment" and bool(stage.get("cache_features")) and not stage.get("feature_views")
