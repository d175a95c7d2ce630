"""Files of one label each, split by split, for commands that look at each of them."""

from collections.abc import Mapping

from lightning_recipes.data.sources.files import ARRAY, FileSource
from lightning_recipes.data.sources.folders import SPLIT_ORDER
from lightning_recipes.data.sources.open import read_parts
from lightning_recipes.errors import UserError

__all__ = ["read_one_label"]


def read_one_label(root: str, *, command: str, key: str, group: str | None = None) -> Mapping[str, FileSource]:
    """Return the files of each split, whatever is in them.

    Args:
        root: As for ``data.root``.
        command: That reads them, for the error.
        key: What it calls the data, likewise.
        group: As for ``data.group``.

    Raises:
        UserError: In words of the command; as :func:`~lightning_recipes.data.sources.open.read_parts`.
    """
    try:
        parts = read_parts(root, group=group)
    except UserError as error:
        text = str(error).replace("data.root:", f"{key}:").replace("data.group", "group")
        if "model.task: multilabel" in text:
            text = text.partition(", and model.task")[0].partition("; of an image that may have none")[0]
            text += f"; {command} takes one label an image"
        raise UserError(text) from None
    for part in parts.values():
        if array := next((path for path in part.paths if path.endswith(ARRAY)), None):
            raise UserError(f"{key}: '{array}' is an array; {command} looks at pictures alone, so move it away")
    return {split: parts[split] for split in SPLIT_ORDER if split in parts}
