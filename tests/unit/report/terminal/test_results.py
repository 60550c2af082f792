"""The result table: a line a score, a column a method, every failure, flag and source once, and no text acts on it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tunescope.analysis.collect import ResultRow
from tunescope.report.terminal.results import render, result_summary
from tunescope.study.load import parse_study

_HOSTILE = "[red]x[/red] \x1b[31my"


def _row(**changes):
    row = ResultRow(
        study="s",
        base_model="org/m",
        task="rte",
        kind="run",
        method="lora",
        seed=1,
        split="validation",
        metric="accuracy",
        value=0.5,
        num_examples=277,
        state="done",
        reason="",
        flags="",
        trainable_parameters=1,
        total_parameters=2,
        num_steps=3,
        kept_step=3,
        truncated_share=0.0,
        train_s=1.0,
        evaluate_s=1.0,
        peak_memory_gib=1.0,
        train_job="t",
        job="j",
    )
    return replace(row, **changes)


def _baseline(method, value, **changes):
    return _row(**{"kind": "baseline", "method": method, "base_model": None, "seed": None, "value": value} | changes)


def _shown(*rows):
    return render(result_summary(rows), width=160)


def _line(shown, task):
    (line,) = [line for line in shown.splitlines() if line.split()[:1] == [task]]
    return line.split()


def test_a_line_holds_mean_spread_rows_and_the_reference_columns():
    shown = _shown(
        _row(value=0.5),
        _row(value=0.6, seed=2),
        _row(value=0.25, method="full"),
        _row(value=0.75, method="full", seed=2),
        _baseline("majority", 0.527),
        _baseline("random", 0.5),
        _baseline("random", 0.9, seed=1),  # a draw stays out of the table
    )
    assert "org/m: mean ± standard deviation over 2 seeds, in percent unless said" in shown
    assert _line(shown, "task") == ["task", "score", "rows", "lora", "full", "majority", "random"]
    assert _line(shown, "rte") == ["rte", "accuracy", "277", "55.0", "±", "7.1", "50.0", "±", "35.4", "52.7", "50.0"]


def test_one_seed_has_no_spread_and_errors_are_no_percent():
    shown = _shown(_row(value=0.5), _row(metric="rmse", value=1.23456))
    assert "org/m: one seed, in percent, rmse in the scores' own unit" in shown
    assert "rte accuracy 277 50.0" in " ".join(shown.split())
    assert "rte rmse 277 1.235" in " ".join(shown.split())


def test_a_failed_run_is_a_failure_and_never_a_number():
    failed = {"value": None, "state": "failed", "reason": "the loss is nan", "num_examples": None}
    shown = _shown(_row(value=0.5), _row(seed=2, **failed), _row(seed=1, method="full", **failed))
    assert "50.0 (1 of 2)" in shown
    assert "1 failed" in shown
    assert shown.count("failed: rte lora seed 2: the loss is nan") == 1
    assert shown.count("failed: rte full seed 1: the loss is nan") == 1
    assert "nan" not in shown.replace("the loss is nan", "")


def test_a_run_that_waits_for_a_failed_job_is_a_failure_told_once():
    waits = {"value": None, "state": "failed", "reason": "waits for rte-lora-seed2, which failed: the loss is nan"}
    shown = _shown(_row(value=0.5), _row(seed=2, **waits), _row(seed=2, metric="f1", **waits))
    assert "50.0 (1 of 2)" in shown
    assert shown.count("failed: rte lora seed 2: waits for rte-lora-seed2, which failed: the loss is nan") == 1


def test_a_baseline_that_was_asked_for_and_is_not_there_is_told():
    text = "name: n\nbase_model: org/m\ntasks: [rte]\nmethods: {full: {}}\nseeds: [1]\n"
    named = parse_study(f"{text}baselines: [majority, zero_shot]\n", "s")
    rows = [_row(value=0.5), _baseline("majority", 0.5)]
    assert "no baseline zero_shot for rte: org/m is no decoder" in render(result_summary(rows, named), width=200)
    assert "no baseline" not in render(result_summary(rows, parse_study(text, "s")), width=200)


def test_flags_truncation_and_sources_stand_below_once_each():
    shown = _shown(
        _row(flags="every one is no", truncated_share=0.125),
        _row(metric="f1", flags="every one is no", truncated_share=0.125),
        _baseline("reference", 0.704, reason="A. Nobody, 1999", split=None),
    )
    assert shown.count("flag: rte lora seed 1: every one is no") == 1
    assert shown.count("truncated: rte (m): 12.5% of the scored examples lost text") == 1
    assert shown.count("published: rte accuracy 70.4: A. Nobody, 1999") == 1


def test_a_flag_that_runs_share_is_told_once_with_all_of_them():
    shown = _shown(_row(flags="odd; seen"), _row(seed=2, flags="seen"), _row(method="full", flags="seen"))
    assert "flag: rte lora seed 1: odd\n" in shown
    assert "flag: rte lora seed 1, rte lora seed 2, rte full seed 1: seen\n" in shown


def test_no_score_is_a_negative_zero():
    shown = _shown(_row(), _baseline("random", -1e-17))
    assert _line(shown, "rte")[-1] == "0.0"


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_no_digit_is_cut_on_a_narrow_terminal(width):
    names = ["full", "lora", "dora", "rslora", "head_only", "ia3"]
    rows = [
        _row(method=name, seed=seed, value=0.4 + place / 10 + seed / 30)
        for place, name in enumerate(names)
        for seed in (1, 2)
    ]
    shown = render(result_summary([*rows, _baseline("majority", 0.527), _baseline("zero_shot", 0.653)]), width=width)
    assert "…" not in shown
    for place in range(6):
        assert f"{100 * (0.4 + place / 10 + 0.05):.1f} ± 2.4" in shown
    assert "52.7" in shown
    assert "65.3" in shown
    assert "277" in shown


def test_an_undefined_score_says_why():
    shown = _shown(_row(metric="pearson", value=None, reason="the predictions are constant"))
    assert "no pearson: rte lora seed 1: the predictions are constant" in shown


@pytest.mark.parametrize(
    "rows",
    [
        [_row(base_model=_HOSTILE)],
        [_row(flags=_HOSTILE)],
        [_row(value=None, state="failed", reason=_HOSTILE)],
        [_row(value=None, reason=_HOSTILE)],
        [_row(), _baseline("reference", 0.5, reason=_HOSTILE)],
    ],
)
def test_text_from_outside_is_shown_as_it_is_and_acts_on_nothing(rows):
    shown = _shown(*rows)
    assert "[red]x[/red] \\x1b[31my" in shown
    assert "\x1b" not in shown
