"""Laws of comparisons: swapped arms, shuffled rows and columns, shifted scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunescope.stats.arm import Arm
from tunescope.stats.compare import Comparison, compare
from tunescope.stats.components import score_of_means
from tunescope.stats.crossed import Crossed, crossed_interval

MEAN = score_of_means("mean")
designs = st.tuples(st.booleans(), st.booleans())
sizes = st.tuples(st.integers(1, 5), st.integers(3, 12))
draws = st.integers(0, 2**32 - 1)
quick = settings(max_examples=30, deadline=None, derandomize=True)


def _values(seed: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=size) + 1.0, rng.normal(size=size)


def _numbers(found: Crossed) -> list[float]:
    numbers = (found.estimate.value, found.estimate.ci_low, found.estimate.ci_high, found.standard_error, found.df)
    assert all(number is not None for number in numbers)
    return [float(number) for number in numbers if number is not None]


@quick
@given(seed=draws, size=sizes, design=designs)
def test_swapping_arms_flips_the_sign(seed: int, size: tuple[int, int], design: tuple[bool, bool]) -> None:
    a, b = _values(seed, size)
    value, low, high, error, df = _numbers(crossed_interval(a, b, paired_by_seed=design[0], same_examples=design[1]))
    swapped = _numbers(crossed_interval(b, a, paired_by_seed=design[0], same_examples=design[1]))
    assert swapped == pytest.approx([-value, -high, -low, error, df], rel=1e-9, abs=1e-12)


@quick
@given(seed=draws, size=sizes, design=designs, shift=st.floats(-100, 100), scale=st.floats(0.01, 100))
def test_shifting_one_arm_shifts_and_scaling_both_scales(
    seed: int, size: tuple[int, int], design: tuple[bool, bool], shift: float, scale: float
) -> None:
    a, b = _values(seed, size)
    value, low, high, error, df = _numbers(crossed_interval(a, b, paired_by_seed=design[0], same_examples=design[1]))
    moved = _numbers(crossed_interval(scale * a + shift, scale * b, paired_by_seed=design[0], same_examples=design[1]))
    expected = [scale * value + shift, scale * low + shift, scale * high + shift, scale * error, df]
    assert moved == pytest.approx(expected, rel=1e-6, abs=1e-8)


def _arm(values: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> Arm:
    return Arm(
        seeds=tuple(int(s) for s in rows),
        example_ids=tuple(f"e{i:02}" for i in columns),
        components=values[np.ix_(rows, columns)][..., None],
    )


@quick
@given(seed=draws, size=sizes, design=designs)
def test_the_order_of_seeds_and_examples_is_of_no_account(
    seed: int, size: tuple[int, int], design: tuple[bool, bool]
) -> None:
    a, b = _values(seed, size)
    rng = np.random.default_rng(seed)
    rows, columns = np.arange(size[0]), np.arange(size[1])

    def compared(shuffled: bool) -> Comparison:
        arms = [
            _arm(values, rng.permutation(rows), rng.permutation(columns)) if shuffled else _arm(values, rows, columns)
            for values in (a, b)
        ]
        return compare(*arms, MEAN, paired_by_seed=design[0], same_examples=design[1], num_resamples=100)

    assert compared(True) == compared(False)


@quick
@given(seed=draws, size=sizes, design=designs)
def test_p_is_the_larger_of_two_and_small_only_where_the_interval_leaves_zero_out(
    seed: int, size: tuple[int, int], design: tuple[bool, bool]
) -> None:
    a, b = _values(seed, size)
    rows, columns = np.arange(size[0]), np.arange(size[1])
    found = compare(
        _arm(a, rows, columns),
        _arm(b, rows, columns),
        MEAN,
        paired_by_seed=design[0],
        same_examples=design[1],
        num_resamples=100,
    )
    assert found.p_value is not None
    assert found.permutation.smallest_p is not None
    assert found.p_value >= found.permutation.smallest_p
    if found.p_value < 0.05:
        assert found.difference.ci_low is not None
        assert found.difference.ci_high is not None
        assert found.difference.ci_low > 0 or found.difference.ci_high < 0
