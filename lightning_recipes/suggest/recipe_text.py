"""A recipe as text, with a reason above each choice."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from lightning_recipes.suggest.choices import Choice

__all__ = ["recipe_text"]

WIDTH = 118


def recipe_text(
    heading: Sequence[str],
    choices: Sequence[Choice],
    stages: Sequence[tuple[Mapping[str, Any], str]],
    *,
    classes: Mapping[str, str] | None = None,
    others: Mapping[str, Any] | None = None,
) -> str:
    """Return the file.

    Args:
        heading: Lines of comment that it opens with.
        choices: Keys of ``data``, ``model`` and ``trainer``.
        stages: Arguments of each stage, and why.
        classes: Import paths of a ``model`` or ``data`` of one's own (default: ours).
        others: Keys of the top level besides, such as ``seed_everything`` (default: a seed of 0).
    """
    lines = list(_comment(heading, ""))
    lines += [f"{key}: {_flow(value)}" for key, value in {"seed_everything": 0, **(others or {})}.items()]
    for section in ("data", "model", "trainer"):
        lines.append(f"{section}:")
        indent, own = "  ", (classes or {}).get(section)
        if own is not None:
            lines += [f"  class_path: {own}", "  init_args:"]
            indent = "    "
        lines += [line for one in choices if one.key.startswith(f"{section}.") for line in _key(one, indent)]
    lines += ["  callbacks:", "    - class_path: lightning_recipes.Stages", "      init_args:", "        stages:"]
    for arguments, reason in stages:
        lines += _comment([reason], " " * 10)
        lines.append(f"          - {_flow(arguments)}")
    return "\n".join(lines) + "\n"


def _key(one: Choice, indent: str) -> Iterator[str]:
    yield from _comment([one.reason] if one.reason else [], indent)
    yield f"{indent}{one.key.partition('.')[2]}: {_flow(one.value)}"


def _comment(said: Sequence[str], indent: str) -> Iterator[str]:
    for text in said:
        yield from textwrap.wrap(text, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")


def _flow(value: Any) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...")
