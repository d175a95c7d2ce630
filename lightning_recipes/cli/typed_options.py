"""The options among the words of a command line, before any parser knows their types."""

from collections.abc import Iterator, Sequence

__all__ = ["typed_options"]


def typed_options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each option as it was typed, and its value: what follows ``=``, else the next word, else an empty text.

    Example:
        >>> list(typed_options(["--model.lr=0.1", "--views", "flip"]))
        [('--model.lr', '0.1'), ('--views', 'flip')]
    """
    for word, following in zip(words, [*words, ""][1:], strict=True):
        name, equals, value = word.partition("=")
        if name.startswith("-"):
            yield name, value if equals else following
