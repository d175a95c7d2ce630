"""How a recipe names a function or a class with its arguments: one spelling for losses, schedules and optimizers."""

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import lightning_recipes
from lightning_recipes.errors import UserError, did_you_mean

__all__ = ["Spec", "check_arguments", "current_path", "import_object", "import_path", "parse_spec", "taken_by"]

Spec = str | dict[str, Any]
"""``"adamw"``, ``{"name": "adamw", "betas": [0.9, 0.95]}`` or ``{"class_path": ..., "init_args": {...}}``."""


def parse_spec(key: str, spec: Spec) -> tuple[str, dict[str, Any]]:
    """Return the name and the keyword arguments of a spec.

    Args:
        key: The recipe's key, for the error.
        spec: In any of the three spellings of :data:`Spec`.

    Raises:
        UserError: It is none of them.

    Example:
        >>> parse_spec("model.optimizer", {"name": "sgd", "momentum": 0.9})
        ('sgd', {'momentum': 0.9})
    """
    if isinstance(spec, str) and spec:
        return spec, {}
    if isinstance(spec, Mapping):
        if isinstance(spec.get("class_path"), str) and set(spec) <= {"class_path", "init_args"}:
            return spec["class_path"], dict(spec.get("init_args") or {})
        if isinstance(spec.get("name"), str):
            return spec["name"], {name: value for name, value in spec.items() if name != "name"}
    raise UserError(f"{key}: {spec!r} is neither a name nor a mapping with 'name' (or 'class_path' and 'init_args')")


FORMER_PATHS = {"lightning_recipes.classifier.ImageClassifier": "lightning_recipes.ImageClassifier"}
"""Where checkpoints of earlier releases look for a class, and where it is."""


def current_path(path: str) -> str:
    """Return where a class is now that a checkpoint of any release names.

    Example:
        >>> current_path("lightning_recipes.classifier.ImageClassifier")
        'lightning_recipes.ImageClassifier'
    """
    return FORMER_PATHS.get(path, path)


def import_path(thing: type) -> str:
    """Return what a class is imported by: ours by the public name, which stays where its module moves.

    Example:
        >>> import_path(dict)
        'builtins.dict'
    """
    public = thing.__module__.startswith("lightning_recipes.") and thing.__name__ in lightning_recipes.__all__
    return f"lightning_recipes.{thing.__name__}" if public else f"{thing.__module__}.{thing.__qualname__}"


def import_object(key: str, path: str) -> Any:
    """Import what a dotted path names; the error says which part is missing and what it is near to."""
    module_name, _, name = current_path(path).rpartition(".")
    try:
        module = import_module(module_name)
    except (ImportError, ValueError) as error:
        raise UserError(f"{key}: cannot import '{path}' ({error}); give an import path that works from here") from None
    if not hasattr(module, name):
        raise UserError(f"{key}: module '{module_name}' has no '{name}'{did_you_mean(name, dir(module))}")
    return getattr(module, name)


def check_arguments(key: str, function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    """Refuse keyword arguments that the function or class does not take.

    Raises:
        UserError: Names ``key.argument`` and the nearest one that exists.
    """
    parameters = inspect.signature(function).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    known = [name for name, p in parameters.items() if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    for name in arguments:
        if name not in known:
            label = getattr(function, "__name__", str(function))
            raise UserError(f"{key}.{name}: '{label}' takes no such argument{did_you_mean(name, known)}")


def taken_by(function: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of some keyword arguments that a function or class takes; all of them where it takes any."""
    parameters = inspect.signature(function).parameters
    everything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return {name: value for name, value in arguments.items() if everything or name in parameters}
