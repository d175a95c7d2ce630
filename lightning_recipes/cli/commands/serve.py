"""``lightning-recipes serve --ckpt_path CHECKPOINT``: predictions by HTTP."""

import signal
from collections.abc import Sequence

from jsonargparse import ArgumentError, ArgumentParser

from lightning_recipes.cli.app import INTERRUPTED, choose_what_is_said, refused
from lightning_recipes.errors import UserError
from lightning_recipes.serving.serve import serve

__all__ = ["Serve"]


class Serve:
    """Its arguments are those of :func:`lightning_recipes.serving.serve.serve`; it takes no recipe."""

    name = "serve"

    @classmethod
    def main(cls, words: Sequence[str]) -> int:
        """Run the command and return its exit code."""
        choose_what_is_said()
        parser = ArgumentParser(prog="lightning-recipes serve", exit_on_error=False)
        parser.add_function_arguments(serve, as_group=False, skip={"say"})
        try:
            given = parser.parse_args(list(words)).as_dict()
            ended_by = serve(**given, say=_say)
        except (UserError, ArgumentError) as error:
            return refused(error, "give --ckpt_path RUN/checkpoints/best.ckpt, or RUN/snapshots")
        except KeyboardInterrupt:  # before the server has begun
            return INTERRUPTED
        return INTERRUPTED if ended_by == signal.SIGINT else 0


def _say(line: str) -> None:
    print(line, flush=True)  # also where it is read through a pipe
