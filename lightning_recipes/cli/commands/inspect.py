"""``lightning-recipes inspect DATA``: what is in a set of images, before anything is trained."""

import sys
from collections.abc import Sequence

from jsonargparse import ArgumentError, ArgumentParser

from lightning_recipes.atomic_io import failed_write
from lightning_recipes.cli.app import INTERRUPTED, choose_what_is_said
from lightning_recipes.cli.console import print_inspection
from lightning_recipes.cli.error_messages import one_line
from lightning_recipes.cli.help_pages import with_page
from lightning_recipes.cli.progress import telling
from lightning_recipes.errors import UserError
from lightning_recipes.inspection.inspect import inspect

__all__ = ["Inspect"]


class Inspect:
    """Its arguments are those of :func:`lightning_recipes.inspection.inspect.inspect`; it takes no recipe."""

    name = "inspect"

    @classmethod
    def main(cls, words: Sequence[str]) -> int:
        """Run the command and return its exit code."""
        choose_what_is_said()
        parser = ArgumentParser(prog="lightning-recipes inspect", exit_on_error=False)
        parser.add_function_arguments(inspect, as_group=False, as_positional=True, skip={"progress"})
        try:
            given = parser.parse_args(list(words))
            with telling() as progress:
                found = inspect(**given.as_dict(), progress=progress)
        except (UserError, ArgumentError) as error:
            print(f"lightning-recipes: {with_page(one_line(error))}", file=sys.stderr)
            return 2
        except OSError as error:
            if not (failed := failed_write(error)):
                raise
            print(f"lightning-recipes: {failed}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("\nStopped; the same command goes on from here.", file=sys.stderr)
            return INTERRUPTED
        print_inspection(found.folder, found.report, found.reused)
        return 0
