"""In what two recipes differ, key by key."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Different", "differences", "keys_of_recipe"]

WITHOUT_EFFECT = (
    "recipe", "run_dir", "ckpt_path", "config", "seed_everything", "verbose", "weights_only", "views", "wandb",
    "errors", "gradcam", "last_checkpoint", "data.num_workers", "data.cache", "data.eval_batch_size",
    "data.predict_root", "trainer.logger", "trainer.default_root_dir", "trainer.enable_progress_bar",
    "trainer.enable_model_summary", "trainer.log_every_n_steps",
    "trainer.callbacks[EpochLines]", "trainer.callbacks[ProgressBar]",
)  # fmt: skip
"""Keys, with all below them, that change nothing of what is learnt or judged."""


ORDER = " (order)"


@dataclass(frozen=True)
class Different:
    """A key in which two recipes differ.

    Attributes:
        key: As it is typed, with entries of lists by class or name: ``trainer.callbacks[Stages].stages[all].lr``.
        a: The value of the first; None where it has no such key.
        b: The value of the second.
    """

    key: str
    a: Any
    b: Any


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Different]:
    """Return the keys in which two recipes differ, in the order of the first; a callback that one lacks is one key.

    Left out is what changes nothing of what is learnt, as the folder, the seed and what is drawn.

    Example:
        >>> ema = {"trainer": {"callbacks": [{"class_path": "lightning_recipes.EMA", "init_args": {"decay": 0.9}}]}}
        >>> [(one.key, one.a, one.b) for one in differences(ema, {"trainer": {"callbacks": []}})]
        [('trainer.callbacks[EMA]', 'EMA', None)]
    """
    first, second = keys_of_recipe(a), keys_of_recipe(b)
    found, gone = [], list[str]()
    for key in dict.fromkeys([*first, *second]):
        before, after = first.get(key), second.get(key)
        nothing = before in (None, []) and after in (None, [])  # whose entries are keys of their own on the other side
        if nothing or before == after or _below(key, WITHOUT_EFFECT) or _below(key, gone):
            continue
        if key.endswith(ORDER) and (not before or not after or sorted(before) != sorted(after)):
            continue  # an entry that one of them lacks is a key of its own
        if key.endswith("]"):  # an entry of a list, which stands before its own keys
            gone.append(key)
        found.append(Different(key, before, after))
    return found


def _below(key: str, above: Sequence[str]) -> bool:
    return any(key == one or key.startswith((f"{one}.", f"{one}[")) for one in above)


def keys_of_recipe(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return every value of a recipe by its key."""
    return dict(_keys("", recipe))


def _keys(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and "class_path" in value:
        yield key, _name(value)
        value = value.get("init_args") or {}
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _keys(f"{key}.{name}".lstrip("."), inner)
    elif isinstance(value, list | tuple) and (names := _names(value)):
        yield f"{key}{ORDER}", names
        for name, inner in zip(names, value, strict=True):
            yield from _keys(f"{key}[{name}]", {"class_path": name, "init_args": inner, **inner})
    elif key:
        yield key, value


def _name(value: Mapping[str, Any]) -> str:
    return str(value["class_path"]).rpartition(".")[2]


def _names(values: Sequence[Any]) -> list[str]:
    """What entries of a list are called; none where they have no names, as numbers and strings have not."""
    if not all(isinstance(one, Mapping) and ("class_path" in one or "name" in one) for one in values):
        return []
    names = [_name(one) if "class_path" in one else str(one["name"]) for one in values]
    return [str(i) if names.count(name) > 1 else name for i, name in enumerate(names)]
