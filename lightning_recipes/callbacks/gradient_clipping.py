"""Gradient clipping: by norm, by value, or by each unit's own weights; over the whole network or each layer group."""

from typing import Any, Literal

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from typing_extensions import override

from lightning_recipes.errors import UserError, refuse_bad_values
from lightning_recipes.modules.keyed_steps import is_trial
from lightning_recipes.modules.protocols import staged_of
from lightning_recipes.optim.gradients import (
    clip_by_norm_,
    clip_by_unit_,
    clip_by_value_,
    gradients_of,
    require_unscaled_gradients,
)
from lightning_recipes.optim.parameter_groups import named_groups
from lightning_recipes.stages.step_count import logs_this_step

__all__ = ["GradientClipping"]

HEAD = 0  # depth of the head's layer group
LIMITS = {"norm": 1.0, "value": 5.0, "adaptive": 0.01}


class GradientClipping(pl.Callback):
    """Shorten gradients that are too long, after accumulation and before the optimizer step.

    Acts on unscaled gradients, also under FP16, that are averaged over all processes. Callbacks that change gradients
    act in the order of the list. Logs ``gradient_clipping/norm``, the 2-norm before clipping, every
    ``trainer.log_every_n_steps``, and at the end of each epoch ``gradient_clipping/clipped_share``, the share of the
    epoch's steps in which anything was clipped.

    Lightning's own ``gradient_clip_val`` clips by norm or value over the whole network, and reports neither.

    Source: Pascanu et al. (2013) for the norm, Mikolov (2012) for values, Brock et al. (2021) for units.

    When: batches are small or rates high, or the loss spikes; a norm of 1 is usual for transformers, ``adaptive`` for
    networks without norm layers. Not with: a norm far below what is logged in calm epochs, which is another name for a
    lower rate.

    Args:
        by: ``norm`` scales (:func:`~lightning_recipes.optim.gradients.clip_by_norm_`), ``value`` cuts each entry
            (:func:`~lightning_recipes.optim.gradients.clip_by_value_`), ``adaptive`` scales each unit by the length of
            its weights, except the head (:func:`~lightning_recipes.optim.gradients.clip_by_unit_`).
        limit: Largest norm, largest entry, or largest norm as a share of the weights', > 0 (default: 1.0, 5.0, 0.01).
        scope: ``global``: one norm for all; ``group``: one for each layer group. Only ``norm`` tells them apart.

    Raises:
        UserError: A value cannot work; at the start of a fit, ``trainer.gradient_clip_val`` is set too, a fused
            optimizer under FP16 hides its gradients, or one norm would be that of two adversaries.
    """

    def __init__(
        self,
        by: Literal["norm", "value", "adaptive"] = "norm",
        limit: float | None = None,
        scope: Literal["global", "group"] = "global",
    ) -> None:
        refuse_bad_values(
            "GradientClipping",
            ("by", by, by in LIMITS, f"one of {', '.join(LIMITS)}"),
            ("limit", limit, limit is None or limit > 0, "a number > 0"),
            ("scope", scope, scope in ("global", "group"), "global or group"),
        )
        self.by, self.scope = by, scope
        self.limit = LIMITS[by] if limit is None else limit
        self.steps = 0
        self.clipped: float | Tensor = 0.0

    @override
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuse what would clip a second time, or unseen."""
        if trainer.gradient_clip_val:
            raise UserError("GradientClipping: trainer.gradient_clip_val clips a second time; leave one of them out")
        if (self.by, self.scope) == ("norm", "global") and (staged := staged_of(pl_module)) and not staged.one_loss:
            raise UserError("GradientClipping.scope: global takes two adversaries for one network; give group")
        require_unscaled_gradients(trainer, "GradientClipping")

    @override
    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Clip, and note whether anything was."""
        results = [self._clip(members) for members in self._scopes(optimizer) if gradients_of(members)]
        if not results or is_trial(pl_module):
            return
        norm = torch.stack([norm for norm, _ in results]).square().sum().sqrt()
        if logs_this_step(trainer):  # to log takes 0.7 ms, a seventh of what clipping a ResNet-18 does
            pl_module.log("gradient_clipping/norm", norm)
        clipped = torch.stack([clipped for _, clipped in results]).any()
        self.steps += 1
        self.clipped = self.clipped + (clipped & norm.isfinite()).float()  # FP16 skips a step that is not finite

    def _clip(self, parameters: list[nn.Parameter]) -> tuple[Tensor, Tensor]:
        if self.by == "norm":
            return clip_by_norm_(parameters, max_norm=self.limit)
        if self.by == "value":
            return clip_by_value_(parameters, max_value=self.limit)
        return clip_by_unit_(parameters, factor=self.limit)

    def _scopes(self, optimizer: Optimizer) -> list[list[nn.Parameter]]:
        """Parameters that are clipped together."""
        groups: dict[str, list[nn.Parameter]] = {}
        for group, name in named_groups(optimizer):
            if self.by == "adaptive" and group.get("depth") == HEAD:
                continue
            groups.setdefault(name if self.scope == "group" else "all", []).extend(group["params"])
        return list(groups.values())

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the share of clipped steps."""
        if self.steps:
            share = float(self.clipped) / self.steps  # the same in every process, as the gradients are
            pl_module.log("gradient_clipping/clipped_share", share, sync_dist=True)
        self.steps, self.clipped = 0, 0.0

    @override
    def state_dict(self) -> dict[str, Any]:
        """Return the counts of the epoch."""
        return {"steps": self.steps, "clipped": float(self.clipped)}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting."""
        self.steps, self.clipped = state_dict["steps"], state_dict["clipped"]
