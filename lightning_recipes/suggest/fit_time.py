"""How long a training takes, from what was measured of its parts, and how long its stages may be."""

from dataclasses import dataclass

__all__ = ["FEWEST_STEPS", "FitTime", "Length"]

END = 6.0
"""Seconds that the end of a run takes besides judging images: figures, report, GradCAM."""
EPOCH = 0.05
"""Seconds that an epoch takes besides its steps, its validation and its checkpoint."""
JUDGED_AT_THE_END = 200
"""Training images at least whose error is compared with that of the validation images."""
HEAD_EPOCHS, HEAD_STEPS = (1, 2, 4, 6, 8, 10, 12, 16, 20), 600
"""Of the head: numbers that can be divided, and steps at most; on cached features they take a second or two, and more
of them win nothing."""
VALIDATIONS = 20
"""Of all layers, about so many where an epoch is short."""
FEWEST_EPOCHS = 4
"""Of all layers at least: an epoch of many images is ended early, so that a whole number of them fits."""
NEARLY_WHOLE = 1.3
"""An epoch is ended early only where it is so many times too long."""
FEWEST_STEPS = 20
"""Of all layers, below which they are left alone."""
MOST_IMAGES, MOST_EPOCHS = 32_000, 20
"""All layers see so many images, or each image so often, whichever is more: a thousand steps of 32. Of five measured
sets of 300 to 1,000 images, filling the time beyond that ended lower on three (benchmarks/RESULTS.md)."""
FEWEST_TRAINED = 8
"""Batches of an epoch that is ended early at least."""


@dataclass(frozen=True)
class Length:
    """How long a recipe trains.

    Attributes:
        head_epochs: Of the head.
        epochs: Of all layers; 0 where there is no time for them.
        steps: Of all layers.
        every: Epochs from one validation to the next.
        batches: After which an epoch is ended; None: it is whole.
        once: Seconds of what every run takes once: start, features, the judgement at the end, report.
        head: Seconds of the head's epochs.
        all_layers: Seconds of all layers' epochs, validations included.
        enough: Whether there was time for more, which would win nothing.
    """

    head_epochs: int
    epochs: int
    steps: int
    every: int
    batches: int | None
    once: float
    head: float
    all_layers: float
    enough: bool = False

    @property
    def seconds(self) -> float:
        """That all of it takes."""
        return self.once + self.head + self.all_layers


@dataclass(frozen=True)
class FitTime:
    """The parts of a training's time, in seconds.

    Attributes:
        start: Until model and data are there.
        an_image: To read it and run the backbone on it, for its features or to judge it.
        head_step: A step of the head on cached features.
        step: A step of all layers.
        checkpoint: To write the checkpoint of an epoch.
        train_images: To train on.
        epoch_images: Of an epoch: more where small classes are drawn again.
        val_images: To judge by.
        batch_size: Images a step.
    """

    start: float
    an_image: float
    head_step: float
    step: float
    checkpoint: float
    train_images: int
    epoch_images: int
    val_images: int
    batch_size: int

    @property
    def whole_epoch(self) -> int:
        """Batches of all training images."""
        return max(1, self.epoch_images // self.batch_size)

    def length(self, seconds: float) -> Length:
        """Return how long the stages may be, so that the whole training takes about so many seconds, or fewer."""
        whole = self.whole_epoch
        left = seconds - self._once()
        most = max(FEWEST_TRAINED, int(left / self.step / FEWEST_EPOCHS))
        batches = whole if whole <= NEARLY_WHOLE * most else most
        head_epochs = max(n for n in HEAD_EPOCHS if n == 1 or n * batches <= HEAD_STEPS)
        head = head_epochs * (EPOCH + self.checkpoint + batches * self.head_step)
        epoch = EPOCH + self.checkpoint + batches * self.step
        validation = self.checkpoint + self.val_images * self.an_image
        most_epochs = max(MOST_IMAGES, MOST_EPOCHS * self.train_images) / (batches * self.batch_size)
        every = _every(head_epochs, min((left - head) / epoch, most_epochs) / VALIDATIONS)
        in_time = (left - head) / (epoch + validation / every)
        epochs = every * max(0, round(min(in_time, most_epochs) / every))
        if epochs * batches < FEWEST_STEPS:
            epochs, every = 0, 1
        return Length(
            head_epochs=head_epochs,
            epochs=epochs,
            steps=epochs * batches,
            every=every,
            batches=batches if batches < whole else None,
            once=self._once(),
            head=head,
            all_layers=epochs * epoch + epochs // every * validation,
            enough=in_time > most_epochs,
        )

    def _once(self) -> float:
        """What every run takes once: start, features, what is judged at the end, and the end itself."""
        looked_at = self.train_images + 2 * self.val_images + max(JUDGED_AT_THE_END, self.val_images)
        return self.start + END + self.an_image * looked_at


def _every(head_epochs: int, wanted: float) -> int:
    """Epochs between validations: of those that end both stages with one, the least that is enough."""
    possible = [n for n in range(1, head_epochs + 1) if head_epochs % n == 0]
    return next((n for n in possible if n >= wanted), head_epochs)
