"""Names kept in arrays read like a list of them."""

import pickle
import tracemalloc

import numpy as np
import pytest

from lightning_recipes.data.sources.picked import Names, Picked

LIST = ["ants/1.jpg", "", "bees/é.png", "bad\udcff.png", "蟻.png", "x" * 300]


def test_names_read_like_a_list_of_them() -> None:
    names = Names(LIST)
    assert list(names) == LIST
    assert [names[i] for i in range(-len(LIST), 0)] == LIST
    assert list(names[1:5:2]) == LIST[1:5:2]
    assert list(pickle.loads(pickle.dumps(names))) == LIST
    assert names[np.int64(2)] == LIST[2]  # type: ignore[call-overload]
    with pytest.raises(IndexError):
        names[len(LIST)]


def test_picked_names_are_those_at_the_positions() -> None:
    assert list(Picked(Names(LIST), np.array([4, 0, 0]))) == [LIST[4], LIST[0], LIST[0]]
    assert list(Picked(LIST, np.array([4, 0, 2]))[1:]) == [LIST[0], LIST[2]]


def test_one_long_name_does_not_make_the_others_long() -> None:
    count, length = 20_000, 20
    tracemalloc.start()
    names = Names(["y" * 255, *(f"{i:0{length}d}" for i in range(count))])
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(names) == count + 1
    assert held < 2 * count * (length + 8)  # an array of text would take a kilobyte a name
