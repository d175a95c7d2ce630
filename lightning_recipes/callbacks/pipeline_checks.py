"""The checks of a recipe, each made where a fit has what it looks at: at its start, and as each stage begins."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor
from typing_extensions import override

from lightning_recipes.checks import features, inputs, learning, network, one_batch, outputs
from lightning_recipes.checks.check import Check, passed, warned
from lightning_recipes.checks.inputs import Seen
from lightning_recipes.checks.small_training import first_part
from lightning_recipes.compat.lightning import gradient_scaler
from lightning_recipes.data.datamodule import ImageDataModule
from lightning_recipes.data.of_trainer import image_data_of
from lightning_recipes.engine.forward import in_eval_mode, logits_of, on_device
from lightning_recipes.engine.trial_steps import no_trace
from lightning_recipes.models.dropout_order import dropout_before_norm
from lightning_recipes.modules.protocols import GivesProbabilities, HasBackbone, offers, require_staged
from lightning_recipes.stages.plan import Stage

__all__ = ["PipelineChecks"]

LOOKED_AT = 64
"""Images whose pixels are compared with those of the files."""
AT_ONCE = 32


class PipelineChecks(pl.Callback):
    """Make the checks of a recipe while a fit of a step a stage goes through its stages.

    What :class:`~lightning_recipes.cli.commands.check.CheckPipeline` adds to the recipe's callbacks, as the last of
    them. Every check leaves weights, optimizer and randomness as they were.

    Args:
        steps: Optimizer steps of each small training, at most; 0 leaves out what trains.
        say: Called with each check as it is made.

    Attributes:
        found: The checks so far.
        trained: Images as training sees them, for a figure; None before they are looked at, and of foreign data.
    """

    def __init__(self, steps: int, say: Callable[[Check], None]) -> None:
        self.steps, self.say = steps, say
        self.found: list[Check] = []
        self.trained: Seen | None = None

    @override
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check what can be at this stage."""
        module, epoch, data = require_staged(pl_module, "check"), trainer.current_epoch, image_data_of(trainer)
        plan = module.timeline.plan
        stage, judges = plan.at(epoch), offers(pl_module, GivesProbabilities)
        if epoch == 0:
            self._add(_of_layers(pl_module))
            if data is not None and judges:
                self._add(_of_outputs(trainer, pl_module, data))
        if data is not None and judges and epoch == _first_with_images(plan.stages):
            self._add(self._of_inputs(trainer, pl_module, data, stage))
            if offers(pl_module, HasBackbone) and not data.several_labels:
                self._add(_of_features(trainer, pl_module, data, stage))
        batch = next(iter(trainer.train_dataloader or []))
        self._add(_of_step(trainer, pl_module, batch, stage))
        if epoch == plan.epochs - 1:
            self._add(self._of_training(trainer, pl_module, data, batch))

    def _add(self, checks: Iterable[Check]) -> None:
        for check in checks:
            self.found.append(check)
            self.say(check)

    def _passed(self, name: str) -> bool:
        return any(one.name == name and one.status == "passed" for one in self.found)

    def _of_inputs(self, trainer: pl.Trainer, module: Any, data: ImageDataModule, stage: Stage) -> Iterator[Check]:
        some, used = _some(data, LOOKED_AT), module.input_judged
        with isolate_rng(), in_eval_mode(module):
            evaluated = inputs.seen(trainer, module, data.evaluation_loader("train", used, some), LOOKED_AT)
            # Features that were stored are those of evaluation images.
            cached = stage.cache_features
            judged = [data.evaluation_loader("val", used) if cached else data.val_dataloader() for _ in range(2)]
            validated = [inputs.seen(trainer, module, loader, LOOKED_AT) for loader in judged]
            self.trained = evaluated if cached else inputs.seen(trainer, module, trainer.train_dataloader, LOOKED_AT)
        evaluated = replace(evaluated, indices=torch.tensor(some)[evaluated.indices])
        pictures = inputs.PictureColours.of(data, evaluated.indices.tolist())
        known = module.input_config if _pretrained(module) else None
        yield inputs.check_normalization(pictures, evaluated, used, known)
        if data.channels == 3:
            yield inputs.check_channels(pictures, evaluated)
        yield inputs.check_evaluation_repeats(*validated)
        yield inputs.check_training_images(self.trained, evaluated, used)

    def _of_training(
        self, trainer: pl.Trainer, module: Any, data: ImageDataModule | None, batch: Any
    ) -> Iterator[Check]:
        yield one_batch.check_repeats(trainer, module, batch)
        scaler = gradient_scaler(trainer)
        if scaler is not None:
            yield passed("loss_scale", f"{scaler.get_scale():g}", "> 0")
        if not self.steps:
            return
        learnt = one_batch.check_one_batch(trainer, module, batch, steps=self.steps)
        found = {check.name: check for check, _ in learnt}
        if data is not None and offers(module, GivesProbabilities):
            known = {"fresh": not _pretrained(module), "sure": _pretrained(module) and self._passed("labels")}
            more = learning.check_learns(trainer, module, data, steps=self.steps, factor=learnt[-1][1], **known)
            found |= {check.name: check for check in more}  # which may have more to say of the rate
        yield from found.values()


