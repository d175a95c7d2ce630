"""Which runs are compared: each alone, or those of one recipe together, as its seeds."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from os.path import commonprefix
from pathlib import Path
from typing import NoReturn

from yaml import YAMLError

from lightning_recipes.comparison.recipes import Different, differences
from lightning_recipes.errors import UserError
from lightning_recipes.run.folder import holds_run
from lightning_recipes.run.reader import RunContents

__all__ = ["Group", "find_groups"]

EXAMPLE = "as in compare runs/finetune/0 runs/snapshot_ensemble/0"
FOLD = "data.fold"


@dataclass(frozen=True)
class Group:
    """Runs of one recipe.

    Attributes:
        name: As it was typed; of runs with commas between, what they share comes once: ``runs/a/{0,2}``.
        runs: Their folders; runs of the same seed hold out different folds.
    """

    name: str
    runs: tuple[RunContents, ...]

    @property
    def recipe(self) -> RunContents:
        """The run whose recipe stands for all of them."""
        return self.runs[0]


def find_groups(names: Sequence[str], called: Sequence[str] | None = None) -> list[Group]:
    """Return the groups that are named, in their order.

    Args:
        names: Each the folder of a run, a folder of numbered runs of one recipe, or runs with commas between.
        called: What each is called in tables (default: as it is named, what runs with commas share once).

    Raises:
        UserError: There is none, or they do not belong together.
    """
    if len(names) < 2:
        raise UserError(f"compare: takes two runs or more, or folders of runs; {EXAMPLE}")
    folders = zip(called or map(_short, names), map(_folders, names), strict=True)
    groups = [Group(name, tuple(RunContents(folder) for folder in of)) for name, of in folders]
    _refuse_twice(groups)
    for group in groups:
        _refuse_strangers(group)
    return groups


def _folders(name: str) -> list[Path]:
    if not Path(name).exists() and "," in name:
        return [folder for part in name.split(",") if part.strip() for folder in _folders(part.strip())] or _none(name)
    path = Path(name)
    if not path.is_dir():
        raise UserError(f"{name}: is no folder; give the folder of a run, {EXAMPLE}")
    if holds_run(path):
        return [path]
    numbered = sorted((one for one in path.iterdir() if one.is_dir() and holds_run(one)), key=_order)
    return numbered or _none(name)


def _short(name: str) -> str:
    """Return a shell's braces for runs with commas between, whose names would fill tables: ``runs/a/{0,2}``."""
    parts = [part.strip() for part in name.split(",") if part.strip()]
    shared = re.sub("[^/_-]*$", "", commonprefix(parts))  # noqa: RUF071 - letters are meant, and a word begun is cut off
    if len(parts) < 2 or not shared or Path(name).exists():
        return name
    return f"{shared}{{{','.join(part.removeprefix(shared) for part in parts)}}}"


def _none(name: str) -> NoReturn:
    raise UserError(f"{name}: holds no run; give the folder of a run, or one of numbered runs, {EXAMPLE}")


def _refuse_twice(groups: Sequence[Group]) -> None:
    """Refuse a run that is there twice, by whatever path, and files of a run that cannot be read."""
    seen: dict[Path, str] = {}
    for group in groups:
        for run in group.runs:
            if (own := run.folder.resolve()) in seen:
                raise UserError(f"{group.name}: {run.folder} is named twice, in {seen[own]} too; name each run once")
            seen[own] = group.name
            for name in ("summary", "recipe"):
                try:
                    getattr(run, name)
                except (ValueError, YAMLError) as error:
                    said = " ".join(str(error).split())[:120]
                    raise UserError(f"{run.folder}: its {name} cannot be read ({said}); leave the run out") from None


def _order(path: Path) -> tuple[int, str]:
    return (int(path.name), "") if path.name.isdecimal() else (-1, path.name)


def _of_a_repetition(one: Different) -> bool:
    """Tell whether repetitions of a recipe may differ so: by fold, or by a pretraining that each has of its own."""
    checkpoints = all(isinstance(value, str) and value.endswith(".ckpt") for value in (one.a, one.b))
    return one.key == FOLD or (one.key == "model.pretrained" and checkpoints)


def _refuse_strangers(group: Group) -> None:
    """Refuse runs that are no repetitions of one recipe: their mean would be of nothing."""
    first, *others = group.runs
    seen: dict[str, RunContents] = {}
    for run in group.runs:
        weights = run.summary.get("weights_sha256")
        if weights is not None and weights in seen:
            both = f"{seen[weights].folder} and {run.folder}"
            raise UserError(f"{group.name}: {both} have the same weights, and are one run; leave one of them out")
        seen[str(weights)] = run
    for run in others:
        if found := [one for one in differences(first.recipe, run.recipe) if not _of_a_repetition(one)]:
            raise UserError(
                f"{group.name}: {found[0].key} differs between {first.folder} and {run.folder}, which are no seeds of "
                "one recipe; name those that are, with commas between"
            )
