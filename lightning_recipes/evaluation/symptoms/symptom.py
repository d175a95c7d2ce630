"""What is wrong with a training, in words, with the number that says so and what to do."""

from typing import NamedTuple

__all__ = ["Symptom"]


class Symptom(NamedTuple):
    """Something wrong with a training.

    Attributes:
        name: By which it is said once.
        what: In a sentence without its full stop.
        number: That it is read off.
        advice: What to do, likewise a sentence.
    """

    name: str
    what: str
    number: str
    advice: str
