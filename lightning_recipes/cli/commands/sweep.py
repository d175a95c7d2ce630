"""``lightning-recipes sweep``: many runs of a recipe with other values, by any number of workers."""

import hashlib
import inspect
import json
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
import yaml
from typing_extensions import override

from lightning_recipes.cli.commands.recipe_command import RecipeCommand
from lightning_recipes.cli.config_checks import check_config, check_folder
from lightning_recipes.cli.error_messages import refuse_null
from lightning_recipes.cli.recipe_file import check_recipe_file
from lightning_recipes.cli.run_data import open_images
from lightning_recipes.cli.sweep_screen import print_ablation, print_sweep, sweep_screen
from lightning_recipes.comparison.compare import compare
from lightning_recipes.components import import_object
from lightning_recipes.engine.stop_signals import Stopped
from lightning_recipes.errors import UserError, first_few
from lightning_recipes.modules.tasks import create_task
from lightning_recipes.sweeps.ablations import lines_of, name_of
from lightning_recipes.sweeps.analysis import analyse
from lightning_recipes.sweeps.file_lock import locked
from lightning_recipes.sweeps.gpus import Gpus, visible_gpus
from lightning_recipes.sweeps.page import write_page
from lightning_recipes.sweeps.plan import SweepPlan, runs_of, trial_folder
from lightning_recipes.sweeps.process import environment
from lightning_recipes.sweeps.recipe_keys import with_values
from lightning_recipes.sweeps.report import test_best, write_report
from lightning_recipes.sweeps.space import Space, parse_space
from lightning_recipes.sweeps.study import Study, keep_settings, open_storage, open_study, refuse_other_settings
from lightning_recipes.sweeps.values import ONE_AT_A_TIME, covering, grid_size, values_of
from lightning_recipes.sweeps.work import Outcome, Work

__all__ = ["Sweep"]

EXAMPLE = "a search is a mapping of keys to what they are drawn from, as in model.lr: {log: [0.0001, 0.01]}"
IN_FOLDER = "sweep"
"""Name of the study in a sweep's own folder."""


