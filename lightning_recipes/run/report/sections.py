"""The sections of a run's page, each from the files that the run has; what is not there is not shown."""

from pathlib import Path
from typing import Any

import yaml

from lightning_recipes.evaluation.percent import percent
from lightning_recipes.run.reader import RunContents
from lightning_recipes.run.report.ending import command_to_go_on, ending
from lightning_recipes.run.report.parts import (
    Part,
    Section,
    Tile,
    figure,
    finding,
    folded,
    heading,
    number,
    pair,
    share,
    table,
    text,
)

__all__ = ["analysed_before", "by_metric", "lead_of", "sections_of", "tiles_of"]

LENGTHS = {"epochs": "epochs", "global_step": "optimizer steps"}
AREAS = {"area under the ROC curve": "roc_auc", "average precision": "average_precision"}
MOST_ROWS = 15  # of a table on the page; the files hold all


def lead_of(run: RunContents) -> str:
    """Return what was trained on what, in a sentence."""
    summary, model, data = run.summary, run.arguments("model"), run.arguments("data")
    pretrained = model.get("pretrained")
    start = {True: "pretrained", False: "from scratch", None: None}.get(pretrained, f"pretrained ({pretrained})")
    what = [str(part) for part in (model.get("backbone"), start, data.get("root") and f"on {data['root']}") if part]
    if summary.get("train_images"):
        of = f" of {len(summary['classes'])} classes" if summary.get("classes") else ""
        beside = f" (and {summary['extra_images']:,} extra)" if summary.get("extra_images") else ""
        judged = "" if summary["val_images"] is None else f" and {summary['val_images']:,} validation"
        what.append(f"{summary['train_images']:,} training{beside}{judged} images{of}")
    went = [f"{summary[name]:,} {text}" for name, text in LENGTHS.items() if name in summary]
    if "seconds" in summary:
        went.append(_duration(summary["seconds"]))
    ended = [["Stopped before its end"], [said]] if (said := ending(summary)) else []
    return " ".join(f"{', '.join(part)}." for part in (what, went, *ended) if part)


def tiles_of(run: RunContents) -> list[Tile]:
    """Return the numbers that a reader looks for first."""
    summary, errors, tiles = run.summary, run.errors, []
    known = [one for one in run.measured if one.value is not None]
    tiles += [Tile.of_share(one.title, one.value or 0.0, one.ci95) for one in known]
    if summary.get("val_loss") is not None:
        note = f"best epoch{by_metric(summary)}: {summary.get('best_epoch')}"
        tiles.append(Tile("Validation loss", f"{summary['val_loss']:.3f}", note))
    monitor, score = str(summary.get("monitor")), summary.get("best_score")
    if score is not None and monitor not in ("val_loss", *(one.name for one in run.measured)):
        tiles.append(Tile(monitor, f"{score:.4f}", "decides which epoch is best"))
    if errors:
        wrong = errors["images"] - errors["correct"]
        when = f", of epoch {errors['best_epoch']}" if analysed_before(run) else ""
        name = "Misclassified" if "confusion_matrix" in errors else "With a wrong label"
        tiles.append(Tile(name, f"{wrong:,}", f"of {errors['images']:,} validation images{when}"))
        after = percent(errors["calibration"]["error_with_temperature"])
        tiles.append(
            Tile("Calibration error", percent(errors["calibration"]["error"]), f"{after} with a temperature, held out")
        )
    if summary.get("train_images_per_second"):
        tiles.append(Tile("Speed", f"{summary['train_images_per_second']:,.0f}", "training images a second"))
    return tiles


def by_metric(summary: dict[str, Any]) -> str:
    """Return words for the metric that decided which epoch is best; empty of a run that does not say so."""
    return f" by {summary['monitor']}" if summary.get("monitor") else ""


def sections_of(run: RunContents) -> list[Section]:
    """Return all sections that have something to show."""
    makers = (
        *(_next, _symptoms, _curves, _made, _plan, _finder, _ensemble, _pretraining),
        *(_errors, _thresholds, _mistakes, _labels, _recipe),
    )
    return [section for section in (make(run) for make in makers) if section.parts]


