"""What might be measured of a set of photographs on a machine without a GPU."""

from dataclasses import replace
from typing import Any

from lightning_recipes.suggest.choices import Measured
from lightning_recipes.suggest.data_facts import DataFacts
from lightning_recipes.suggest.probe import Probe
from lightning_recipes.suggest.step_costs import StepCosts

FACTS = DataFacts(train_images=1000, val_images=250, class_counts=(100,) * 10, side=300)
PROBE = Probe(
    size=128, images=400, correct=360, by_neighbours=350, mirrored_gain=(-0.0025, 0.01),
    seconds_an_image=0.01,
)  # fmt: skip
COSTS = StepCosts(size=128, all_layers={16: 0.7, 32: 1.2, 64: 2.4}, head=0.002, checkpoint=0.1, peak_memory=2 * 10**9)


def probe(**changes: Any) -> Probe:
    return replace(PROBE, **changes)


def measured(*, facts: DataFacts = FACTS, probes: tuple[Probe, ...] = (PROBE,), **changes: Any) -> Measured:
    return replace(Measured(600.0, facts, "resnet18", probes, COSTS, start=8.0), **changes)
