"""For every key of a recipe: what a new value does to a run that goes on from a checkpoint."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["ANEW", "JUDGED", "RULES", "Answer", "Kind", "rule_of"]

Kind = Literal["now", "next", "kept", "refused", "silent"]
Rule = tuple[Kind, str]
ANEW = "give another --run_dir without --ckpt_path to start anew"


@dataclass(frozen=True)
class Answer:
    """What is answered to one changed key.

    Attributes:
        key: As the recipe spells it, such as ``model.lr``.
        kind: ``now`` takes effect at once, ``next`` with a stage or an epoch to come, ``kept`` stays as the checkpoint
            has it, ``refused`` ends the command, ``silent`` changes no result and needs no word.
        text: The sentence.
    """

    key: str
    kind: Kind
    text: str

    def __str__(self) -> str:
        """Return the line that is shown."""
        return f"{self.key}: {self.text}"


NOW: Rule = ("now", "takes effect at once")
SILENT: Rule = ("silent", "changes no result")
WARM = f"{ANEW}, or that with --model.pretrained RUN/checkpoints/best.ckpt to begin with these weights"
NETWORK: Rule = ("refused", f"the checkpoint's weights are those of another network; {WARM}")
STEPS: Rule = (
    "refused",
    "the steps of an epoch or the images of a step would change, and with them the epoch that the checkpoint's steps "
    f"stand for; {WARM}",
)
ENDS: Rule = ("now", "takes effect: the run ends by it, and a schedule that reaches to the run's end is fitted to it")
JUDGED: Rule = ("refused", f"validation would be another, and the best epoch so far no longer comparable; {WARM}")

# A key ends in a dot where it stands for all below it; the longest that fits counts.
RULES: dict[str, Rule] = {
    "seed_everything": ("refused", f"a run has one seed, which every draw of it depends on; {ANEW}"),
    "recipe": ("now", "the run is called so from now on"),
    "run_dir": SILENT,
    "ckpt_path": SILENT,
    "config": SILENT,
    "views": SILENT,
    "weights_only": SILENT,
    "errors.": ("now", "takes effect at the end of the run"),
    "gradcam.": ("now", "takes effect at the end of the run"),
    "wandb.": ("now", "takes effect at once; what W&B has of the run already stays as it is"),
    "best_checkpoint.": ("refused", f"best.ckpt is the best epoch by the old value; {WARM}"),
    "last_checkpoint.": NOW,
    "last_checkpoint.dirpath": ("now", "takes effect at once; --ckpt_path last looks in RUN/checkpoints alone"),
    **{f"model.{key}": NETWORK for key in ("class_path", "backbone", "num_classes", "activation", "head", "task")},
    **{f"model.{key}": NETWORK for key in ("class_names", "coordinates", "image_size", "in_chans")},
    **{f"model.{key}": NETWORK for key in ("latent_size", "width")},
    "data.channels": NETWORK,
    "model.method": ("refused", f"what is learned would be another thing from here on; {WARM}"),
    "model.neighbours": JUDGED,
    "model.backbone_kwargs": NETWORK,
    "model.pretrained": ("refused", f"the weights come from the checkpoint, not from there; {ANEW}"),
    "model.init": ("kept", "has no effect: the weights come from the checkpoint"),
    "model.loss": ("refused", f"losses so far would not be comparable with those to come; {WARM}"),
    "model.class_counts": NOW,
    **{f"model.{key}": NOW for key in ("dropout", "freeze_norm_stats", "shift", "weight_decay")},
    "model.schedule": ("now", "takes effect at once, from the present step of the stage on"),
    **{f"model.{key}": SILENT for key in ("channels_last", "compile", "metrics", "reject_below")},
    "data.class_path": JUDGED,
    "data.root": (
        "now",
        "images are read from there from now on; the best epoch so far was judged on the old ones, so let it be the "
        "same data in another place",
    ),
    **{f"data.{key}": JUDGED for key in ("val_fraction", "split_seed", "group", "folds", "fold")},
    **{f"data.{key}": JUDGED for key in ("mean", "std", "fit", "image_backend")},
    "data.task": SILENT,  # that of the model
    "data.image_size": ("refused", f"{JUDGED[1]}; a stage to come may have an image_size of its own"),
    **{f"data.{key}": STEPS for key in ("images_per_class", "unlabelled", "balance", "extra")},
    "data.batch_size": ("refused", f"{STEPS[1]}; a stage to come may have a batch_size of its own"),
    **{f"data.{key}": NOW for key in ("augment", "cache")},
    "data.on_bad_image": ("now", "takes effect at once; images that are left out are missing from here on"),
    **{f"data.{key}": SILENT for key in ("num_workers", "eval_batch_size", "download_dir", "predict_root")},
    "trainer.": NOW,
    **{
        f"trainer.{key}": STEPS
        for key in ("accumulate_grad_batches", "num_nodes", "limit_train_batches", "overfit_batches")
    },
    "trainer.devices": STEPS,
    "trainer.limit_val_batches": JUDGED,
    **{f"trainer.{key}": ENDS for key in ("max_epochs", "max_steps", "max_time")},
    "trainer.logger": ("now", "takes effect at once; what was logged before is not logged again"),
    **{
        f"trainer.{key}": SILENT
        for key in (
            "accelerator",
            "default_root_dir",
            "detect_anomaly",
            "enable_model_summary",
            "enable_progress_bar",
            "inference_mode",
            "limit_predict_batches",
            "limit_test_batches",
            "log_every_n_steps",
            "num_sanity_val_steps",
            "profiler",
        )
    },
}
UNKNOWN: Rule = (
    "now",
    "is handed to your class; what the checkpoint holds of it is put back over it, so whether it takes effect is up "
    "to that class",
)


def rule_of(key: str) -> Rule:
    """Return kind and sentence for a key; the sentence for a key that is not ours says so.

    Example:
        >>> rule_of("data.num_workers")[0], rule_of("seed_everything")[0]
        ('silent', 'refused')
    """
    if key in RULES:
        return RULES[key]
    above = [name for name in RULES if name.endswith(".") and key.startswith(name)]
    return RULES[max(above, key=len)] if above else UNKNOWN
