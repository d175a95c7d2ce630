"""``lightning-recipes prepare DATA_DIR OUT_DIR``: data made ready, before any model is."""

import sys
from collections.abc import Sequence

from jsonargparse import ArgumentError, ArgumentParser

from lightning_recipes.cli.app import INTERRUPTED, choose_what_is_said, refused
from lightning_recipes.cli.plan_table import print_plan, print_prepared
from lightning_recipes.cli.progress import telling
from lightning_recipes.errors import UserError
from lightning_recipes.preparation.prepare import prepare

__all__ = ["Prepare"]


class Prepare:
    """Its arguments are those of :func:`lightning_recipes.preparation.prepare.prepare`; it takes no recipe."""

    name = "prepare"

    @classmethod
    def main(cls, words: Sequence[str]) -> int:
        """Run the command and return its exit code."""
        choose_what_is_said()
        parser = ArgumentParser(prog="lightning-recipes prepare", exit_on_error=False)
        parser.add_function_arguments(prepare, as_group=False, as_positional=True, skip={"show", "progress"})
        try:
            given = parser.parse_args(list(words)).as_dict()
            with telling() as progress:
                done = prepare(**given, show=print_plan, progress=progress)
        except (UserError, ArgumentError) as error:
            return refused(error, "give the data and a new folder, as in prepare my_images cleaned")
        except KeyboardInterrupt:
            print("\nStopped; nothing was left behind.", file=sys.stderr)
            return INTERRUPTED
        print_prepared(done, given["out_dir"], dry_run=given["dry_run"])
        return 0
