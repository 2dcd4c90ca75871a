"""The hypervolume against closed forms, inclusion–exclusion and counting random points."""

from itertools import combinations

import numpy as np
import pytest

from sc2.measure.hypervolume import Box, dominated_volume, gain, hypervolume

BOX = Box((2.0**18, 1.0), (0.0, 100.0))


def test_the_reference_point_and_the_ideal_point() -> None:
    assert hypervolume([(2**20, 2**18, 0)], BOX) == 0
    assert hypervolume([(1, 1, 100)], BOX) == 1
    assert hypervolume([], BOX) == 0
    # Half-way in every direction: the square roots of the references, and 50 %.
    assert hypervolume([(2**10, 2**9, 50)], BOX) == pytest.approx(1 / 8)


def test_what_is_better_than_ideal_counts_as_ideal() -> None:
    assert gain(0, 0, 75, BOX) == (1, 1, 0.75)
    assert hypervolume([(0, 0, 75)], BOX) == pytest.approx(0.75)


@pytest.mark.parametrize("point", [(2**21, 1, 90), (1, 2**19, 90), (1, 1, -1)])
def test_what_is_beyond_the_reference_point_adds_nothing(point: tuple[float, float, float]) -> None:
    assert hypervolume([point], BOX) == 0
    assert hypervolume([point, (2**10, 2**9, 50)], BOX) == pytest.approx(1 / 8)


def test_halving_a_size_is_worth_the_same_everywhere() -> None:
    first = hypervolume([(1024, 64, 70)], BOX) - hypervolume([(2048, 64, 70)], BOX)
    second = hypervolume([(16, 64, 70)], BOX) - hypervolume([(32, 64, 70)], BOX)
    assert first == pytest.approx(second)
    assert first == pytest.approx(1 / 20 * 12 / 18 * 0.7)


def test_quality_counts_from_chance_to_the_teacher() -> None:
    box = Box((4.0, 2.0**-10), (10.0, 90.0))
    assert hypervolume([(1, 2**-10, 50)], box) == pytest.approx(0.5)
    assert hypervolume([(1, 2**-10, 95)], box) == 1
    assert hypervolume([(1, 2**-10, 9)], box) == 0
    # As much work as the teacher: two of twelve halvings.
    assert hypervolume([(1, 1, 90)], box) == pytest.approx(2 / 12)
    assert hypervolume([(1, 1, 90)], Box((4.0, 1.0), (90.0, 90.0))) == 0


def random_gains(seed: int, count: int) -> list[tuple[float, float, float]]:
    rng = np.random.default_rng(seed)
    return [(float(a), float(b), float(c)) for a, b, c in rng.uniform(0, 1, (count, 3))]


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_against_inclusion_and_exclusion(count: int) -> None:
    gains = random_gains(count, count)
    expected = sum(
        (-1) ** (size + 1) * np.prod(np.min(chosen, axis=0))
        for size in range(1, count + 1)
        for chosen in combinations(gains, size)
    )
    assert dominated_volume(gains) == pytest.approx(expected)


def test_against_counting_random_points() -> None:
    gains = random_gains(99, 12)
    drawn = np.random.default_rng(0).uniform(0, 1, (200_000, 3))
    inside = np.zeros(len(drawn), dtype=bool)
    for one in gains:
        inside |= np.all(drawn < one, axis=1)
    # Four standard errors of the share.
    assert dominated_volume(gains) == pytest.approx(inside.mean(), abs=4 * 0.5 / len(drawn) ** 0.5)


def test_neither_order_nor_copies_nor_dominated_points_matter() -> None:
    gains = random_gains(5, 6)
    volume = dominated_volume(gains)
    assert dominated_volume(gains[::-1]) == pytest.approx(volume, abs=1e-15)
    assert dominated_volume([*gains, *gains]) == pytest.approx(volume, abs=1e-15)
    worse = [(0.9 * a, 0.5 * b, c) for a, b, c in gains]
    assert dominated_volume([*gains, *worse]) == pytest.approx(volume, abs=1e-15)
    # Equal in one coordinate.
    assert dominated_volume([(0.5, 1, 0.5), (1, 0.5, 0.5)]) == pytest.approx(0.375)
