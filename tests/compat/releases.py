"""What to say when another library has moved a name that is used beside its public interface."""

import operator
from importlib.metadata import version
from pathlib import Path
from typing import Any

__all__ = ["require_name"]

ROOM = "lightning_recipes/compat"


def require_name(library: str, thing: Any, path: str) -> Any:
    """Return what ``path``, dotted, leads to from a thing; else fail with where to look."""
    file = f"{ROOM}/{library}.py"
    assert (Path(__file__).parents[2] / file).is_file()
    try:
        return operator.attrgetter(path)(thing)
    except AttributeError:
        name = getattr(thing, "__name__", type(thing).__name__)
        raise AssertionError(f"{library} {version(library)} no longer has {name}.{path}: see {file}") from None
