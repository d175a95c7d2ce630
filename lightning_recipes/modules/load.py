"""A checkpoint is a finished model: one file, and everything between a picture and its probabilities.

``best.ckpt`` and each snapshot hold the weights as they are to be used, the class that they belong to with its
arguments (backbone, head, classes), the task, and how a picture becomes an input in the stage that they were judged in.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_recipes.compat.lightning import ADDED_BY_LIGHTNING, CLASS_PATH
from lightning_recipes.components import import_object, import_path, taken_by
from lightning_recipes.errors import UserError
from lightning_recipes.models.checkpoint_file import read_checkpoint
from lightning_recipes.models.snapshot_files import find_snapshots
from lightning_recipes.modules.classification import ClassificationModule
from lightning_recipes.modules.classifier import ImageClassifier
from lightning_recipes.modules.ensemble import EnsembleClassifier
from lightning_recipes.modules.gan.conditional_gan import ConditionalGAN
from lightning_recipes.modules.protocols import GivesProbabilities, offers
from lightning_recipes.modules.staged import StagedModule

__all__ = ["load", "load_classifier", "load_gan"]


def load(path: str | Path, **changed: Any) -> Any:
    """Return the model of a file, ready to use: on the CPU, in eval mode.

    That is the class which the file names: a :class:`ClassificationModule`, an :class:`EnsembleClassifier` of a folder
    of snapshots, or a :class:`ConditionalGAN`.

    Needs no recipe, no data and no weights but the file's own. A class of one's own is imported by its path, and only
    if it is one of these; nothing else of the file is executed.

    Args:
        path: A checkpoint of a run (``best.ckpt``), one of its snapshots (``.safetensors``), its ``snapshots`` folder
            (the ensemble of them), or the run's folder (its best checkpoint).
        changed: Arguments of the model's class, in place of the file's.

    Raises:
        UserError: The file is not there, is no checkpoint, or its class cannot be had.

    Example:
        >>> model = load("runs/finetune/0/checkpoints/best.ckpt")  # doctest: +SKIP
        >>> [(p.label, p.probability) for p in model.predict(["a.jpg", "b.png"])]  # doctest: +SKIP
        [('ants', 0.98), ('bees', 0.87)]
    """
    return _load(path, (ClassificationModule, ConditionalGAN), changed)


def load_classifier(path: str | Path, **changed: Any) -> ClassificationModule | EnsembleClassifier:
    """Return the model of a file, as :func:`load` does; one that gives no probabilities is refused."""
    model: ClassificationModule | EnsembleClassifier = _load(path, (ClassificationModule,), changed)
    if not offers(model, GivesProbabilities):
        raise UserError(
            f"ckpt_path: '{path}' learned without labels and gives features alone; begin a fit with it by "
            "--model.pretrained, or take the features from Python by load(...).embed"
        )
    return model


def load_gan(path: str | Path) -> ConditionalGAN:
    """Return the model of a file, as :func:`load` does; one that makes no images is refused."""
    model: ConditionalGAN = _load(path, (ConditionalGAN,), {})
    return model


def _load(path: str | Path, kinds: tuple[type, ...], changed: Mapping[str, Any]) -> Any:
    file = Path(path)
    if file.is_dir() and (file / "checkpoints" / "best.ckpt").is_file():
        file = file / "checkpoints" / "best.ckpt"
    if file.is_dir():
        of_snapshots = [_build(s.path, s.checkpoint(), (ClassificationModule,), changed) for s in find_snapshots(file)]
        if ClassificationModule in kinds:
            return EnsembleClassifier(of_snapshots)
        raise UserError(f"ckpt_path: '{file}' is a folder of classifiers, which make no images; give a checkpoint file")
    return _build(file, read_checkpoint(file), kinds, changed)


def _build(file: Path, checkpoint: dict[str, Any], kinds: tuple[type, ...], changed: Mapping[str, Any]) -> Any:
    arguments = {k: v for k, v in checkpoint.get("hyper_parameters", {}).items() if k not in ADDED_BY_LIGHTNING}
    if "class_path" not in checkpoint and "backbone" not in arguments:
        raise UserError(f"ckpt_path: '{file}' does not say which class it is of; it is none of a ClassificationModule")
    kind = _class_of(file, checkpoint, kinds)
    if issubclass(kind, ImageClassifier):  # the weights are the file's
        arguments |= {"pretrained": False, "init": None}
    # Only what the class takes: Lightning keeps what it hands to its parent, too.
    module = kind(**{**taken_by(kind, arguments), **changed})
    module.on_load_checkpoint(checkpoint)
    try:
        module.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"ckpt_path: the weights of '{file}' do not fit {kind.__name__} as it is now ({reason})"
        ) from error
    return module.eval()


def _class_of(file: Path, checkpoint: Mapping[str, Any], kinds: tuple[type, ...]) -> type[StagedModule]:
    """Return the class that a file names; a file of before it was named is of ours, or as the command line named it."""
    saved = checkpoint.get("hyper_parameters", {}).get(CLASS_PATH, "")
    name = checkpoint.get("class_path") or saved or import_path(ImageClassifier)
    try:
        found = import_object("class_path", name)
    except UserError as error:
        raise UserError(
            f"ckpt_path: '{file}' is of the class {name}, which cannot be imported here ({error}); "
            "run where its module is, or put it on PYTHONPATH"
        ) from error
    if not (isinstance(found, type) and issubclass(found, (ClassificationModule, ConditionalGAN))):
        raise UserError(f"ckpt_path: '{file}' names {name}, which is no ClassificationModule; it is not loaded")
    if not issubclass(found, kinds):
        lacks = "makes images, and tells none apart; give it to lightning-recipes generate"
        if issubclass(found, ClassificationModule):
            lacks = "makes no images; give the checkpoint of a ConditionalGAN"
        raise UserError(f"ckpt_path: '{file}' is of the class {found.__name__}, which {lacks}")
    return found
