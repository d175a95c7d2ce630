"""Batches in parts, and accumulation: the step of the whole batch, up to rounding; found when memory runs out."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import Tensor
from typing_extensions import override

from lightning_recipes import ImageClassifier, LearningRateFinder, MicroBatches, UserError
from tests.small import digits, fit


class Small(ImageClassifier):
    """Runs out of memory with more than so many images at a time, as a card does."""

    most = 10**6

    def features(self, images: Tensor) -> Tensor:
        if self.training and len(images) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")
        return super().features(images)


def network(cls: type[ImageClassifier] = Small, schedule: str = "cosine") -> Any:
    """Without batch-norm and without draws."""
    torch.manual_seed(1)
    return cls("test_vit", 10, pretrained=False, image_size=32, optimizer="sgd", lr=0.1, schedule=schedule)


def train(
    *callbacks: pl.Callback, most: int = 10**6, batch_size: int = 12, **options: Any
) -> tuple[dict[str, Tensor], int]:
    """Weights and steps of a training of two epochs."""
    model = network()
    model.most = most
    trainer, _ = fit(model, digits(augment="none", batch_size=batch_size), *callbacks, max_epochs=2, **options)
    return dict(model.state_dict()), trainer.global_step


def close(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    for name, value in a.items():
        torch.testing.assert_close(value, b[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("accumulate", [2, 3])  # of six batches, and of five: the last step has two
def test_accumulation_is_the_large_batch(accumulate: int) -> None:
    small = 12 // accumulate
    ours, steps = train(batch_size=small, accumulate_grad_batches=accumulate, limit_train_batches=3 * accumulate)
    theirs, whole_steps = train(batch_size=12, limit_train_batches=3)
    assert steps == whole_steps == 6
    close(ours, theirs)


def test_the_last_step_of_an_epoch_is_the_mean_over_its_images_though_it_has_fewer_batches() -> None:
    class Uneven(Small):
        """The same two steps of an epoch with batches of 4, accumulated by hand: of three batches and of one."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.automatic_optimization = False

        def training_step(self, batch: Any, batch_idx: int) -> Tensor:
            optimizer, scheduler = self._optimizer_and_scheduler()
            if batch_idx in (0, 3):
                optimizer.zero_grad()
            loss = self.compute_loss(self.logits_of(batch), batch[1])
            (loss / (3 if batch_idx < 3 else 1)).backward()  # type: ignore[no-untyped-call]
            if batch_idx in (2, 3):
                optimizer.step()
                scheduler.step()
            return loss

    by_hand, ours = network(Uneven, "constant"), network(schedule="constant")
    data = {"augment": "none", "batch_size": 4}
    fit(by_hand, digits(**data), max_epochs=1, limit_train_batches=4)
    trainer, _ = fit(ours, digits(**data), max_epochs=1, limit_train_batches=4, accumulate_grad_batches=3)
    assert trainer.global_step == 2
    close(dict(ours.state_dict()), dict(by_hand.state_dict()))


@pytest.mark.parametrize(
    ("parts", "accumulate"),
    [(2, 1), (5, 2), *(pytest.param(*both, marks=pytest.mark.slow) for both in ((2, 2), (5, 1)))],
)
def test_parts_of_a_batch_make_the_same_step(parts: int, accumulate: int) -> None:
    ours, steps = train(MicroBatches(parts, trial=False), accumulate_grad_batches=accumulate)
    theirs, whole_steps = train(accumulate_grad_batches=accumulate)
    assert steps == whole_steps
    close(ours, theirs)


@pytest.mark.parametrize(
    ("most", "parts"),
    [(12, 1), (11, 2), (5, 4), *(pytest.param(*both, marks=pytest.mark.slow) for both in ((6, 2), (1, 12)))],
)
def test_parts_are_halved_until_a_step_fits(most: int, parts: int) -> None:
    finder = MicroBatches()
    ours, _ = train(finder, most=most)
    assert finder.found == {"all": parts}
    close(ours, train()[0])


def test_without_the_callback_the_error_comes_through_and_a_single_image_too_many_is_one_line() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        train(most=3)
    with pytest.raises(UserError, match=r"data\.image_size: one image runs out of memory"):
        train(MicroBatches(), most=0)


def test_another_error_is_not_taken_for_too_little_memory() -> None:
    class Broken(Small):
        def features(self, images: Tensor) -> Tensor:
            raise RuntimeError("shapes do not match") if self.training else ValueError

    model = Broken("test_resnet", num_classes=10, pretrained=False)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        fit(model, digits(), MicroBatches(), max_epochs=1, limit_val_batches=0)


def test_where_a_batch_fits_the_trial_leaves_no_trace() -> None:
    def sha(*callbacks: pl.Callback) -> str:
        torch.manual_seed(1)
        return fit(ImageClassifier("test_resnet", 10, pretrained=False), digits(), *callbacks, max_epochs=1)[1]

    assert sha(MicroBatches()) == sha()


@pytest.mark.filterwarnings("ignore:.*hardly fell.*")
def test_a_learning_rate_finder_sees_the_loss_of_the_whole_batch(tmp_path: Path) -> None:
    found = []
    for parts in (1, 2):
        finder = LearningRateFinder(apply=False, steps=10, orders=1, min_lr=1e-4, max_lr=0.1)
        options: dict[str, Any] = {"default_root_dir": str(tmp_path / str(parts)), "limit_train_batches": 1}
        fit(
            network(),
            digits(augment="none", batch_size=12),
            MicroBatches(parts, trial=False),
            finder,
            max_epochs=1,
            **options,
        )
        found.append(finder.found["all"]["losses"][0])
    assert found[1] == pytest.approx(found[0], rel=1e-4)


class Uneven(ImageClassifier):
    """Runs out of memory above ten images in the first process and above three in the second."""

    @override
    def features(self, images: Tensor) -> Tensor:
        if self.training and len(images) > (10 if self.global_rank == 0 else 3):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")
        return super().features(images)


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*", "ignore:.*fork.*:DeprecationWarning")
def test_all_processes_take_the_parts_of_the_one_that_has_least_memory() -> None:
    torch.manual_seed(1)
    model = Uneven("test_vit", 10, pretrained=False, image_size=32)
    two: dict[str, Any] = {"strategy": "ddp_fork", "devices": 2, "limit_val_batches": 0}
    trainer, _ = fit(model, digits(), MicroBatches(), max_epochs=1, **two)
    assert trainer.state.finished
