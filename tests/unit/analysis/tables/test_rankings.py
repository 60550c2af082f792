"""Ranks with the range that all comparisons together leave, one Holm family, and the notes a reader needs."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from tunescope.analysis.tables.rankings import rank_all
from tunescope.analysis.tables.scores_file import ScoreRow, ScoreTable
from tunescope.errors import DataError


def _row(method, value, **changes):
    values = {"method": method, "task": "", "metric": "accuracy", "seed": 0, "value": value, "num_examples": 1000}
    return ScoreRow(**(values | changes))


def _ranked(*rows, **options):
    return rank_all(ScoreTable(source="scores.csv", rows=tuple(rows)), **options)


def _verdicts(ranking):
    return {(pair.above, pair.below): pair.verdict for pair in ranking.pairs}


def test_ranks_and_what_they_could_be():
    found = _ranked(_row("low", 0.3), _row("high", 0.71), _row("high2", 0.7), _row("low2", 0.3))
    (ranking,) = found.rankings
    assert [(entry.method, entry.rank, entry.rank_low, entry.rank_high) for entry in ranking.entries] == [
        ("high", 1, 1, 2),
        ("high2", 2, 1, 2),
        ("low", 3, 3, 4),
        ("low2", 3, 3, 4),
    ]
    assert found.family_size == 6
    assert [entry.method for entry in ranking.level_with_best] == ["high", "high2"]
    assert [(pair.above, pair.below) for pair in ranking.adjacent] == [
        ("high", "high2"),
        ("high2", "low"),
        ("low", "low2"),
    ]
    assert (ranking.entries[0].num_worse, ranking.entries[3].num_better) == (2, 2)


def test_holm_is_over_all_tasks_and_metrics_of_the_table():
    rng = np.random.default_rng(0)
    rows = [
        _row(f"m{method}", int(rng.integers(450, 550)) / 1000, task=task)
        for task in ("rte", "mrpc")
        for method in range(4)
    ]
    found = _ranked(*rows)
    pairs = [pair for ranking in found.rankings for pair in ranking.pairs]
    assert (found.family_size, len(found.rankings)) == (12, 2)
    expected = multipletests([pair.test.p_value for pair in pairs], method="holm")[1]
    assert [pair.p_holm for pair in pairs] == pytest.approx(expected)
    assert {pair.verdict for pair in pairs if pair.p_holm <= 0.05} <= {"better"}


def test_a_reference_makes_the_family_smaller():
    rows = [_row("a", 0.50), _row("b", 0.53), _row("c", 0.56)]
    found = _ranked(*rows, reference="a")
    (ranking,) = found.rankings
    assert found.family_size == 2
    assert _verdicts(ranking) == {("c", "a"): "better", ("b", "a"): "undecided"}
    assert {entry.rank_low for entry in ranking.entries} == {None}
    assert _verdicts(_ranked(*rows).rankings[0])["c", "a"] == "better"


def test_alpha_decides():
    rows = [_row("a", 0.50), _row("b", 0.56)]
    assert _verdicts(_ranked(*rows).rankings[0]) == {("b", "a"): "better"}
    assert _verdicts(_ranked(*rows, alpha=0.001).rankings[0]) == {("b", "a"): "undecided"}
    assert _ranked(*rows, alpha=0.001).rankings[0].pairs[0].difference.level == 0.999


def test_pairing_bounds_enclose_the_verdict():
    (ranking,) = _ranked(_row("a", 0.50), _row("b", 0.52), _row("c", 0.9)).rankings
    for pair in ranking.pairs:
        assert pair.holm_least <= pair.holm_greatest
        assert pair.pairing.least_p <= pair.test.p_value <= pair.pairing.greatest_p


def test_a_failed_method_is_not_estimable_and_takes_no_rank():
    found = _ranked(_row("a", 0.5), _row("b", None, reason="the loss is nan"), _row("c", 0.6))
    (ranking,) = found.rankings
    assert [(entry.method, entry.rank) for entry in ranking.entries] == [("c", 1), ("a", 2), ("b", None)]
    assert ranking.entries[2].score.reason == "the loss is nan"
    assert _verdicts(ranking) == {("c", "a"): "better", ("c", "b"): "not estimable", ("a", "b"): "not estimable"}
    assert found.family_size == 1
    assert [(pair.above, pair.below) for pair in ranking.adjacent] == [("c", "a")]
    assert {entry.rank_high for entry in ranking.ranked} == {1, 2}


def test_lower_is_better_for_errors():
    rows = [
        _row(name, value * (1 + seed / 10), metric="rmse", seed=seed, num_examples=None)
        for name, value in (("a", 2.0), ("b", 1.0))
        for seed in range(8)
    ]
    found = _ranked(*rows)
    (ranking,) = found.rankings
    assert [entry.method for entry in ranking.entries] == ["b", "a"]
    assert ranking.pairs[0].difference.value == pytest.approx(-1.35)
    assert ranking.pairs[0].verdict == "better on these examples"
    assert "rmse: lower is better" in found.notes


def _in_seeds(metric, a=1.0, b=0.5, **changes):
    return [
        _row(name, value * (1 + seed / 100), metric=metric, seed=seed, **({"num_examples": None} | changes))
        for name, value in (("a", a), ("b", b))
        for seed in range(8)
    ]


def test_seeds_alone_call_nothing_better_and_move_no_rank():
    (ranking,) = (found := _ranked(*_in_seeds("rouge"))).rankings
    assert [(entry.method, entry.rank_low, entry.rank_high, entry.num_worse) for entry in ranking.entries] == [
        ("a", 1, 2, 0),
        ("b", 1, 2, 0),
    ]
    assert _verdicts(ranking) == {("a", "b"): "better on these examples"}
    assert any(note.startswith("rouge: seeds alone. Intervals and tests speak of these very") for note in found.notes)
    (ranking,) = (found := _ranked(*_in_seeds("accuracy", 0.8, 0.5, num_examples=2000))).rankings
    assert _verdicts(ranking) == {("a", "b"): "better"}
    assert not any("seeds alone" in note for note in found.notes)


def test_time_has_no_examples_so_that_seeds_are_all_there_is():
    (ranking,) = (found := _ranked(*_in_seeds("train_s"))).rankings
    assert _verdicts(ranking) == {("b", "a"): "better"}
    assert not any("seeds alone" in note for note in found.notes)


def test_a_direction_follows_the_name_and_the_user_has_the_last_word():
    found = _ranked(*_in_seeds("eval_loss"))
    assert [entry.method for entry in found.rankings[0].entries] == ["b", "a"]
    assert "eval_loss: lower is better, by its name; else --higher-is-better 'eval_loss'" in found.notes
    found = _ranked(*_in_seeds("eval_loss"), higher_is_better={"eval_loss": True})
    assert [entry.method for entry in found.rankings[0].entries] == ["a", "b"]
    assert not any("by its name" in note for note in found.notes)
    found = _ranked(*_in_seeds("hausdorff"))
    assert [entry.method for entry in found.rankings[0].entries] == ["a", "b"]
    assert any(note.startswith("hausdorff: higher is taken to be better, as its name does not") for note in found.notes)
    found = _ranked(*_in_seeds("hausdorff"), higher_is_better={"hausdorff": False})
    assert [entry.method for entry in found.rankings[0].entries] == ["b", "a"]
    assert "hausdorff: lower is better" in found.notes
    with pytest.raises(DataError, match=r"no scores of measure 'los'\. Did you mean 'loss'"):
        _ranked(*_in_seeds("loss"), higher_is_better={"los": True})


def test_one_seed_says_so():
    assert any(
        note.startswith("one seed: intervals and tests are over examples only")
        for note in _ranked(_row("a", 0.5), _row("b", 0.6)).notes
    )


def test_all_scores_equal():
    found = _ranked(_row("a", 0.5), _row("b", 0.5), _row("c", 0.5))
    (ranking,) = found.rankings
    assert "accuracy: all 3 scores are equal" in found.notes
    assert {(entry.rank, entry.rank_low, entry.rank_high) for entry in ranking.entries} == {(1, 1, 3)}
    assert {pair.verdict for pair in ranking.pairs} == {"undecided"}


def test_three_seeds_can_find_nothing_and_the_notes_say_so():
    rows = [
        _row(name, value * (1 + seed / 100), seed=seed, num_examples=None)
        for name, value in (("a", 0.5), ("b", 0.8))
        for seed in range(3)
    ]
    found = _ranked(*rows)
    assert _verdicts(found.rankings[0]) == {("b", "a"): "undecided"}
    assert any("no p below 0.25" in note and "only more seeds would" in note for note in found.notes)
    many = [
        _row(f"m{m}", 0.5 + m / 50 + seed * (m % 3 + 1) / 1000, seed=seed, num_examples=None)
        for m in range(9)
        for seed in range(6)
    ]
    assert any("a smaller family (--reference)" in note for note in _ranked(*many).notes)  # 2/64 times 36 pairs


def test_nothing_to_compare():
    with pytest.raises(DataError, match="expected two methods or more with the same task and metric, found a; b"):
        _ranked(_row("a", 0.5, task="rte"), _row("b", 0.5, task="mrpc"))


def test_an_unknown_reference_is_refused():
    with pytest.raises(
        DataError, match=r"reference 'lorra' is not a method of it. Did you mean 'lora'\? Known: full, lora"
    ):
        _ranked(_row("lora", 0.5), _row("full", 0.5), reference="lorra")
