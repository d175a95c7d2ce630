"""Two recipes compared, key by key: an answer for each difference."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lightning_recipes.components import parse_spec
from lightning_recipes.run.resume.rules import ANEW, JUDGED, Answer, rule_of
from lightning_recipes.run.resume.stages import KEPT_RATE, Reached, begun_stage, stage_answers

__all__ = ["recipe_answers"]

OWN = "lightning_recipes."
# What these keep in the checkpoint belongs to the metric they watch.
WATCHING = ("EarlyStopping", "OnPlateau", "ModelCheckpoint")
# Arguments of an optimizer that its state does not depend on; others must be numbers that stay what they are to it.
WITHOUT_STATE = ("nesterov", "maximize", "foreach", "dampening", "weight_decouple", "decoupled_weight_decay")


SPELT_OUT = {"model.loss": "cross_entropy", "best_checkpoint.monitor": "val_accuracy", "best_checkpoint.mode": "max"}


def recipe_answers(old: Mapping[str, Any], new: Mapping[str, Any], reached: Reached) -> list[Answer]:
    """Return an answer for each key in which two recipes differ, in the recipe's order.

    Args:
        old: The recipe that the checkpoint was made with, as ``config.yaml`` has it.
        new: The one that the run goes on with.
        reached: How far the checkpoint has come.

    Example:
        >>> [str(a) for a in recipe_answers({"recipe": "a"}, {"recipe": "b"}, Reached(1))]
        ['recipe: the run is called so from now on']
    """
    answers: list[Answer] = []
    for key, before, after in _differences(old, new):
        if key == "trainer.callbacks":
            answers += _callback_answers(before, after, reached)
        elif key == "model.optimizer":
            answers += _optimizer_answers(before, after)
        elif key in ("model.lr", "model.lr_decay"):
            answers.append(_rate_answer(key, new, reached))
        elif key in ("model.schedule", "data.augment") and _stages_have_their_own(key, new, reached):
            answers.append(Answer(key, "kept", "has no effect: the stage under way and those to come have their own"))
        elif key == "model.pretrained" and after is False:
            answers.append(Answer(key, "kept", "has no effect: the weights come from the checkpoint"))
        elif key == "data.eval_batch_size" and _judged_in_batches(new):
            answers.append(Answer(key, *JUDGED))
        elif key == "trainer.devices" and _devices(before) == _devices(after):
            answers.append(Answer(key, "now", "takes effect at once"))
        elif key == "trainer.devices" and None in (_devices(before), _devices(after)):
            text = "takes effect at once; let there be as many as before, as each takes a batch of its own"
            answers.append(Answer(key, "now", text))
        else:
            answers.append(Answer(key, *rule_of(key)))
    return answers


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield key, old and new value; a key that one recipe does not know is another version's, and no difference."""
    for section in (name for name in old if name in new):
        before, after = _plain(old[section]), _plain(new[section])
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            pairs = [(f"{section}.{name}", before[name], after[name]) for name in before if name in after]
        else:
            pairs = [(section, before, after)]
        yield from (pair for pair in pairs if pair[1] != pair[2] and not _is_its_default(*pair))


def _is_its_default(key: str, before: Any, after: Any) -> bool:
    """Tell whether a recipe of 0.1.0 spells out what null stands for since then, as of one label an image."""
    return key in SPELT_OUT and before == SPELT_OUT[key] and after is None


def _plain(section: Any) -> Any:
    """Return a section with a class's arguments beside its path, as the command line spells them."""
    if isinstance(section, Mapping) and "class_path" in section:
        return {"class_path": section["class_path"], **(section.get("init_args") or {})}
    return section


def _judged_in_batches(recipe: Mapping[str, Any]) -> bool:
    """Whether what a method of pretraining makes of the images of a validation's batch decides which epoch is best."""
    model, data, best = (_plain(recipe.get(section) or {}) for section in ("model", "data", "best_checkpoint"))
    return "method" in model and (data.get("root") is None or best.get("monitor") == "val_pretext_loss")


