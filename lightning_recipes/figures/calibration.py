"""The reliability curve: how often the network is right, over how sure it is."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from lightning_recipes.evaluation.calibration import Bin, cooled, reliability
from lightning_recipes.evaluation.percent import percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["before_and_after", "calibration_figure"]


def before_and_after(
    labels: Tensor, probabilities: Tensor, calibration: Mapping[str, Any], *, what: str = "images"
) -> "dict[str, Figure]":
    """Return ``calibration``, the picture of probabilities as they are and with their temperature.

    Args:
        labels: (N,).
        probabilities: (N, C).
        calibration: Of :func:`~lightning_recipes.evaluation.calibration.calibration_figures`; nothing is drawn where it
            has no temperature, as of a training that diverged.
        what: Is counted.
    """
    if calibration["temperature"] is None:
        return {}
    mended = reliability(labels, cooled(probabilities, calibration["temperature"]))
    errors = {"error": calibration["error"], "mended_error": calibration["error_with_temperature"]}
    return {"calibration": calibration_figure(reliability(labels, probabilities), mended, **errors, what=what)}


def calibration_figure(
    bins: Sequence[Bin], mended: Sequence[Bin], *, error: float, mended_error: float, what: str = "images"
) -> "Figure":
    """Draw accuracy over confidence with 95 % intervals, and below it how many images each point has.

    Args:
        bins: As the probabilities are.
        mended: With the temperature.
        error: Expected calibration error of the first.
        mended_error: Of the second, on images that the temperature was not fitted on.
        what: Is counted.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 5.6), layout="constrained")
    panels: Any = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
    above, below = panels
    above.plot([0, 1], [0, 1], color="0.7", linewidth=1, linestyle="--")
    for parts, colour, label in (
        (bins, "tab:blue", f"as it is (error {percent(error)})"),
        (mended, "tab:orange", f"with the temperature (error {percent(mended_error)})"),
    ):
        x, y = [part.confidence for part in parts], [part.accuracy for part in parts]
        spread = [[v - part.ci95[0] for v, part in zip(y, parts, strict=True)]]
        spread.append([part.ci95[1] - v for v, part in zip(y, parts, strict=True)])
        above.errorbar(x, y, yerr=spread, color=colour, label=label, marker="o", markersize=4, capsize=2, linewidth=1.2)
    below.bar([part.confidence for part in bins], [part.images for part in bins], width=0.03, color="tab:blue")
    above.set_ylabel("share that is right")
    below.set_ylabel(what)
    below.set_xlabel("probability of the predicted class" if what == "images" else "probability of the answer")
    above.set_ylim(-0.02, 1.02)
    figure.legend(loc="outside lower center", frameon=False)
    return figure