def _next(run: RunContents) -> Section:
    findings = [finding(f["what"], f["number"], f["advice"]) for f in run.errors.get("diagnosis", [])]
    return Section("next", "What to try next", [*_of_before(run), *findings] if findings else [])


def _symptoms(run: RunContents) -> Section:
    found = [
        finding(f"{s['what']} (epoch {s['epoch']}, step {s['step']:,})", s["number"], s["advice"]) for s in run.symptoms
    ]
    return Section("symptoms", "Seen while it trained", found)


def analysed_before(run: RunContents) -> str:
    """Return a sentence for errors that were analysed when another epoch was the best; empty where they are current."""
    of, best = run.errors.get("best_epoch"), run.summary.get("best_epoch")
    if of is None or best is None or of == best:
        return ""
    return (
        f"The errors are those of epoch {of}: they were analysed before the run went on, whose best epoch is now "
        f"{best}. They are analysed anew when the run ends"
    )


def _of_before(run: RunContents) -> list[Part]:
    said = analysed_before(run)
    return [text(f"{said}.")] if said else []


def _curves(run: RunContents) -> Section:
    caption = (
        "Losses and metrics of training and validation over the epochs; dashed lines begin a stage. Training is "
        "measured while it trains, on the images of its stage: where these change, as from cached features to "
        "augmented images, its curve is broken, and a step there is one of the images and not of the model."
    )
    return Section("curves", "Curves", [figure("curves", caption)] if "curves" in run.figures else [])


def _made(run: RunContents) -> Section:
    caption = (
        "What the best checkpoint makes of each class. Images that are like each other say that it makes few kinds."
    )
    return Section("made", "Made images", [figure("made_images", caption)] if "made_images" in run.figures else [])


def _plan(run: RunContents) -> Section:
    rows = [
        (s["name"], _epochs(s), number(s["base_lr"], ".3g"), number(s["images_per_second"], ",.0f"))
        for s in run.summary.get("stages", [])
    ]
    parts = [table(["stage", "epochs#", "base learning rate#", "images a second#"], rows)] if rows else []
    if command := command_to_go_on(run.folder, run.summary):
        parts.append(text(f"{ending(run.summary)}. It goes on with: {command}"))
    if "schedule" in run.figures:
        parts.append(figure("schedule", "The plan, drawn before training: what is trained, at which rate, on what."))
    return Section("plan", "The plan", parts)


def _epochs(stage: dict[str, Any]) -> str:
    done, planned = stage["epochs"], stage.get("planned_epochs")
    return f"{done:,}" if planned in (None, done) else f"{done:,} of {planned:,}"


def _finder(run: RunContents) -> Section:
    parts = []
    for stage, result in run.range_tests.items():
        rows = [
            (rule, f"{s['lr']:.2g}", f"{s['low']:.2g} to {s['high']:.2g}") for rule, s in result["suggestions"].items()
        ]
        parts.append(heading(f"Stage {stage}"))
        does = "was taken" if result["applied"] else "was not taken"
        parts.append(
            text(f"The rate of the rule {result['suggestion']} {does}: it trained at {number(result['lr'], '.3g')}.")
        )
        if result["problem"]:
            parts.append(text(f"No rate can be advised: {result['problem']}."))
        parts.append(table(["rule", "learning rate#", "over the data orders#"], rows))
        parts.append(
            figure(result.get("figure", ""), "Loss over the rates of the test, and what each rule reads off it.")
        )
    return Section("finder", "Learning rate range test", parts)


def _ensemble(run: RunContents) -> Section:
    snapshots = run.summary.get("snapshots", [])
    if not snapshots:
        return Section("ensemble", "Snapshot ensemble")
    metric = next(name for name in snapshots[0] if name.startswith("val_"))
    rows = [(s["path"], s["epoch"], percent(s[metric])) for s in snapshots]
    parts = [table(["snapshot", "epoch#", f"{metric.replace('val_', 'validation ')}#"], rows)]
    if "snapshots" in run.figures:
        parts.append(figure("snapshots", "Each snapshot alone, and the ensemble of the last ones."))
    return Section("ensemble", "Snapshot ensemble", parts)


