"""The options among the words of a command line, before any parser knows their types."""

from collections.abc import Iterator, Sequence

__all__ = ["split_words", "typed_options"]


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


def split_words(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the words that belong to no option, and the others, each in their order.

    Example:
        >>> split_words(["a.png", "--views", "flip", "-", "--top_k=3"])
        (['a.png', '-'], ['--views', 'flip', '--top_k=3'])
    """
    free: list[str] = []
    others: list[str] = []
    value = False
    for word in words:
        option = not value and word.startswith("-") and word != "-"
        (others if value or option else free).append(word)
        value = option and word.startswith("--") and "=" not in word
    return free, others
