"""Columns of tables that have one a class."""

from collections.abc import Sequence

__all__ = ["class_columns"]


def class_columns(first: Sequence[str], classes: Sequence[str]) -> list[str]:
    """Return the columns of a table: some of its own, then one a class; a class that is called as one of those says so.

    Example:
        >>> class_columns(["path", "true"], ["cat", "path"])
        ['path', 'true', 'cat', 'path (class)']
    """
    columns, known = list(first), {*first, *classes}
    for name in classes:
        column = name
        while column in first or (column != name and column in known):
            column += " (class)"
        columns.append(column)
        known.add(column)
    return columns
