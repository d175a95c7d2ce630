"""What a sweep has reached: ``sweep.json``, ``best.yaml``, and the best one's numbers on the test images."""

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lightning_recipes.atomic_io import whole_file, write_json
from lightning_recipes.evaluation.percent import percent, percent_range
from lightning_recipes.sweeps.claims import Attempt, latest_attempts
from lightning_recipes.sweeps.file_lock import locked, try_lock
from lightning_recipes.sweeps.plan import SweepPlan, run_folder
from lightning_recipes.sweeps.process import Process, environment, python
from lightning_recipes.sweeps.run_result import interval_of_mean
from lightning_recipes.sweeps.study import Study
from lightning_recipes.sweeps.trial import recipe_text

__all__ = ["best_of", "ranked", "shown_interval", "shown_metric", "test_best", "trial_entry", "write_report"]

TEST = "test"
"""Attribute of the study: what the best trial reached on the test images, for workers that lack its weights."""


def trial_entry(plan: SweepPlan, one: Attempt) -> dict[str, Any]:
    """Return what ``sweep.json`` says of a trial."""
    results = one.attributes.get("runs", [])
    metrics = [result["metric"] for result in results]
    ended = one.trial.value if one.state in ("complete", "pruned") else None
    alone = results[0]["ci95"] if len(results) == 1 else None
    start, end = one.trial.datetime_start, one.trial.datetime_complete
    waited = (end - start).total_seconds() if start is not None and end is not None else None
    runs = [run_folder(plan.out, one.number, run).relative_to(plan.out).as_posix() for run in plan.runs]
    return {
        "number": one.number,
        "values": dict(one.values),
        "metric": ended,
        "ci95": interval_of_mean(metrics, share=not plan.metric.endswith("loss")) or alone,
        "metrics": metrics,
        "state": one.state if one.done else "running",
        "reason": one.attributes.get("reason"),
        "seconds": sum(result["seconds"] for result in results) if results else waited,
        "run_dir": runs[0],
        "runs": runs,
        "weights_sha256": [result["weights_sha256"] for result in results],
    }


def best_of(entries: Iterable[Mapping[str, Any]], mode: str) -> Mapping[str, Any] | None:
    """Return the best of the trials that are complete, of equal ones the first; None where none is."""
    return next(iter(ranked(entries, mode)), None)


def ranked(entries: Iterable[Mapping[str, Any]], mode: str) -> list[Mapping[str, Any]]:
    """Return the trials that are complete, the best first, equal ones by their numbers."""
    sign = -1 if mode == "max" else 1
    done = [entry for entry in entries if entry["state"] == "complete"]
    return sorted(done, key=lambda entry: (sign * entry["metric"], entry["number"]))


def write_report(study: Study, plan: SweepPlan) -> dict[str, Any]:
    """Write ``sweep.json`` and ``best.yaml`` as of now, and return what the first holds.

    Workers that write at the same moment wait for one another, so that an older state never replaces a newer one.
    """
    with locked(plan.out / ".report.lock"):
        entries = [trial_entry(plan, one) for one in latest_attempts(study.trials()).values()]
        best = best_of(entries, plan.mode)
        found = {
            "metric": plan.metric,
            "mode": plan.mode,
            "sampler": plan.sampler,
            "seed": plan.seed,
            "best": None if best is None else best["number"],
            TEST: study.storage.get_study_user_attrs(study.id).get(TEST),
            "trials": entries,
        }
        write_json(plan.out / "sweep.json", found)
        if best is not None:
            _write_best(plan, best, entries)
    return found


def _write_best(plan: SweepPlan, best: Mapping[str, Any], entries: list[dict[str, Any]]) -> None:
    tried = sum(entry["state"] == "complete" for entry in entries)
    interval = shown_interval(plan.metric, best["ci95"])
    lines = (
        f"Trial {best['number']} of the sweep in {plan.out}: {plan.metric} {shown_metric(plan.metric, best['metric'])}"
        + (f" (95 % interval {interval})." if interval else "."),
        f"It is the best of {tried} trials on the images that it was chosen by, so expect less on others.",
        f"lightning-recipes fit --config {plan.out / 'best.yaml'}",
    )
    text = "".join(f"# {line}\n" for line in lines) + recipe_text(plan, best["values"])
    with whole_file(plan.out / "best.yaml") as part:
        part.write_text(text, encoding="utf-8")


def test_best(study: Study, plan: SweepPlan, stopping: Callable[[], object]) -> str:
    """Judge the best trial on the test images, once for the whole sweep, and return what there is to say of it.

    Whoever comes second waits for the first, and finds that it is done; where the first was killed, does it.

    Args:
        study: Of the sweep.
        plan: Likewise.
        stopping: Tells whether to stop.
    """
    out = plan.out / "test.json"
    while (lock := try_lock(plan.out / ".test.lock")) is None:
        if stopping():
            return ""
        time.sleep(0.5)
    try:
        report = write_report(study, plan)
        if report[TEST] is not None or report["best"] is None:
            return ""
        best = next(entry for entry in report["trials"] if entry["number"] == report["best"])
        folder = plan.out / _best_run(best, plan.mode)
        if not out.exists():
            weights = folder / "checkpoints" / "best.ckpt"
            if not weights.exists():
                return (
                    f"the weights of trial {best['number']} are on another machine, where the same command tests them"
                )
            words = python("test", "--config", str(folder / "config.yaml"), "--ckpt_path", str(weights))
            log = plan.out / "test.log"
            words += ["--out", str(out), "--predictions", str(folder / "test_predictions.csv"), "--verbose", "false"]
            process = Process(words, log, environment())
            while process.poll() is None:
                if stopping():
                    process.stop()
                time.sleep(0.1)
            if process.wait() or not out.exists():
                return f"the best trial could not be tested; {log} says why"
        found = {"trial": best["number"], **json.loads(out.read_text(encoding="utf-8"))}
        study.storage.set_study_user_attr(study.id, TEST, found)
    finally:
        os.close(lock)
    write_report(study, plan)
    return ""


def _best_run(best: Mapping[str, Any], mode: str) -> str:
    choose = max if mode == "max" else min
    pairs = zip(best["metrics"], best["runs"], strict=True)
    return str(choose(pairs, key=lambda pair: pair[0])[1])


def shown_metric(name: str, value: float | None) -> str:
    """Return a metric for people: a share as percent, a loss as a number."""
    if value is None:
        return "-"
    return f"{value:.4g}" if name.endswith("loss") else percent(value)


def shown_interval(name: str, ci95: list[float] | None) -> str:
    """Return an interval for people; empty for none."""
    if ci95 is None:
        return ""
    return f"{ci95[0]:.4g} to {ci95[1]:.4g}" if name.endswith("loss") else percent_range(*ci95)
