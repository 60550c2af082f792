"""What survives is said in words, the table fits 140 columns, and no text from outside acts on the terminal."""

from __future__ import annotations

import pytest

from tunescope.analysis.tables.rankings import rank_all
from tunescope.analysis.tables.scores_file import ScoreRow, ScoreTable
from tunescope.report.terminal.rankings import compare_summary
from tunescope.report.terminal.results import render

_HOSTILE = "[red]x[/red] \x1b[31my"


def _row(method, value, **changes):
    values = {"method": method, "task": "gsm8k", "metric": "accuracy", "seed": 0, "value": value, "num_examples": 1000}
    return ScoreRow(**(values | changes))


def _shown(*rows, notes=(), **options):
    table = ScoreTable(source="scores.csv", rows=rows, notes=notes)
    return render(compare_summary(rank_all(table, **options)), width=140)


def _line(shown, method):
    (line,) = [line for line in shown.splitlines() if line.split()[1:] and method in line.split()[1:4]]
    return line.split()


def _joined(shown):
    return " ".join(shown.split())


_THREE = (_row("lora", 0.70), _row("full", 0.71), _row("ia3", 0.5))


def test_a_line_holds_rank_range_score_interval_and_the_step_to_the_next():
    shown = _shown(*_THREE)
    assert "gsm8k accuracy: 3 methods, 1 seed, 1,000 examples" in shown
    assert _line(shown, "full")[:7] == ["1", "1-2", "full", "71.0", "68.1", "to", "73.7"]
    assert _line(shown, "full")[7:] == ["+1.0", "(-3.0", "to", "5.0)", "0.659", "0.659", "undecided"]
    assert _line(shown, "lora")[:4] == ["2", "1-2", "lora", "70.0"]
    assert _line(shown, "lora")[-1] == "yes"
    assert _line(shown, "ia3") == ["3", "3", "ia3", "50.0", "46.9", "to", "53.1"]


def test_what_survives_is_counted():
    shown = _joined(_shown(*_THREE))
    assert "1 of 2 neighbouring places and 2 of 3 pairs survive at 5% (Holm, 3 comparisons)" in shown
    assert "not told from the best, full: 1 of 2 others" in shown
    assert "2 pairs survive however the right answers coincide, 1 more could, 0 cannot" in shown
    assert "one seed: intervals and tests are over examples only" in shown
    assert "Holm: corrected for all 3 comparisons of scores.csv" in shown


def test_a_reference_is_on_every_line_but_its_own():
    shown = _shown(*_THREE, reference="lora")
    assert "minus reference" in shown
    assert "could be" not in shown
    assert _line(shown, "full")[-1] == "undecided"
    assert _line(shown, "ia3")[6:] == ["-20.0", "(-24.1", "to", "-15.8)", "8e-20", "2e-19", "worse"]
    assert _line(shown, "lora") == ["2", "lora", "70.0", "67.1", "to", "72.8"]
    assert "1 of 2 differences from lora survive at 5% (Holm, 2 comparisons)" in _joined(shown)


def test_a_failed_method_is_named_with_its_reason_and_has_no_number():
    shown = _shown(*_THREE, _row("vera", None, reason="the run is failed: out of memory"))
    assert "not estimable: gsm8k vera: the run is failed: out of memory" in shown
    (line,) = [line.split() for line in shown.splitlines() if line.split()[2:3] == ["vera"]]
    assert line == ["-", "-", "vera", "-", "-"]
    assert "nan" not in shown


def test_scores_alone_are_ranked_and_nothing_is_claimed():
    shown = _shown(*(_row(name, value, num_examples=None) for name, value in (("a", 0.5), ("b", 0.6))))
    assert "no comparison is estimable, the order above may be noise: one score each and no num_examples" in _joined(
        shown
    )
    assert _line(shown, "b")[-2:] == ["not", "estimable"]


def test_errors_are_no_percent():
    rows = [
        _row(name, value * (1 + seed / 10), metric="rmse", seed=seed, num_examples=None)
        for name, value in (("a", 2.0), ("b", 1.5))
        for seed in range(4)
    ]
    shown = _shown(*rows)
    assert "gsm8k rmse: 2 methods, 4 seeds" in shown
    assert _line(shown, "b")[:4] == ["1", "1-2", "b", "1.725"]
    assert "lower is better" in shown


def test_two_tasks_have_a_table_each():
    shown = _shown(*_THREE, _row("lora", 0.5, task="mrpc"), _row("full", 0.6, task="mrpc"))
    assert shown.count(" rank ") == 2
    assert "Holm, 4 comparisons" in shown


def test_long_names_fit_the_width():
    rows = [_row("prefixtuning/llama-3.2-3B-tokens50-init_prefix-lr_0.005", 0.5), _row("x" * 200, 0.9)]
    assert max(len(line.rstrip()) for line in _shown(*rows).splitlines()) <= 140
    assert "prefixtuning/llama-3.2-3B-tokens50-init_prefix-lr_0.005" in _shown(rows[0], _row("b", 0.2))


@pytest.mark.parametrize(
    "rows, notes",
    [
        ([_row(_HOSTILE, 0.5), _row("b", 0.6)], ()),
        ([_row("a", 0.5, task=_HOSTILE), _row("b", 0.6, task=_HOSTILE)], ()),
        ([_row("a", 0.5), _row("b", 0.6), _row("c", None, reason=_HOSTILE)], ()),
        ([_row("a", 0.5), _row("b", 0.6)], (_HOSTILE,)),
    ],
)
def test_text_from_outside_is_shown_as_it_is_and_acts_on_nothing(rows, notes):
    shown = _shown(*rows, notes=notes)
    assert "[red]x[/red] \\x1b[31my" in shown
    assert "\x1b" not in shown


def test_seeds_alone_are_said_to_be_of_these_examples():
    rows = [
        _row(name, value * (1 + seed / 100), seed=seed, num_examples=None, metric="f1")
        for name, value in (("a", 0.5), ("b", 0.7))
        for seed in range(8)
    ]
    shown = _shown(*rows)
    assert "gsm8k f1: 2 methods, 8 seeds, higher is better" in shown
    assert _line(shown, "b")[-2:] == ["these", "examples"]
    assert "0 of 1 neighbouring places and 0 of 1 pairs survive" in _joined(shown)
    assert "of these examples alone 1 of 1 survive; of others nothing is known" in _joined(shown)
    assert _line(_shown(*rows, reference="b"), "a")[-3:] == ["worse,", "these", "examples"]


def test_a_lost_seed_is_told_beside_the_mean_of_the_others():
    rows = [_row("a", 0.5 + seed / 100, seed=seed) for seed in range(3)]
    rows += [_row("b", 0.6, seed=0), _row("b", 0.63, seed=1), _row("b", None, seed=2, reason="the loss is nan")]
    shown = _shown(*rows)
    assert "gsm8k b: 1 of 3 seeds without a score (the loss is nan)" in shown
    assert _line(shown, "b")[3] == "61.5"
    assert "gsm8k all 2 methods: one score" in _shown(
        _row("a", 0.5, num_examples=None), _row("b", 0.6, num_examples=None)
    )
