"""Letters that are drawn with fonts; all 4,800 of them are drawn in ``test_open``, which takes seconds."""

import numpy as np

from lightning_recipes.data.sources.letters import LETTERS, _fonts, _scan


def test_a_letter_is_drawn_in_the_size_of_a_digit_and_the_same_every_time() -> None:
    fonts = _fonts()
    assert len(LETTERS) == 40
    assert not set(LETTERS) & set("0123456789OIl")
    for letter in ("A", "q"):
        first, again, other = (_scan(letter, number, fonts) for number in (0, 0, 1))
        assert first.shape == (8, 8)
        assert first.max() > 100
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)