def _pretraining(run: RunContents) -> Section:
    captions = {
        "embedding_map": "Validation images on the two directions that their features vary most along: what lies "
        "together looks alike to the network.",
        "neighbours": "Validation images, left, and those whose features are nearest.",
        "views": "What is compared: views of an image that the network is to know as one.",
        "reconstructions": "Images, what the network was shown of them, and what it told from that, by the last epoch.",
    }
    parts = [figure(name, caption) for name, caption in captions.items() if name in run.figures]
    return Section("pretraining", "What it has learned to see", parts)


def _errors(run: RunContents) -> Section:
    errors, parts = run.errors, []
    if not errors:
        return Section("errors", "What it gets wrong")
    confusion = figure("confusion", "Which class is taken for which, as a share of the true class.")
    if "label_errors" in run.figures:
        confusion = figure("label_errors", "How well each label is told, and how often it is missed or seen in vain.")
    calibration = figure("calibration", "Whether a probability means what it says, before and after a temperature.")
    parts += [*_of_before(run), pair(confusion, calibration)]
    if errors["most_confused"]:
        parts.append(heading("Most confused"))
        pairs = [(p["true"], p["predicted"], p["images"], percent(p["share"])) for p in errors["most_confused"]]
        parts.append(table(["true", "taken for", "images#", "of the true class#"], pairs[:MOST_ROWS]))
    parts.append(heading("Classes, lowest recall first; 95 % intervals in brackets"))
    classes = sorted(errors["classes"], key=lambda c: (c["recall"] or {}).get("value") or 0.0)
    kinds = {"recall#": "recall", "precision#": "precision", "F1#": "f1"}
    rows = [(c["name"], c["images"], *(share(c[key]) for key in kinds.values())) for c in classes]
    parts.append(table(["class", "images#", *kinds], rows[:MOST_ROWS]))
    if len(rows) > MOST_ROWS:
        parts.append(text(f"{len(rows) - MOST_ROWS} more classes are in errors.json."))
    if errors["highest_losses"]:
        parts.append(heading("Highest losses"))
        worst = errors["highest_losses"][:MOST_ROWS]
        losses = [(w["path"], w["true"], w["predicted"], number(w["loss"], ".2f")) for w in worst]
        parts.append(table(["image~", "true", "predicted", "loss#"], losses))
    return Section("errors", "What it gets wrong", parts)


def _thresholds(run: RunContents) -> Section:
    errors, parts = run.errors, []
    if "macro" not in errors:  # of a run of an older version
        return Section("thresholds", "Thresholds")
    if "roc" in run.figures:
        parts.append(figure("roc", "How well each class is told from the others, over all thresholds."))
    macro = ", ".join(f"{name} {share(errors['macro'][key])}" for name, key in AREAS.items())
    parts.append(heading("Areas and chosen thresholds, lowest area first; 95 % intervals in brackets"))
    parts.append(
        text(
            f"Means over the classes: {macro}. A threshold is chosen for the class alone, yes or no; sensitivity and "
            "specificity are of thresholds that were chosen on the other half of the images."
        )
    )
    classes = sorted(errors["classes"], key=lambda c: (c["roc_auc"]["value"] is None, c["roc_auc"]["value"]))
    of = ("roc_auc", "average_precision"), ("sensitivity_with_threshold", "specificity_with_threshold")
    rows = [
        (c["name"], *(share(c[k]) for k in of[0]), number(c["threshold"], ".2g"), *(share(c[k]) for k in of[1]))
        for c in classes
    ]
    heads = ("ROC area#", "average precision#", "threshold#", "sensitivity#", "specificity#")
    parts.append(table(["class", *heads], rows[:MOST_ROWS]))
    return Section("thresholds", "Thresholds", [*parts, *_rejected(run), *_costs(errors)])


