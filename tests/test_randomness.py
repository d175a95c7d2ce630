"""Randomness as a function of its key."""

import random
import zlib

import numpy as np
import pytest
import torch

from lightning_recipes.randomness import (
    generator_for,
    numpy_generator_for,
    run_seed,
    seed_for,
    seed_process,
    uniforms_for,
)


def test_the_same_key_draws_the_same_whatever_was_drawn_before() -> None:
    first = torch.rand(3, generator=generator_for("augment", 1, 2))
    torch.rand(7)
    assert torch.equal(first, torch.rand(3, generator=generator_for("augment", 1, 2)))
    assert numpy_generator_for("a").random() == numpy_generator_for("a").random()


def test_neighbouring_keys_draw_independently() -> None:
    draws = torch.stack([torch.randn(2000, generator=generator_for("x", epoch, i)) for epoch in (0, 1) for i in (0, 1)])
    correlation = torch.corrcoef(draws) - torch.eye(4)
    assert correlation.abs().max() < 5 / 2000**0.5  # five standard errors of a correlation of nothing


def test_the_order_and_the_words_of_a_key_matter() -> None:
    assert len({seed_for("a", 1, 2), seed_for("a", 2, 1), seed_for("b", 1, 2), seed_for("a", 1, 2, 0)}) == 4


def test_the_runs_seed_changes_every_draw_but_those_with_a_seed_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PL_GLOBAL_SEED", "1")
    one, split_one = seed_for("order", 0), seed_for("split", seed=5)
    monkeypatch.setenv("PL_GLOBAL_SEED", "2")
    assert run_seed() == 2
    assert seed_for("order", 0) != one
    assert seed_for("split", seed=5) == split_one


def test_a_generator_leaves_the_global_state_alone() -> None:
    before = torch.get_rng_state()
    torch.rand(5, generator=generator_for("anything"))
    assert torch.equal(before, torch.get_rng_state())


def test_seeding_the_process_fixes_torch_numpy_and_python() -> None:
    def draw() -> tuple[float, float, float]:
        seed_process("step", 3, 4, 0)
        return float(torch.rand(())), float(np.random.rand()), random.random()  # noqa: NPY002

    assert draw() == draw()


def test_numbers_for_many_indices_are_those_of_splitmix64() -> None:
    def splitmix64(state: int) -> int:  # as Steele, Lea and Flood print it
        mask = 2**64 - 1
        z = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & mask
        return z ^ (z >> 31)

    assert splitmix64((1234567 + 0x9E3779B97F4A7C15) % 2**64) == 6457827717110365317  # as its users know it
    indices = np.array([0, 5, 123456789])
    found = uniforms_for("views", 3, indices=indices, columns=4)
    words = [run_seed(), zlib.crc32(b"views"), 3]
    start = int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0])
    for row, index in zip(found, indices.tolist(), strict=True):
        for column, value in enumerate(row.tolist()):
            state = (start + (index * 4 + column + 1) * 0x9E3779B97F4A7C15) % 2**64
            assert value == (splitmix64(state) >> 40) / 2**24


def test_numbers_of_neighbours_have_nothing_to_do_with_each_other() -> None:
    found = uniforms_for("views", indices=np.arange(20000), columns=3)
    assert 0 <= found.min() <= found.max() < 1
    assert abs(float(found.mean()) - 0.5) < 0.01
    table = np.concatenate([found[:-1], found[1:]], axis=1)
    assert float(np.abs(np.corrcoef(table.T) - np.eye(6)).max()) < 0.03
