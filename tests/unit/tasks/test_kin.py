"""Rows that say nearly the same are found, whatever their order, and counted as what they are."""

from __future__ import annotations

import random

import pytest

from tunescope.tasks.kin import Kinship, kin_groups, kinship, normalised


@pytest.mark.parametrize(
    "text,plain",
    [
        ("It 's  GOOD .", "it s good"),
        ("it's good", "it s good"),
        ("Stra\u00dfe_1", "strasse 1"),
        ("\uff21\uff22", "ab"),
        ("\u042d\u0442\u043e \u2014 \u0434\u043e\u043c!", "\u044d\u0442\u043e \u0434\u043e\u043c"),
        (" ?! ", "?!"),
    ],
)
def test_only_words_count(text: str, plain: str) -> None:
    assert normalised(text) == plain


def test_equal_rows_stay_together_however_many() -> None:
    assert kin_groups([("a",), ("b",), ("a",), ("a",)], max_rows=2) == [[0, 2, 3], [1]]


def test_rows_that_share_a_text_stay_together_through_others_too() -> None:
    rows = [("a", "b"), ("c", "d"), ("b", "c"), ("e", "f")]
    assert kin_groups(rows, max_rows=3) == [[0, 1, 2], [3]]


def test_a_text_shared_by_too_many_rows_binds_nothing_and_rarer_ones_still_do() -> None:
    rows = [("hub", f"t{place}") for place in range(6)] + [("t0", "x")]
    assert kin_groups(rows, max_rows=3) == [[0, 6], [1], [2], [3], [4], [5]]


def test_what_binds_does_not_depend_on_the_order_of_rows() -> None:
    draw = random.Random(3)
    rows = [tuple(sorted(draw.sample([f"t{n}" for n in range(60)], 2))) for _ in range(50)]
    shuffled = draw.sample(rows, len(rows))
    found = [{frozenset(these[row] for row in group) for group in kin_groups(these, 5)} for these in (rows, shuffled)]
    assert found[0] == found[1]
    assert max(len(group) for group in kin_groups(rows, 5)) == 5


def test_kinship_counts_each_row_once_as_the_nearest_it_is() -> None:
    seen = [("a good dog", "x"), ("the cat sat on the mat", "y")]
    rows = [("a good dog", "x"), ("a good dog", "z"), ("cat sat", "q"), ("at sat", "r"), ("new", "words")]
    assert kinship(rows, seen) == Kinship(num_rows=5, num_equal=1, num_sharing=1, num_inside=1)
