"""Names as pictures can show them."""

__all__ = ["plain", "short"]


def plain(text: str) -> str:
    """Return text in which a dollar sign does not begin a formula."""
    return text.replace("$", r"\$")


def short(name: str, most: int) -> str:
    """Return a name cut to so many characters, as :func:`plain` text."""
    return plain(name if len(name) <= most else name[: most - 1] + "\N{HORIZONTAL ELLIPSIS}")
