"""A run that goes on with another recipe: each key is answered, and nothing is kept or changed in silence."""

import copy
from typing import Any

import pytest

from lightning_recipes.run.resume.answers import recipe_answers
from lightning_recipes.run.resume.stages import Reached

STAGES = "lightning_recipes.Stages"


def stage(name: str, epochs: int, **options: Any) -> dict[str, Any]:
    keys = ("lr", "lr_decay", "schedule", "image_size", "batch_size", "augment")
    return {"name": name, "epochs": epochs, "train": "all", **dict.fromkeys(keys), "cache_features": False, **options}


OLD: dict[str, Any] = {
    "seed_everything": 3,
    "recipe": "small",
    "trainer": {
        "devices": 1, "precision": None, "accumulate_grad_batches": 1, "max_epochs": None, "max_time": None,
        "logger": False, "limit_train_batches": None, "limit_val_batches": None, "log_every_n_steps": 10,
        "gradient_clip_val": None,
        "callbacks": [
            {"class_path": STAGES, "init_args": {"stages": [
                stage("first", 2), stage("second", 3, lr=0.1), stage("third", 2)]}},
            {"class_path": "lightning_recipes.EMA", "init_args": {"decay": 0.9}},
            {"class_path": "lightning_recipes.EarlyStopping", "init_args": {"monitor": "val_loss", "patience": 3}},
            {"class_path": "mine.Callback", "init_args": {"power": 1}},
        ],
    },
    "model": {"class_path": "lightning_recipes.ImageClassifier", "init_args": {
        "backbone": "test_resnet", "pretrained": True, "backbone_kwargs": None, "lr": 0.1, "lr_decay": 1.0,
        "weight_decay": 0.01, "optimizer": {"name": "adamw", "betas": [0.9, 0.99]}, "schedule": "cosine",
        "loss": "cross_entropy", "dropout": 0.0, "compile": False, "init": None, "hidden": 3}},
    "data": {"class_path": "lightning_recipes.ImageDataModule", "init_args": {
        "root": "a", "image_size": 32, "batch_size": 10, "eval_batch_size": None, "num_workers": 0, "augment": "light",
        "val_fraction": 0.2, "split_seed": 0, "images_per_class": None, "balance": False}},
    "best_checkpoint": {"monitor": "val_accuracy", "mode": "max"},
    "errors": {"worst": 50},
}  # fmt: skip
INSIDE_SECOND = Reached(3, inside=True)


def changed(path: str, value: Any) -> dict[str, Any]:
    """The recipe with one value changed; a part of the path may be a position in a list."""
    new = copy.deepcopy(OLD)
    *above, last = path.split(".")
    part: Any = new
    for name in above:
        part = part[int(name)] if isinstance(part, list) else part[name]
        part = part.get("init_args", part) if isinstance(part, dict) and last not in ("class_path",) else part
    part[int(last) if isinstance(part, list) else last] = value
    return new


TABLE: dict[str, list[tuple[str, Any]]] = {
    "refused": [
        ("seed_everything", 4), ("data.split_seed", 1), ("data.val_fraction", 0.1), ("data.images_per_class", 3),
        ("data.batch_size", 20), ("data.image_size", 48), ("data.balance", True), ("model.backbone", "resnet18"),
        ("model.pretrained", "w.ckpt"), ("model.backbone_kwargs", {"drop_path_rate": 0.1}), ("model.loss", "focal"),
        ("model.optimizer", "sgd"), ("model.optimizer", {"name": "adamw", "amsgrad": True, "betas": [0.9, 0.99]}),
        ("trainer.accumulate_grad_batches", 2), ("trainer.devices", 2), ("trainer.limit_train_batches", 3),
        ("trainer.limit_val_batches", 3), ("best_checkpoint.monitor", "val_loss"),
        ("trainer.callbacks.2.monitor", "train_loss"), ("trainer.callbacks.0.stages.0.epochs", 3),
        ("trainer.callbacks.0.stages.0.name", "other"), ("trainer.callbacks.0.stages.1.epochs", 1),
        ("trainer.callbacks.0.stages.1.batch_size", 4), ("trainer.callbacks.0.stages", [stage("first", 2)]),
        ("trainer.callbacks", []),
    ],
    "kept": [
        ("trainer.callbacks.0.stages.1.lr", 0.5), ("trainer.callbacks.0.stages.1.lr_decay", 0.5),
        ("trainer.callbacks.0.stages.0.lr", 0.5), ("model.init", "kaiming"), ("model.pretrained", False),
    ],
    "next": [
        ("model.lr", 0.3), ("model.lr_decay", 0.3), ("trainer.callbacks.0.stages.2.lr", 0.5),
        ("trainer.callbacks.0.stages.2.epochs", 9), ("trainer.callbacks.0.stages.2.batch_size", 4),
        ("trainer.callbacks.0.stages", OLD["trainer"]["callbacks"][0]["init_args"]["stages"] + [stage("fourth", 1)]),
    ],
    "now": [
        ("model.weight_decay", 0.1), ("model.optimizer", {"name": "adamw", "betas": [0.8, 0.99]}),
        ("model.optimizer", "adamw"), ("model.schedule", "one_cycle"), ("model.dropout", 0.1), ("model.hidden", 4),
        ("data.root", "b"), ("data.augment", "none"), ("trainer.precision", "bf16-mixed"), ("trainer.max_epochs", 9),
        ("trainer.max_time", "00:01:00:00"), ("trainer.devices", "auto"), ("trainer.gradient_clip_val", 1.0),
        ("trainer.logger", True), ("trainer.callbacks.1.decay", 0.99), ("trainer.callbacks.2.patience", 5),
        ("trainer.callbacks.3.power", 2), ("trainer.callbacks", OLD["trainer"]["callbacks"][:3]),
        ("trainer.callbacks.0.stages.1.epochs", 2), ("trainer.callbacks.0.stages.1.schedule", "constant"),
        ("errors.worst", 5), ("recipe", "other"),
    ],
    "silent": [
        ("data.num_workers", 2), ("data.eval_batch_size", 5), ("model.compile", True), ("trainer.log_every_n_steps", 1),
    ],
}  # fmt: skip
ROWS = [(kind, path, value) for kind, rows in TABLE.items() for path, value in rows]


