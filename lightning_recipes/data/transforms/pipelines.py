"""A user's own albumentations pipeline, as a recipe spells it."""

from collections.abc import Mapping, Sequence
from typing import Any

from lightning_recipes.data.transforms.policies import KEY, import_albumentations
from lightning_recipes.errors import UserError, did_you_mean

__all__ = ["build_pipeline"]


def build_pipeline(steps: Sequence[Any]) -> Any:
    """Return the ``Compose`` of a list of transforms.

    A transform is spelled ``HorizontalFlip``, ``{HorizontalFlip: {p: 0.5}}`` or ``{class_path:
    albumentations.HorizontalFlip, init_args: {p: 0.5}}``; those that hold others, such as ``OneOf``, have them in
    ``transforms``.

    Raises:
        UserError: albumentations has no such transform, or it refuses an argument.
    """
    return import_albumentations().Compose([_build(step) for step in steps])


def _build(step: Any) -> Any:
    name, arguments = _spelled(step)
    a = import_albumentations()
    cls = getattr(a, name, None)
    if not isinstance(cls, type):
        known = [n for n in dir(a) if n[0].isupper()]
        raise UserError(f"{KEY}: albumentations has no '{name}'{did_you_mean(name, known)}")
    if "transforms" in arguments:
        arguments = {**arguments, "transforms": [_build(inner) for inner in arguments["transforms"]]}
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # albumentations only warns of an argument that it does not know
        try:
            return cls(**arguments)
        except (TypeError, ValueError, UserWarning) as error:
            raise UserError(f"{KEY}: {name} refuses its arguments: {' '.join(str(error).split())}") from error


def _spelled(step: Any) -> tuple[str, dict[str, Any]]:
    if isinstance(step, str):
        return step, {}
    if isinstance(step, Mapping):
        if isinstance(step.get("class_path"), str):
            return step["class_path"].split(".")[-1], dict(step.get("init_args") or {})
        if len(step) == 1:
            ((name, arguments),) = step.items()
            if isinstance(arguments, Mapping) or arguments is None:
                return str(name), dict(arguments or {})
    raise UserError(f"{KEY}: {step!r} is not a transform; write HorizontalFlip: {{p: 0.5}}")
