"""What a recipe is chosen by, and what is chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lightning_recipes.suggest.data_facts import DataFacts
from lightning_recipes.suggest.fit_time import Length
from lightning_recipes.suggest.probe import Probe
from lightning_recipes.suggest.step_costs import StepCosts

__all__ = ["Choice", "Measured", "Suggestion"]


@dataclass(frozen=True)
class Choice:
    """A key of the recipe, and why it has its value.

    Attributes:
        key: As it is typed, such as ``data.image_size``.
        value: As YAML can hold it.
        reason: What led to it.
    """

    key: str
    value: Any
    reason: str


@dataclass(frozen=True)
class Measured:
    """What there is to choose by.

    Attributes:
        seconds: That the training may take.
        data: What the images are like.
        backbone: Whose features.
        probes: Of it, at one size or more.
        costs: Of training steps, at the size that was chosen.
        start: Seconds until model and data are there.
        machine: What it was measured on, in words.
        balanced: Whether small classes are drawn as often as large ones.
        typed: Keys that are given, such as ``model.lr``, and not chosen here.
        others: Backbones that were not chosen, each at the size that is best for it.
    """

    seconds: float
    data: DataFacts
    backbone: str
    probes: Sequence[Probe]
    costs: StepCosts
    start: float
    machine: str = ""
    balanced: bool = False
    typed: frozenset[str] = frozenset()
    others: Mapping[str, Probe] = field(default_factory=dict)

    @property
    def probe(self) -> Probe:
        """At the size that was chosen."""
        return next(one for one in self.probes if one.size == self.costs.size)


@dataclass(frozen=True)
class Suggestion:
    """A recipe's choices.

    Attributes:
        choices: Keys of data, model and trainer.
        stages: Arguments of each stage, and why.
        length: How long it trains.
        accuracy: That is expected: the middle, and from where to where half of the measured sets would lie.
        outlook: What more minutes would be expected to bring.
    """

    choices: Sequence[Choice]
    stages: Sequence[tuple[Mapping[str, Any], str]]
    length: Length
    accuracy: tuple[float, float, float]
    outlook: str
