"""One line for a value that a schedule cannot work with."""

__all__ = ["require"]


def require(holds: bool, argument: str, value: object, what: str) -> None:
    """Refuse a value.

    Args:
        holds: Whether the value is right; written by the caller so that nan is not.
        argument: Its name.
        value: The value.
        what: What it should be, such as ``a number > 0``.

    Raises:
        ValueError: ``argument: value is not what``.
    """
    if not holds:
        raise ValueError(f"{argument}: {value} is not {what}")