def _of_layers(module: pl.LightningModule) -> Iterator[Check]:
    expected = "dropout behind the last batch-norm"
    if (found := dropout_before_norm(module)) is not None:
        advice = "move it: the norm's statistics are others in training than in evaluation (Li et al. 2018)"
        yield warned("dropout", f"'{found[0]}' drops before the batch-norm '{found[1]}'", expected, advice)
    else:
        yield passed("dropout", "none before a batch-norm", expected)


def _of_outputs(trainer: pl.Trainer, module: Any, data: ImageDataModule) -> Iterator[Check]:
    loader = data.evaluation_loader("train", module.input_judged, _some(data, 32))
    with isolate_rng(), in_eval_mode(module):
        batch = on_device(trainer, next(iter(loader)))
        yield from outputs.check_outputs(module, logits_of(trainer, module, batch), batch[1])
    with no_trace(trainer, module) as optimizer:
        network.take_steps(trainer, optimizer, [next(iter(trainer.train_dataloader or []))])
        with in_eval_mode(module), trainer.precision_plugin.forward_context():
            yield network.check_own_image(module, first_part(batch, 8))


def _of_features(trainer: pl.Trainer, module: Any, data: ImageDataModule, stage: Stage) -> Iterator[Check]:
    used, extract = module.input_judged, module.extract_features
    m, s = (torch.tensor(values, device=module.device)[:, None, None] for values in (used.mean, used.std))
    views: list[Callable[[Tensor], Tensor]] = [extract]
    if _pretrained(module) and data.channels == 3:
        views.append(lambda images: extract(((images * s + m).flip(1) - m) / s))  # red and blue swapped
    (train, *swapped), order = _features_of(trainer, views, data.evaluation_loader("train", used))
    (val,), _ = _features_of(trainer, [extract], data.evaluation_loader("val", used))
    probe = features.Probe.of(train)
    yield features.check_baselines(probe)
    yield features.check_labels(probe)
    yield features.check_class_order(probe, val, data.classes)
    for other in swapped:
        yield features.check_colours(probe, other.features)
    settings = data.settings_of(stage)
    if settings.augment != "none":
        dataset = settings.dataset(data.opened.splits.train, train=True)
        images = (torch.stack([dataset[int(i)].images for i in part]) for part in torch.split(order, AT_ONCE))
        yield features.check_augmentation(probe, torch.cat([extract(part) for part in images]))


def _features_of(
    trainer: pl.Trainer, views: Sequence[Callable[[Tensor], Tensor]], loader: Iterable[Any]
) -> tuple[list[features.Features], Tensor]:
    """Return features of each view of images with their labels, and their positions in the split."""
    batches = (on_device(trainer, batch) for batch in loader)
    rows = [(batch.labels.cpu(), batch.indices.cpu(), *(view(batch.images) for view in views)) for batch in batches]
    labels, positions, *found = (torch.cat(part) for part in zip(*rows, strict=True))
    return [features.Features(one, labels) for one in found], positions


def _of_step(trainer: pl.Trainer, module: Any, batch: Any, stage: Stage) -> Iterator[Check]:
    trainable = stage.trainable_of(len(module.layer_groups))
    with no_trace(trainer, module) as optimizer:
        yield network.check_gradients(trainer, module, optimizer, [batch], stage=stage.name, trainable=trainable)
    with no_trace(trainer, module) as optimizer:
        yield network.check_modes(trainer, module, optimizer, [batch], stage=stage.name)


def _first_with_images(stages: Iterable[Stage]) -> int:
    """Position of the first stage that trains on images; the first of all where none does."""
    return next((position for position, stage in enumerate(stages) if not stage.cache_features), 0)


def _some(data: ImageDataModule, most: int) -> list[int]:
    return list(range(min(most, len(data.opened.splits.train))))


def _pretrained(module: Any) -> bool:
    return module.hparams.get("pretrained") not in (None, False)