class Sweep(RecipeCommand):
    """Search; neither model nor data are made here, as each run is a ``fit`` in a process of its own."""

    name = "sweep"
    needs = "--config RECIPE --search SEARCH --out DIR"
    used_most = (
        "config", "search", "out", "trials", "sampler", "seeds", "folds", "prune", "workers", "minutes", "storage",
        "data.root", "model.backbone", "trainer.accelerator",
    )  # fmt: skip

    @override
    def resolve(self) -> None:
        """Refuse what cannot work, before the first run."""
        self.refuse_nulls()
        own = self.config
        self._refuse_bad_values()
        self.run_folder = Path(own.out)
        self.recipe = self._recipe()
        self.space = lines_of(self.recipe) if own.search is None else _read_search(own.search)
        self._refuse_keys_of_runs()
        self.metric, self.mode = self._metric()
        self.number = self._trials()
        self._check_recipes()

    @override
    def instantiate_classes(self) -> None:
        """Make nothing."""
        self.config_init = self.config

    def run(
        self,
        search: str | None = None,
        trials: int = 20,
        out: str | None = None,
        sampler: Literal["random", "quasi_random", "grid", "tpe"] = "random",
        search_seed: int = 0,
        seeds: int = 1,
        folds: int | None = None,
        one_at_a_time: bool = False,
        prune: Literal["halving"] | None = None,
        min_epochs: int = 1,
        reduction: int = 3,
        storage: str | None = None,
        study: str | None = None,
        workers: int | None = None,
        minutes: float | None = None,
        test: bool = True,
        ckpt_path: str | None = None,
        weights_only: bool | None = None,
    ) -> int:
        """Search a recipe, or join a search: the same command with the same folder or storage takes part.

        Args:
            search: YAML file of the search: a recipe's key to ``{log: [low, high]}``, ``{uniform: [low, high]}``,
                ``{int: [low, high]}``, ``{log_int: [low, high]}`` or ``{choice: [a, b]}``.
            trials: How many values are tried; may be raised later.
            out: Folder of the sweep.
            sampler: ``random``, ``quasi_random`` (Sobol), ``grid``, or ``tpe``, which goes by the trials before.
            search_seed: Seed of the values.
            seeds: Runs of a trial, with seed_everything and the numbers after it.
            folds: Parts of the data that a trial is validated on in turn, a run each (default: one run).
            one_at_a_time: The recipe as it is, and without each of its techniques, one by one; against the first, image
                by image. With ``search``, its keys with the one choice of each.
            prune: ``halving``: stop trials that are behind others at the same epoch (default: none is).
            min_epochs: Epochs before the first decision of halving, >= 1.
            reduction: One of so many goes on at each decision, and until so many times the epochs, >= 2.
            storage: URL of a database in the place of a file in the folder, such as
                postgresql+psycopg://user@host/name.
            study: Name of the study in a database (default: the recipe's, with a number made of all that is searched).
            workers: Trials side by side in this process (default: one a GPU, else 1).
            minutes: After which no trial begins (default: no limit).
            test: Judge the best one on the test images at the end, once.
            ckpt_path: Not used; a run's own ``config.yaml`` has it.
            weights_only: Not used; likewise.
        """
        assert out is not None
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        plan = self._plan(folder)
        shared = self._join(folder)
        environments = self._environments(folder, workers)
        self.signals.patient = True  # from here on there is something to save
        write_report(shared, plan)
        with sweep_screen(plan) as screen:
            outcome = Work(shared, plan, environments, screen, lambda: self.signals.received).run()
        said = ""
        if outcome.all_done and test and not one_at_a_time and self._has_test_images():
            said = test_best(shared, plan, lambda: self.signals.received)
        return self._end(shared, plan, outcome, said)

    def _end(self, shared: Study, plan: SweepPlan, outcome: Outcome, said: str) -> int:
        with locked(plan.out / ".end.lock"):  # workers that end at the same moment write the same figures
            report = write_report(shared, plan)
            if plan.sampler == ONE_AT_A_TIME:
                self._end_ablation(plan, report)
            else:
                analysis = analyse(plan, report)
                write_page(plan, report, analysis)
                print_sweep(plan, report, analysis)
        if said:
            print(f"test: {said}.")
        if signal := outcome.signal or self.signals.received:
            print("Stopped; the same command goes on with it.", file=sys.stderr)
            raise Stopped(signal)
        if outcome.hopeless:
            line = f"the first trials all failed alike ({outcome.hopeless}); mend it, and give another --out"
            print(f"lightning-recipes: {line}", file=sys.stderr)
            return 1
        if not outcome.all_done:
            print("The time is over; the same command goes on with it.")
            return 0
        if report["best"] is None:
            reasons = {str(entry["reason"]) for entry in report["trials"]}
            print(f"lightning-recipes: no trial is complete ({first_few(sorted(reasons), 2)})", file=sys.stderr)
            return 1
        return 0

    def _end_ablation(self, plan: SweepPlan, report: Mapping[str, Any]) -> None:
        """Compare what is complete, and not on another machine, with the whole recipe, image by image."""
        complete = [entry for entry in report["trials"] if entry["state"] == "complete"]
        done = [entry for entry in complete if trial_folder(plan.out, entry["number"]).exists()]
        compared = None
        if len(done) > 1 and done[0]["number"] == 0:
            compared = compare(
                [str(trial_folder(plan.out, entry["number"])) for entry in done],
                called=[name_of(entry["values"]) for entry in done],
                out=str(plan.out / "comparison"),
                against_first=True,
                open_images=open_images,
            )
        print_ablation(plan, report, compared)

    # What is searched.

    def _trials(self) -> int:
        own = self.config
        if own.one_at_a_time:
            if several := next((one.key for one in self.space.keys if len(one.kind.grid() or []) != 1), None):
                raise UserError(f"search.{several}: one_at_a_time takes one value of each key, as in {{choice: [0.0]}}")
            return len(self.space.keys) + 1
        return grid_size(self.space, own.trials) if own.sampler == "grid" else int(own.trials)

    def _refuse_bad_values(self) -> None:
        own = self.config
        if own.out is None:
            raise UserError("out: not given; name the folder of the sweep, such as --out sweeps/mine")
        check_folder("out", own.out)
        if own.search is None and not own.one_at_a_time:
            raise UserError("search: not given; name a YAML file of keys and what they are drawn from")
        if own.one_at_a_time and (own.prune or own.sampler != "random"):
            raise UserError("one_at_a_time: goes through the recipe's lines whole; leave out sampler and prune")
        if isinstance(own.seed_everything, bool):
            raise UserError("seed_everything: a sweep needs a number, which its runs count on from")
        least = {"trials": 1, "search_seed": 0, "seeds": 1, "folds": 2, "min_epochs": 1, "reduction": 2, "workers": 1}
        for key, smallest in least.items():
            if own[key] is not None and own[key] < smallest:
                raise UserError(f"{key}: {own[key]} is not a number >= {smallest}")
        if own.minutes is not None and not 0 < own.minutes < math.inf:
            raise UserError(f"minutes: {own.minutes} is not a number > 0")
        if own.study is not None and own.storage is None:
            raise UserError("study: names a study in a database; give --storage too, or leave it out")

    def _refuse_keys_of_runs(self) -> None:
        """Refuse to search what tells the runs of a trial apart."""
        own = self.config
        named = {"seed_everything": "seeds"} if own.seeds > 1 else {}
        named |= dict.fromkeys(("data.folds", "data.fold"), "folds") if own.folds is not None else {}
        for one in self.space.keys:
            if key := named.get(one.key):
                raise UserError(
                    f"search.{one.key}: is another in each run of a trial by --{key}; leave out one of them"
                )

    def _recipe(self) -> dict[str, Any]:
        """The whole recipe of the runs, without the keys of this command."""
        recipe: dict[str, Any] = yaml.safe_load(self.recipe_text())
        for name in inspect.signature(self.run).parameters:
            recipe.pop(name, None)
        recipe.pop("config", None)
        return recipe

    def _metric(self) -> tuple[str, Literal["max", "min"]]:
        """What the runs are judged by, and where better values are, as their best checkpoint has it."""
        task = (self.config.model.get("init_args") or {}).get("task") or "multiclass"
        own, own_mode = create_task(task).best_metric
        given = self.config.best_checkpoint
        metric = given.monitor or own
        if given.mode is not None or metric == own:
            return metric, given.mode or own_mode
        return metric, "min" if metric.removesuffix("_raw").endswith(("loss", "ece")) else "max"

    def _check_recipes(self) -> None:
        """Parse recipes in which each key that is searched has a value, as ``fit`` would."""
        every = covering(self.space, self.config.search_seed)
        if self.config.one_at_a_time:  # all at once is no recipe
            every = [values_of(self.space, number, seed=0, sampler=ONE_AT_A_TIME) for number in range(self.number)]
        for values in every:
            parsed = self.parser.parse_object(with_values(self.recipe, values))
            check_config(parsed)
            for key in ("model", "data"):
                refuse_null(key, import_object(key, parsed[key].class_path), parsed[key].get("init_args", {}))

    # Who works at it.

    def _plan(self, folder: Path) -> SweepPlan:
        own = self.config
        wandb = dict(self.recipe["wandb"])
        wandb["group"] = wandb.get("group") or folder.resolve().name
        return SweepPlan(
            recipe={**self.recipe, "wandb": wandb},
            space=self.space,
            out=folder,
            trials=self.number,
            sampler=ONE_AT_A_TIME if own.one_at_a_time else own.sampler,
            seed=own.search_seed,
            runs=runs_of(own.seed_everything, own.seeds, own.folds),
            metric=self.metric,
            mode=self.mode,
            prune=own.prune == "halving",
            min_epochs=own.min_epochs,
            reduction=own.reduction,
            minutes=own.minutes,
        )

    def _join(self, folder: Path) -> Study:
        own = self.config
        names = ("sampler", "search_seed", "seeds", "folds", "one_at_a_time", "prune", "min_epochs", "reduction")
        search = None if own.search is None else yaml.safe_load(Path(own.search).read_text(encoding="utf-8"))
        settings = {**{name: own[name] for name in names}, "search": search, "recipe": self.recipe}
        settings = json.loads(json.dumps(settings, default=str))
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:10]
        name = IN_FOLDER if own.storage is None else own.study or f"{own.recipe}-{digest}"
        # Runs that lie in the folder are taken as they are: a database's name alone would not keep others out.
        refuse_other_settings(folder / "settings.json", settings)
        joined = open_study(
            open_storage(folder, own.storage), name, mode=self.mode, settings=settings, where=str(folder)
        )
        keep_settings(folder / "settings.json", settings)
        if own.storage is not None:
            print(f"Study '{name}' in the database; others join it by the same command.", flush=True)
        return joined

    def _environments(self, folder: Path, workers: int | None) -> list[dict[str, str]]:
        """Return the environment of each worker's runs: a GPU of its own, or a share of the CPU cores."""
        wanted = self.config.trainer.accelerator in ("auto", "gpu", "cuda")
        names = visible_gpus(torch.cuda.device_count()) if wanted else []
        if names:
            gpus = Gpus(folder, names, workers)
            self.held.callback(gpus.release)
            return [environment(CUDA_VISIBLE_DEVICES=gpu) for gpu in gpus.taken]
        workers = workers or 1
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, cores // workers))
        return [environment(OMP_NUM_THREADS=threads)] * workers

    def _has_test_images(self) -> bool:
        data = self.config.data
        kind = import_object("data", data.class_path)
        opened = getattr(kind(**(data.get("init_args") or {})), "opened", None)
        return opened is not None and opened.splits.test is not None


def _read_search(given: str) -> Space:
    path = Path(given)
    if not path.is_file():
        raise UserError(f"search: '{given}' is not a file; give a YAML file of keys and what they are drawn from")
    check_recipe_file(path, EXAMPLE)
    return parse_space(yaml.safe_load(path.read_text(encoding="utf-8")))
