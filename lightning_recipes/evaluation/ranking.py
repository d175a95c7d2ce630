"""How well probabilities rank images: areas under the ROC and the precision-recall curve, with intervals."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from lightning_recipes.evaluation.bootstrap import image_counts, logit_interval, share_interval
from lightning_recipes.evaluation.confusion import Share
from lightning_recipes.evaluation.intervals import Z_95, wilson_of
from lightning_recipes.evaluation.multilabel import average_precision, mean_known

__all__ = ["Curve", "Ranking", "curve", "mean_area", "ranking", "roc_auc"]

UNKNOWN = Share(None, None, None)
MOST = 100_000
"""Images times classes up to which images are drawn again for an interval, which takes a second."""
RESAMPLES = 200


@dataclass(frozen=True)
class Ranking:
    """How well images are ranked; areas with 95 % intervals, None where there is nothing to tell apart.

    Attributes:
        roc_auc: Of each class, against all others.
        macro_roc_auc: Mean over the classes that have one.
        average_precision: Of each class; its interval is Wilson's of a share of as many images as the class has, after
            the binomial one of Boyd, Eng and Page (2013), "Area under the precision-recall curve", section 4.
        macro_average_precision: Mean over the classes that have one; its interval, over resamples of the images, up to
            :data:`MOST` images times classes.
    """

    roc_auc: list[Share]
    macro_roc_auc: Share
    average_precision: list[Share]
    macro_average_precision: Share

    @property
    def macro(self) -> dict[str, dict[str, float | None]]:
        """The means, as files have them."""
        return {
            "roc_auc": asdict(self.macro_roc_auc),
            "average_precision": asdict(self.macro_average_precision),
        }


@dataclass(frozen=True)
class Curve:
    """Points of a class's curves, from the highest threshold on.

    Attributes:
        thresholds: (T,), float64; yes from there on.
        sensitivity: Share of its images that are found, the recall.
        specificity: Share of the others that are left out.
        precision: Share of what is found that is right.
    """

    thresholds: Tensor
    sensitivity: Tensor
    specificity: Tensor
    precision: Tensor


def ranking(labels: Tensor, probabilities: Tensor) -> Ranking:
    """Return the areas of all classes.

    Args:
        labels: (N,), or (N, C) of 0 and 1.
        probabilities: (N, C).
    """
    finite = bool(probabilities.isfinite().all())  # not of a training that diverged
    areas: list[Share] = []
    precisions: list[Share] = []
    errors = torch.zeros(len(labels), dtype=torch.float64)
    for y, p in _columns(labels, probabilities):
        area, error = roc_auc(y, p) if finite else (math.nan, errors)
        areas.append(_share(area, float(error.square().sum().sqrt())))
        errors = errors + (error if math.isfinite(area) else 0.0)
        found = float(average_precision(y[:, None], p[:, None])[0]) if finite else math.nan
        precisions.append(Share(found, *wilson_of(found, int(y.sum()))) if math.isfinite(found) else UNKNOWN)
    known = [share.value for share in areas if share.value is not None]
    macro = sum(known) / len(known) if known else math.nan
    of_all = _share(macro, float(errors.square().sum().sqrt()) / max(1, len(known)))
    return Ranking(areas, of_all, precisions, _mean_precision(labels, probabilities, precisions))


def mean_area(labels: Tensor, probabilities: Tensor, area: Callable[[Tensor, Tensor], float]) -> float:
    """Return the mean of an area over the classes that have one, without the intervals of :func:`ranking`.

    Args:
        labels: (N,), or (N, C) of 0 and 1.
        probabilities: (N, C).
        area: From a class's own labels (N,) of 0 and 1 and probabilities (N,) to a number, nan where it is none.
    """
    if not probabilities.isfinite().all():  # of a training that diverged
        return math.nan
    found = [area(y, p) for y, p in _columns(labels, probabilities)]
    known = [value for value in found if math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan


def roc_auc(labels: Tensor, probabilities: Tensor) -> tuple[float, Tensor]:
    """Return the area under the ROC curve, and what each image adds to its error.

    The area is the share of pairs of an image of the class and another one that are ranked right, a half for equal
    ones (Mann and Whitney 1947). Its error is the root of the sum of squares of the second: DeLong's structural
    components, so that areas of the same images may be averaged and their errors added image by image.

    Source: DeLong, DeLong and Clarke-Pearson (1988).

    Args:
        labels: (N,) of 0 and 1.
        probabilities: (N,).

    Returns:
        nan where one of the two kinds is missing, and (N,), float64.
    """
    yes, p = labels > 0, probabilities.double()
    here, others = int(yes.sum()), int((~yes).sum())
    error = torch.zeros(len(p), dtype=torch.float64)
    if not here or not others:
        return math.nan, error
    ranked_right_of_class = _share_below(p[~yes], p[yes])
    ranked_right_of_others = 1 - _share_below(p[yes], p[~yes])
    area = float(ranked_right_of_class.mean())
    error[yes] = (ranked_right_of_class - area) / math.sqrt(here * max(1, here - 1))
    error[~yes] = (ranked_right_of_others - area) / math.sqrt(others * max(1, others - 1))
    return area, error


def curve(labels: Tensor, probabilities: Tensor) -> Curve:
    """Return sensitivity, specificity and precision of a class over all thresholds.

    Args:
        labels: (N,) of 0 and 1, with both among them.
        probabilities: (N,).
    """
    p, order = probabilities.double().sort(descending=True, stable=True)
    y = labels[order].double()
    found, said = y.cumsum(0), torch.arange(1, len(p) + 1, dtype=torch.float64)
    last = torch.ones(len(p), dtype=torch.bool)
    last[:-1] = p[1:] != p[:-1]  # images of one probability are found together
    found, said, p = found[last], said[last], p[last]
    positives = float(y.sum())
    return Curve(p, found / positives, 1 - (said - found) / (len(y) - positives), found / said)


def _columns(labels: Tensor, probabilities: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield each class's own labels and probabilities; a table of all would be large for a thousand classes."""
    for c in range(probabilities.shape[1]):
        yield (labels[:, c] if labels.ndim == 2 else (labels == c).float()), probabilities[:, c]


def _mean_precision(labels: Tensor, probabilities: Tensor, found: Sequence[Share]) -> Share:
    known = [c for c, share in enumerate(found) if share.value is not None]
    if not known:
        return UNKNOWN
    value = sum(found[c].value or 0.0 for c in known) / len(known)
    if probabilities.numel() > MOST:
        return Share(value, None, None)
    p = probabilities[:, known]
    y = labels[:, known] if labels.ndim == 2 else (labels[:, None] == torch.tensor(known)).float()
    draws = image_counts(len(y), RESAMPLES)
    resampled = torch.cat([mean_known(average_precision(y, p, draws[i : i + 50])) for i in range(0, RESAMPLES, 50)])
    return Share(value, *(share_interval(value, resampled) or (None, None)))


def _share_below(values: Tensor, at: Tensor) -> Tensor:
    """Return for each of ``at`` the share of the values that are below it; equal ones count half."""
    ranked = values.sort().values
    below, upto = (torch.searchsorted(ranked, at.contiguous(), right=right) for right in (False, True))
    share: Tensor = (below + upto).double() / (2 * len(values))
    return share


def _share(value: float, error: float) -> Share:
    if not math.isfinite(value):
        return UNKNOWN
    low, high = logit_interval(value, Z_95 * error) or (None, None)
    return Share(value, low, high)
