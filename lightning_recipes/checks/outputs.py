"""What the network gives and what the loss makes of it, before any training.

Source: Karpathy (2019), "A Recipe for Training Neural Networks", section 2: "verify loss @ init".
"""

import math

import torch
from torch import Tensor

from lightning_recipes.checks.check import Check, failed, passed, verdict, warned
from lightning_recipes.modules.protocols import GivesProbabilities

__all__ = ["check_first_loss", "check_logits", "check_loss", "check_outputs"]

HIGH, TOO_HIGH = 1.25, 2.0
"""First loss, as a multiple of that of equal logits."""
SURE = 20.0
"""A logit that is as good as certain, and far from overflow in half precision."""
NEVER_LOW = 0.3
"""Share of the loss of equal logits below which every loss gets where the answers are right but one squashed twice."""


def check_outputs(module: GivesProbabilities, logits: Tensor, labels: Tensor) -> list[Check]:
    """Return the checks of this page; arguments as of :func:`check_first_loss`."""
    checks = [check_logits(module, logits)]
    if logits.ndim == 2 and logits.shape[1] == module.num_classes:
        checks.append(check_first_loss(module, logits.float(), labels))
    return [*checks, check_loss(module, labels)]


@torch.no_grad()
def check_logits(module: GivesProbabilities, logits: Tensor) -> Check:
    """Tell whether the network gives logits: finite, one a class, and no probabilities already.

    Args:
        module: Whose they are.
        logits: Of a batch, at least (N, C).
    """
    name, expected, logits = "logits", f"(images, {module.num_classes}), finite, of both signs", logits.float()
    if logits.ndim != 2 or logits.shape[1] != module.num_classes:
        shape = tuple(logits.shape)
        return failed(name, f"a shape of {shape}", expected, "let forward return one logit a class")
    if not bool(logits.isfinite().all()):
        share = float((~logits.isfinite()).float().mean())
        return failed(name, f"{share:.0%} are not finite", expected, "look for a division or a logarithm of zero")
    sums = logits.sum(dim=1)
    inside = bool(((logits >= 0) & (logits <= 1)).all()) and bool(logits.any())  # a head may begin with zeros
    if inside and bool(((sums - 1).abs() < 1e-3).all()):
        what = "probabilities that add up to one: the loss takes the softmax of them again"
        return failed(name, what, expected, "leave the softmax out of forward; the loss has it")
    if inside and logits.numel() >= 16:
        what = "all from 0 to 1, as after a sigmoid: the loss takes it again"
        return failed(name, what, expected, "leave the sigmoid out of forward; the loss has it")
    return passed(name, f"from {float(logits.min()):.2g} to {float(logits.max()):.2g}", expected)


@torch.no_grad()
def check_first_loss(module: GivesProbabilities, logits: Tensor, labels: Tensor) -> Check:
    """Tell whether the first loss is that of a network that takes all classes for equally probable, or lower.

    For cross-entropy that is ln C. A head whose first weights are wide begins with confident wrong answers, and the
    first steps unlearn them.

    Args:
        module: Whose loss it is.
        logits: Of a batch, (N, C).
        labels: Likewise.
    """
    name = "first_loss"
    loss = float(module.compute_loss(logits, labels))
    equal = float(module.compute_loss(torch.zeros_like(logits), labels))
    measured, expected = f"{loss:.4g}", f"{equal:.4g}, of equal logits" + _is_ln(equal, module.num_classes)
    if not math.isfinite(loss):
        return failed(name, measured, expected, "look at the check of the logits, then at the loss")
    advice = "begin the head with smaller weights, as head: linear does"
    if loss > TOO_HIGH * equal:
        return failed(name, measured, expected, advice)
    return warned(name, measured, expected, advice) if loss > HIGH * equal else passed(name, measured, expected)


def _is_ln(loss: float, classes: int) -> str:
    return f" (ln {classes})" if math.isclose(loss, math.log(classes), rel_tol=1e-3) else ""


@torch.no_grad()
def check_loss(module: GivesProbabilities, labels: Tensor) -> Check:
    """Tell whether the loss is one of logits and of each image by itself: by logits whose loss is known to be right.

    Seen so are a loss over the wrong dimension, one that takes a softmax too much, a sum in the place of a mean, and
    one that does not look at the labels.

    Args:
        module: Whose loss it is.
        labels: Of a batch: (N,), or (N, C) of 0 and 1.
    """
    name, expected = "loss", "low where the answer is right, high where it is wrong, the mean over the images"
    hot = labels if labels.ndim == 2 else torch.nn.functional.one_hot(labels, module.num_classes)
    right = 2.0 * hot.float() - 1
    equal, good, bad = (float(module.compute_loss(scale * right, labels)) for scale in (0.0, 3.0, -3.0))
    over_batch = bool(getattr(getattr(module, "loss", None), "over_batch", False))
    problems = []
    if not good < equal < bad:
        figures = f"{good:.3g} where right, {equal:.3g} where undecided, {bad:.3g} where wrong"
        problems.append((figures, "look at what compute_loss does with the labels, and at its sign"))
    elif not over_batch and (problem := _depends_on_others(module, labels)):
        problems.append(problem)
    elif not over_batch and _squashed_twice(module, right, labels, equal):
        what = "never far below that of equal logits, and never high: a softmax too much"
        problems.append((what, "give the loss the logits as they are; it takes the softmax itself"))
    return verdict(
        name, problems, measured=f"{good:.3g} where right, {equal:.3g} undecided, {bad:.3g} wrong", expected=expected
    )


def _depends_on_others(module: GivesProbabilities, labels: Tensor) -> tuple[str, str] | None:
    """What is wrong where the loss of a batch is not the mean over its images."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(len(labels), module.num_classes, generator=generator).to(labels.device)
    rows = [slice(i, i + 1) for i in range(len(labels))]
    weights = [float(module.loss_weight(labels[row])) for row in rows]
    losses = [float(module.compute_loss(logits[row], labels[row])) for row in rows]
    mean = sum(w * loss for w, loss in zip(weights, losses, strict=True)) / sum(weights)
    whole = float(module.compute_loss(logits, labels))
    if math.isclose(whole, mean, rel_tol=1e-2, abs_tol=1e-6):
        return None
    if math.isclose(whole, sum(losses), rel_tol=1e-2):
        what = f"{whole:.4g} of a batch whose images have a mean of {mean:.4g}: a sum"
        return what, "take the mean over the images, so that the rate does not depend on the batch size"
    shifted = logits + torch.randn(module.num_classes, generator=generator).to(labels.device)
    if math.isclose(float(module.compute_loss(shifted, labels)), whole, rel_tol=1e-4):
        what = "the same when a class is made more probable for all images: a softmax over the images"
        return what, "take the softmax over the classes, dim=1"
    return f"{whole:.4g} of a batch whose images have a mean of {mean:.4g}", (
        "let the loss of an image depend on no other; a loss that is one over the batch says so by over_batch = True"
    )


def _squashed_twice(module: GivesProbabilities, right: Tensor, labels: Tensor, equal: float) -> bool:
    lowest = min(float(module.compute_loss(scale * right, labels)) for scale in (1.0, 3.0, 10.0, SURE))
    wrong, surer = (float(module.compute_loss(-scale * right, labels)) for scale in (SURE, 2 * SURE))
    return lowest > NEVER_LOW * equal and surer < wrong * 1.05
