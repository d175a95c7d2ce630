"""``lightning-recipes prepare DATA_DIR OUT_DIR``: data made ready, before any model is."""

import sys
from collections.abc import Sequence

from jsonargparse import ArgumentError, auto_cli

from lightning_recipes.cli.help_pages import with_page
from lightning_recipes.data.prepare import Prepared, prepare
from lightning_recipes.errors import UserError

__all__ = ["Prepare"]


class Prepare:
    """Its arguments are those of :func:`lightning_recipes.data.prepare.prepare`; it takes no recipe."""

    name = "prepare"

    @classmethod
    def main(cls, words: Sequence[str]) -> int:
        """Run the command and return its exit code."""
        try:
            done: Prepared = auto_cli(prepare, args=list(words), exit_on_error=False, prog="lightning-recipes prepare")
        except (UserError, ArgumentError) as error:
            cause = error.__cause__ if isinstance(error.__cause__, UserError) else error
            text = " ".join(str(cause).split()).replace("data.root:", "data_dir:").replace("data.on_bad", "on_bad")
            print(f"lightning-recipes: {with_page(text)}", file=sys.stderr)
            return 2
        print(
            f"{done.kept} images kept as they are, {done.relabelled} relabelled, {done.dropped} dropped, "
            f"{done.skipped} unreadable"
        )
        return 0
