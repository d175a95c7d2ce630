"""Where a mistyped key or class of a recipe belongs: read off the signatures that the recipe's keys come from."""

import inspect
from collections.abc import Iterable, Mapping, Sequence

import lightning.pytorch as pl
from lightning.pytorch import callbacks as lightning_callbacks
from lightning.pytorch import loggers as lightning_loggers

import lightning_recipes
from lightning_recipes.data.datamodule import ImageDataModule
from lightning_recipes.errors import nearest
from lightning_recipes.modules.classifier import ImageClassifier

__all__ = ["arguments_of", "class_hint", "key_hint"]

SECTIONS = {"model": ImageClassifier, "data": ImageDataModule, "trainer": pl.Trainer}
PACKAGES = {
    "lightning_recipes": lightning_recipes,
    "lightning.pytorch.callbacks": lightning_callbacks,
    "lightning.pytorch.loggers": lightning_loggers,
}
KINDS = {
    "callbacks": pl.Callback,
    "logger": lightning_loggers.Logger,
    "model": pl.LightningModule,
    "data": pl.LightningDataModule,
}
OTHER_NAMES = {
    "batch": "data.batch_size",
    "classes": "model.num_classes",
    "data_dir": "data.root",
    "epochs": "trainer.max_epochs",
    "freeze": "trainer.callbacks, with class_path: lightning_recipes.Stages",
    "gpus": "trainer.devices",
    "learning_rate": "model.lr",
    "momentum": "model.optimizer, as in {name: sgd, momentum: 0.9}",
    "name": "recipe",
    "output_dir": "run_dir",
    "scheduler": "model.schedule",
    "seed": "seed_everything",
    "stages": "trainer.callbacks, with class_path: lightning_recipes.Stages",
    "steps": "trainer.max_steps",
    "workers": "data.num_workers",
}
"""What others call a key, and its name here."""


def arguments_of(kind: type) -> list[str]:
    """Return the names that a class takes, its own first, then those that its bases take through ``**kwargs``."""
    names: list[str] = []
    for owner in kind.__mro__:
        parameters = inspect.signature(owner.__init__).parameters  # type: ignore[misc]
        names += [n for n, p in parameters.items() if n != "self" and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            break
    return list(dict.fromkeys(names))


def key_hint(key: str, top: Iterable[str], own: Mapping[str, Sequence[str]] | None = None) -> str:
    """Return ``"; did you mean model.lr?"`` for a key that is not there, or an empty string.

    The same name in another section comes before a similar one in its own: ``model.batch_size`` is meant to be the
    data's, and not the model's ``image_size``.

    Args:
        key: As it was given: ``lr``, ``modell.lr``, ``model.batch_size``.
        top: Keys of the top level.
        own: Keys of a section, where a class of the user's own stands in it.
    """
    sections = {section: arguments_of(kind) for section, kind in SECTIONS.items()} | {
        k: [*v] for k, v in (own or {}).items()
    }
    section, _, name = key.rpartition(".")
    for meant in [] if section in ("", *sections) else nearest(section, sections):
        if found := nearest(name, sections[meant]):
            return _ask(f"{meant}.{one}" for one in ([name] if name in found else found))
    if exact := [f"{other}.{name}" for other, names in sections.items() if name in names and other != section]:
        return _ask(exact)
    if found := nearest(name, top if not section else sections.get(section, ())):
        return _ask(found)
    if name in OTHER_NAMES:
        return _ask([OTHER_NAMES[name]])
    near = [f"{other}.{one}" for other, names in sections.items() for one in nearest(name, names, most=1)]
    return _ask(near) or "; --help all lists the keys"


def class_hint(given: str, key: str) -> str:
    """Return the import paths of our classes and Lightning's whose names are near to the one that was given.

    Args:
        given: A name or an import path: ``Stagess``, ``lightning_recipes.Stagess``.
        key: Where in the recipe, which says what kind of class is meant.
    """
    kind = KINDS.get(key.rpartition(".")[2], object)
    paths = {
        f"{package}.{name}": name
        for package, module in PACKAGES.items()
        for name in module.__all__
        if isinstance(found := getattr(module, name), type) and issubclass(found, kind)
    }
    near = nearest(given.rpartition(".")[2], paths.values())
    return _ask(path for one in near for path, name in paths.items() if name == one)


def _ask(names: Iterable[str]) -> str:
    text = ", ".join(names)
    return f"; did you mean {text}?" if text else ""
