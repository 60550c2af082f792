"""The 2x2 table and its exact test, by hand."""

import numpy as np
import pytest

from tunescope.stats.mcnemar import mcnemar


def test_counts_the_four_cells():
    table = mcnemar([1, 1, 0, 0, 1, 1], [1, 0, 1, 0, 0, 0])
    assert (table.num_both, table.num_only_a, table.num_only_b, table.num_neither) == (1, 3, 1, 1)
    assert table.test.num_units == 4
    assert table.test.smallest_p == 0.125
    assert table.test.p_value == pytest.approx(2 * 5 / 16)


def test_agreeing_on_every_example_has_p_1():
    result = mcnemar([True, False], [True, False]).test
    assert (result.p_value, result.smallest_p, result.num_units) == (1.0, 1.0, 0)


def test_thousands_of_unlike_answers_never_give_p_0():
    result = mcnemar(np.ones(5000), np.zeros(5000)).test
    assert 0.0 < result.p_value == result.smallest_p


@pytest.mark.parametrize(
    "a,b,words",
    [
        ([1, 0], [1], "same examples, got 2 and 1"),
        ([], [], "correct_a is empty"),
        ([0.5, 1.0], [1.0, 0.0], "must be 0 .* or 1"),
        ([1.0, float("nan")], [1, 1], "finite"),
    ],
)
def test_bad_answers_are_refused(a, b, words):
    with pytest.raises(ValueError, match=words):
        mcnemar(a, b)