def _devices(value: Any) -> int | None:
    """Return how many devices are asked for; None where the machine decides."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return len(value)
    try:
        return None if int(value) < 0 else int(value)
    except ValueError:
        return None if value == "auto" else len(value.split(","))


def _stages_of(recipe: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
    for callback in _listed((recipe.get("trainer") or {}).get("callbacks")):
        if callback["class_path"].rpartition(".")[2] == "Stages":
            stages: list[Mapping[str, Any]] = callback["init_args"]["stages"]
            return stages
    return None


def _rate_answer(key: str, new: Mapping[str, Any], reached: Reached) -> Answer:
    stages = _stages_of(new) or []
    name = key.rpartition(".")[2]
    stopped = any(kind == "stop" for kind, _ in reached.changes)
    to_come = [] if stopped or not stages else stages[begun_stage(stages, reached) + 1 :]
    takers = [f"'{stage['name']}'" for stage in to_come if stage.get(name) is None]
    if takers:
        return Answer(key, "next", f"takes effect in stage {', '.join(takers)}; {KEPT_RATE}")
    return Answer(
        key, "kept", f"has no effect: {KEPT_RATE}" + (", and those to come have their own" if to_come else "")
    )


def _stages_have_their_own(key: str, new: Mapping[str, Any], reached: Reached) -> bool:
    stages, name = _stages_of(new) or [], key.rpartition(".")[2]
    left = stages[begun_stage(stages, reached) :] if stages else []
    own = [s.get(name) is not None or (name == "augment" and _never_augments(s)) for s in left]
    return bool(own) and all(own)


def _never_augments(stage: Mapping[str, Any]) -> bool:
    return bool(stage.get("cache_features")) and not stage.get("feature_views")


def _optimizer_answers(before: Any, after: Any) -> list[Answer]:
    key = "model.optimizer"
    (name, old), (new_name, new) = parse_spec(key, before), parse_spec(key, after)
    if name.lower() != new_name.lower():
        return [Answer(key, "refused", f"the state of {name} in the checkpoint does not fit {new_name}; {ANEW}")]
    answers = []
    for argument in (a for a in dict.fromkeys([*old, *new]) if old.get(a) != new.get(a)):
        lazily = argument in WITHOUT_STATE or (name.lower(), argument) == ("sgd", "momentum")
        unsure = argument == "momentum" and not (argument in old and argument in new)  # the default may be 0
        if lazily or (_same_kind(old.get(argument), new.get(argument)) and not unsure):
            answers.append(Answer(f"{key}.{argument}", "now", "takes effect at once"))
        else:
            text = f"the state of {name} in the checkpoint may not fit it; {ANEW}"
            answers.append(Answer(f"{key}.{argument}", "refused", text))
    return answers


def _same_kind(old: Any, new: Any) -> bool:
    """Whether both are numbers, or lists of them, that are not 0; one that is not given is what the optimizer says."""
    values = [value for one in (old, new) for value in (one if isinstance(one, list | tuple) else [one])]
    return all(v is None or (isinstance(v, int | float) and not isinstance(v, bool) and v != 0) for v in values)


def _listed(callbacks: Any) -> list[Mapping[str, Any]]:
    found = callbacks if isinstance(callbacks, list) else [] if callbacks is None else [callbacks]
    return [
        {"init_args": {}, **one} if isinstance(one, Mapping) else {"class_path": str(one), "init_args": {}}
        for one in found
    ]


def _named(callbacks: Any) -> dict[str, Mapping[str, Any]]:
    """Return callbacks by class, a second one of a class with its number."""
    named: dict[str, Mapping[str, Any]] = {}
    for callback in _listed(callbacks):
        name, number = callback["class_path"], 2
        while name in named:
            name, number = f"{callback['class_path']} {number}", number + 1
        named[name] = callback
    return named


def _callback_answers(before: Any, after: Any, reached: Reached) -> list[Answer]:
    old, new = _named(before), _named(after)
    answers: list[Answer] = []
    for path in dict.fromkeys([*old, *new]):
        name = path.rpartition(".")[2]
        if path not in old or path not in new:
            answers.append(_come_or_gone(name, came=path in new))
            continue
        first, second = (one[path]["init_args"] or {} for one in (old, new))
        for argument in (a for a in dict.fromkeys([*first, *second]) if first.get(a) != second.get(a)):
            if (name, argument) == ("Stages", "stages"):
                answers += stage_answers(first["stages"], second["stages"], reached)
            else:
                answers.append(_argument_answer(path, name, argument))
    return answers


def _come_or_gone(name: str, *, came: bool) -> Answer:
    key = f"trainer.callbacks.{name}"
    if name == "Stages":
        text = "a run has its stages from the beginning" if came else "the run has stages, and the checkpoint is in one"
        return Answer(key, "refused", f"{text}; {ANEW}")
    if name == "EMA":
        text = (
            "the average begins with the checkpoint's weights"
            if came
            else ("the average is dropped; training goes on from what the checkpoint validated with")
        )
        return Answer(key, "now", text)
    text = "acts from here on; it has not seen what was before" if came else "acts no more; what it kept is dropped"
    return Answer(key, "now", text)


def _argument_answer(path: str, name: str, argument: str) -> Answer:
    key = f"trainer.callbacks.{name}.{argument}"
    if name in WATCHING and argument in ("monitor", "mode"):
        return Answer(key, "refused", f"what it counted so far is of the old value; {ANEW}")
    if name == "LearningRateFinder":
        return Answer(key, "next", "takes effect in stages that are still to begin")
    if path.startswith((OWN, "lightning.")):
        return Answer(key, "now", "takes effect at once; what it has counted so far stays")
    return Answer(key, *rule_of(key.removeprefix("trainer.")))
