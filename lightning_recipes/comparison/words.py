"""What a comparison says, in sentences."""

from collections.abc import Sequence

from lightning_recipes.comparison.groups import Group
from lightning_recipes.comparison.pairs import Pair
from lightning_recipes.comparison.predictions import Paired
from lightning_recipes.comparison.recipes import Different
from lightning_recipes.errors import first_few

__all__ = ["advice", "better_on", "metric_of", "points", "speaks_of", "verdict", "warning"]


def metric_of(found: Paired) -> str:
    """Return what the share of right images is called."""
    return "images with every label right" if found.several else "accuracy"


def points(difference: float, ci95: Sequence[float], *, turned: bool = False) -> str:
    """Return a difference of shares with its interval, in points of a hundred; turned, the second less the first.

    Example:
        >>> points(0.021, (0.004, 0.038))
        '+2.1 (+0.4 to +3.8)'
        >>> points(0.021, (0.004, 0.038), turned=True)
        '-2.1 (-3.8 to -0.4)'
    """
    low, high = ci95
    if turned:
        difference, low, high = -difference, -high, -low
    return f"{100 * difference:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def verdict(pair: Pair, groups: Sequence[Group], found: Paired) -> str:
    """Return which is better and by how much, or that it is not shown."""
    a, b, one = groups[pair.a].name, groups[pair.b].name, pair.accuracy
    if one.verdict == "not shown":
        return f"Whether {a} or {b} is better in {metric_of(found)} is not shown"
    better, worse = (a, b) if one.verdict == "a" else (b, a)
    return f"{better} is better than {worse} in {metric_of(found)}"


def advice(pair: Pair) -> str:
    """Return what would show a difference of this size, or what to mind where it is shown."""
    one = pair.accuracy
    if one.verdict != "not shown":
        return "it holds for other images of the same kind"
    ways = []
    if one.images_needed is not None:
        ways.append(f"{one.images_needed:,} images")
    if one.runs_needed is not None:
        ways.append(f"{one.runs_needed:,} runs of each")
    if ways:
        return f"a difference of this size would be shown, four times in five, by about {' or '.join(ways)}"
    return "more images and more runs of each" if one.value else "no difference was seen; take the cheaper one"


def speaks_of(pair: Pair, found: Paired) -> str:
    """Return what the interval takes for chance."""
    a, b = len(found.right[pair.a]), len(found.right[pair.b])
    if a == b == 1:
        return "speaks of these two runs on other images; how far runs of other seeds differ takes several of each"
    return f"speaks of other seeds and other images, from {a} and {b} runs"


def better_on(right: str, wrong: str, *, alone: bool) -> str:
    """Return what images have in common that one side has right and the other has not, or less often.

    Args:
        right: The side's name.
        wrong: The other's.
        alone: Each has a single run.
    """
    return f"Right in {right}, not in {wrong}" if alone else f"Right more often in {right} than in {wrong}"


def warning(keys: Sequence[Different], a: Group, b: Group) -> str:
    """Return what to mind: runs that have not finished, recipes that differ in more than one key; or nothing.

    Args:
        keys: In which the recipes differ.
        a: The one.
        b: The other.
    """
    unfinished = [str(run.folder) for run in (*a.runs, *b.runs) if not run.summary.get("finished", False)]
    parts = [f"{first_few(unfinished)} did not come to the end of the plan"] if unfinished else []
    return ". ".join([*parts, *filter(None, [_of_keys(keys, a, b)])])


def _of_keys(keys: Sequence[Different], a: Group, b: Group) -> str:
    if unknown := [str(group.recipe.folder) for group in (a, b) if not group.recipe.recipe]:
        return f"{' and '.join(unknown)} has no config.yaml, so in what the recipes differ is not known"
    if len(keys) == 1:
        return ""
    if not keys:
        return "The recipes are the same, so what differs is chance"
    return f"{len(keys)} keys differ, so which of them made the difference is not known: change one at a time"
