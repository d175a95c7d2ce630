"""``lightning-recipes generate --ckpt_path CHECKPOINT --out DIR``: images that a checkpoint makes."""

import sys
from collections.abc import Sequence

from jsonargparse import ArgumentError, ArgumentParser

from lightning_recipes.atomic_io import failed_write
from lightning_recipes.cli.app import INTERRUPTED, choose_what_is_said, refused
from lightning_recipes.cli.config_checks import check_folder
from lightning_recipes.cli.progress import telling
from lightning_recipes.errors import UserError
from lightning_recipes.generation.generate import generate

__all__ = ["Generate"]


class Generate:
    """Its arguments are those of :func:`lightning_recipes.generation.generate.generate`; it takes no recipe."""

    name = "generate"

    @classmethod
    def main(cls, words: Sequence[str]) -> int:
        """Run the command and return its exit code."""
        choose_what_is_said()
        parser = ArgumentParser(prog="lightning-recipes generate", exit_on_error=False)
        parser.add_function_arguments(generate, as_group=False, skip={"progress"})
        try:
            given = parser.parse_args(list(words)).as_dict()
            check_folder("out", given["out"])
            with telling() as progress:
                made = generate(**given, progress=progress)
        except (UserError, ArgumentError) as error:
            return refused(error, "give --ckpt_path RUN/checkpoints/best.ckpt --out DIR")
        except OSError as error:
            if not (failed := failed_write(error)):
                raise
            print(f"lightning-recipes: {failed}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("\nStopped; nothing was left behind.", file=sys.stderr)
            return INTERRUPTED
        images = made["images"]
        print(f"{given['out']}: {sum(images.values()):,} images of {len(images)} classes")
        return 0