def test_the_batch_that_a_pretraining_is_judged_by_stays_where_no_label_judges() -> None:
    old, new = (copy.deepcopy(OLD) for _ in range(2))
    for recipe in (old, new):
        recipe["model"]["init_args"]["method"] = "simclr"
    new["data"]["init_args"]["eval_batch_size"] = 5
    assert [answer.kind for answer in recipe_answers(old, new, INSIDE_SECOND)] == ["silent"]
    for recipe in (old, new):
        recipe["best_checkpoint"]["monitor"] = "val_pretext_loss"
    assert [answer.kind for answer in recipe_answers(old, new, INSIDE_SECOND)] == ["refused"]
    for recipe in (old, new):
        recipe["best_checkpoint"]["monitor"] = None
        recipe["data"]["init_args"]["root"] = None
    (answer,) = recipe_answers(old, new, INSIDE_SECOND)
    assert str(answer).startswith("data.eval_batch_size: validation would be another")
    assert answer.kind == "refused"


@pytest.mark.parametrize(("kind", "path", "value"), ROWS, ids=[f"{kind} {path}" for kind, path, _ in ROWS])
def test_a_changed_value_is_answered_by_its_key(kind: str, path: str, value: Any) -> None:
    answers = recipe_answers(OLD, changed(path, value), INSIDE_SECOND)
    said = [str(answer) for answer in answers]
    if value == []:  # every callback is gone, not all of which is refused
        answers = [answer for answer in answers if answer.kind == kind]
    assert [answer.kind for answer in answers] == [kind], said
    name = "stage '" if ".stages" in path else path if path.split(".")[1:2] != ["callbacks"] else "trainer.callbacks."
    assert said[0].startswith(name if value != [stage("first", 2)] else "stages: "), said
    if kind == "refused":
        assert all("to start anew" in a.text for a in answers if a.kind == "refused")


def test_the_same_recipe_has_no_answers() -> None:
    assert recipe_answers(OLD, copy.deepcopy(OLD), INSIDE_SECOND) == []


def test_a_class_of_ones_own_is_answered_honestly() -> None:
    (answer,) = recipe_answers(OLD, changed("trainer.callbacks.3.power", 2), INSIDE_SECOND)
    assert "is up to that class" in str(answer)


@pytest.mark.parametrize(
    ("reached", "epochs", "kind"),
    [
        (Reached(4), 2, "now"),  # it ends at this boundary
        (Reached(4), 1, "refused"),
        (Reached(4, inside=True), 2, "refused"),  # its third epoch has begun
        (Reached(2), 1, "next"),  # it has not begun
        (Reached(5), 9, "now"),  # it is complete and the next has not begun
        (Reached(5, inside=True), 9, "refused"),  # the next has begun
        (Reached(3, changes=(("end", 2),)), 9, "kept"),  # a callback ended it
    ],
)
def test_the_length_of_a_stage_depends_on_how_far_the_run_is(reached: Reached, epochs: int, kind: str) -> None:
    (answer,) = recipe_answers(OLD, changed("trainer.callbacks.0.stages.1.epochs", epochs), reached)
    assert answer.kind == kind, str(answer)


def test_a_run_that_a_callback_stopped_stays_stopped() -> None:
    new = changed("trainer.callbacks.0.stages.2.epochs", 9)
    (answer,) = recipe_answers(OLD, new, Reached(4, changes=(("stop", 3),)))
    assert answer.kind == "kept"


def test_a_default_that_every_stage_left_overrides_is_said_to_have_no_effect() -> None:
    (answer,) = recipe_answers(OLD, changed("model.lr", 0.3), Reached(6))
    assert answer.kind == "kept"


@pytest.mark.parametrize(
    ("reached", "kind"),
    [
        (Reached(2, stage_epochs=(2, 3, 4)), "next"),  # it has not begun
        (Reached(3, stage_epochs=(2, 3, 4)), "refused"),  # it is under way
        (Reached(5, inside=True, stage_epochs=(2, 3, 4)), "refused"),  # it is over
    ],
)
def test_the_steps_of_a_stage_are_epochs_once_it_has_begun(reached: Reached, kind: str) -> None:
    old, new = copy.deepcopy(OLD), copy.deepcopy(OLD)
    for recipe, steps in ((old, 30), (new, 60)):
        recipe["trainer"]["callbacks"][0]["init_args"]["stages"][1] |= {"epochs": 0, "steps": steps}
    (answer,) = recipe_answers(old, new, reached)
    assert (answer.kind, "steps" in answer.key) == (kind, True), str(answer)
