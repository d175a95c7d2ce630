"""``lightning-recipes compare RUN RUN ...``: which is better, and is it sure."""

import json
from collections.abc import Sequence

from jsonargparse import ArgumentError, ArgumentParser

from lightning_recipes.cli.app import choose_what_is_said, refused
from lightning_recipes.cli.config_checks import check_folder
from lightning_recipes.cli.console import print_comparison
from lightning_recipes.cli.run_data import open_images
from lightning_recipes.cli.typed_options import split_words
from lightning_recipes.comparison.compare import compare
from lightning_recipes.errors import UserError

__all__ = ["Compare"]


class Compare:
    """Its arguments are those of :func:`lightning_recipes.comparison.compare.compare`; it takes no recipe."""

    name = "compare"

    @classmethod
    def main(cls, words: Sequence[str]) -> int:
        """Run the command and return its exit code."""
        choose_what_is_said()
        runs, others = split_words(words)
        usage = "lightning-recipes compare RUN RUN ... [--key value ...]"
        parser = ArgumentParser(prog="lightning-recipes compare", usage=usage, exit_on_error=False)
        parser.add_function_arguments(compare, as_group=False, as_positional=True, skip={"called", "open_images"})
        try:
            given = parser.parse_args([*([json.dumps(runs)] if runs else []), *others]).as_dict()
            check_folder("out", given["out"])
            done = compare(**given, open_images=open_images)
        except (UserError, ArgumentError) as error:
            return refused(error, "give two runs or more, as in compare runs/finetune/0 runs/snapshot_ensemble/0")
        print_comparison(done)
        return 0
