"""What is known of one image of the data, and what becomes of it."""

from typing import Literal, NamedTuple

__all__ = ["Cause", "Decision", "Done", "Image", "Mending", "writable"]


Done = Literal["kept", "relabelled", "repaired", "dropped"]
Cause = Literal["", "unreadable", "label", "conflict", "duplicate"]


class Image(NamedTuple):
    """An image of the data.

    Attributes:
        path: As the data name it.
        split: That the data have it in; ``train`` where they bring none.
        label: Name of its class.
        group: What it belongs to; empty where nothing says so.
    """

    path: str
    split: str
    label: str
    group: str = ""


class Mending(NamedTuple):
    """How a file can be mended without inventing anything.

    Attributes:
        what: Is mended, in words.
        suffix: Of the file that comes of it.
        content: The file; None where the bytes stay as they are and it is called otherwise alone.
    """

    what: str
    suffix: str
    content: bytes | None = None


class Decision(NamedTuple):
    """What becomes of an image.

    Attributes:
        image: As it is in the data.
        done: In a word.
        cause: Why it is dropped; empty where it is not.
        reason: For what is done, in words that name the other image where there is one.
        label: Name of the class it gets; empty where it is dropped.
        split: It gets; empty where there are no splits.
        group: What it is kept together with, by a name; empty where there are no groups.
        suffix: Of its file, where it is called otherwise.
    """

    image: Image
    done: Done
    cause: Cause = ""
    reason: str = ""
    label: str = ""
    split: str = ""
    group: str = ""
    suffix: str = ""


def writable(name: str) -> str:
    """Return a name as a text file can hold it: bytes that are no text are replaced."""
    return name.encode("utf-8", "replace").decode()