def _rejected(run: RunContents) -> list[Part]:
    errors, parts = run.errors, []
    if errors.get("coverage"):
        parts.append(heading("Rejected below a probability; chosen on the other half of the images"))
        if "coverage" in run.figures:
            parts.append(pair(figure("coverage", "What is right among the images that the model is surest of.")))
        rows = [
            (number(row["threshold"], ".3f"), percent(row["coverage"]), share({**row, "value": row["accuracy"]}))
            for row in errors["coverage"]
        ]
        parts.append(table(["threshold#", "images that are left#", "accuracy of these#"], rows))
    if found := errors.get("rejected"):
        others, rejected = share(found["accuracy_of_others"]), share(found["accuracy_of_rejected"])
        does = f"reject_below {found['below']} rejects {share(found['share'])} of the images"
        parts.append(text(f"{does}: of the others {others} are right, of the rejected {rejected}."))
    return parts


def _costs(errors: dict[str, Any]) -> list[Part]:
    if not (found := errors.get("costs")):
        return []

    def mean(one: dict[str, float]) -> str:
        return f"{number(one['value'], '.3f')} ({number(one['low'], '.3f')} to {number(one['high'], '.3f')})"

    rows = [
        ("most probable class", mean(found["most_probable"])),
        ("lowest expected cost", mean(found["lowest_cost"])),
        (f"difference ({found['changed']:,} images decided otherwise)", mean(found["difference"])),
    ]
    return [heading("Mean cost of an image, by errors.costs"), table(["decided by", "cost#"], rows)]


def _labels(run: RunContents) -> Section:
    issues = run.label_issues
    if not issues:
        return Section("labels", "Doubtful labels")
    sure = sum(issue["confident"] == "true" for issue in issues)
    then = "; remove the rows that are right after all, and lightning-recipes prepare drops or relabels the others"
    if "val_map" in run.summary:  # prepare is for one label an image
        then = ""
    parts = [
        text(
            f"{len(issues)} labels that the model doubts, {sure} of them by the rule of confident learning; the most "
            f"doubtful first. A doubt is no proof: look at the image. All are in label_issues.csv{then}."
        )
    ]
    rows = [(i["path"], i["split"], i["given"], i["suggested"], i["margin"]) for i in issues[:MOST_ROWS]]
    return Section(
        "labels", "Doubtful labels", [*parts, table(["image~", "split", "label", "looks like", "margin#"], rows)]
    )


def _mistakes(run: RunContents) -> Section:
    if not run.mistakes:
        return Section("gradcam", "Where it looked when it was wrong")
    said = text(
        "Misclassified validation images, each with the places that speak for the predicted and for the true class. "
        "Heat says where the network looked, not why."
    )
    shown = [figure(f"gradcam/{Path(m['file']).stem}", _mistake(m)) for m in run.mistakes]
    return Section("gradcam", "Where it looked when it was wrong", [said, pair(*shown)])


def _mistake(row: dict[str, str]) -> str:
    said, is_ = percent(float(row["p_predicted"])), percent(float(row["p_true"]))
    return f"{row['true']} ({is_}) taken for {row['predicted']} ({said}): {row['path']}"


def _recipe(run: RunContents) -> Section:
    parts = []
    if run.environment:
        known, packages = run.environment, run.environment.get("packages", {})
        git = known.get("git") or {}
        dirty = " with changes that are not committed" if git.get("dirty") else ""
        rows = [
            ("Python", known.get("python")),
            ("packages", ", ".join(f"{name} {version}" for name, version in packages.items() if version)),
            ("devices", ", ".join(known.get("devices", [])) or f"CPU, {known.get('threads')} threads"),
            ("platform", known.get("platform")),
            ("commit", f"{git['commit'][:12]} on {git['branch']}{dirty}" if git else "no repository"),
            ("seed", run.summary.get("seed")),
            ("weights", run.summary.get("weights_sha256")),
        ]
        parts.append(table(["ran on", "~"], rows))
    if run.recipe:
        parts.append(folded("config.yaml", yaml.safe_dump(run.recipe, sort_keys=False)))
    return Section("recipe", "Recipe and environment", parts)


def _duration(seconds: float) -> str:
    """Return seconds as people say them.

    Example:
        >>> _duration(75), _duration(7300)
        ('1 min 15 s', '2 h 1 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
