"""The table of drift: methods first, then each control in words, and every reason for a missing number once."""

from __future__ import annotations

import pytest

from tunescope.analysis.drift import DriftResult
from tunescope.report.terminal.drift import drift_summary, shown
from tunescope.report.terminal.results import render


def _one(compared, drift, *, method="lora", seed=1, reason="", task="rte", num_examples=277):
    return DriftResult(
        study="s",
        base_model="org/m",
        task=task,
        method=method,
        seed=seed,
        compared=compared,
        drift=drift,
        num_examples=num_examples,
        state="done" if drift is not None else "failed",
        reason=reason,
        job="j",
    )


def _lines(*results):
    return [" ".join(line.split()) for line in render(drift_summary(results), width=160).splitlines() if line.strip()]


def test_methods_come_first_and_controls_in_words():
    lines = _lines(
        _one("random_network", 0.9, method=None, seed=None),
        _one("untrained lora", 0.0, method=None, seed=None),
        _one("base_again", 1.2e-9, method=None, seed=None),
        _one("seeds", 0.1),
        _one("random_update", 0.02),
        _one("tuned", 0.25),
        _one("tuned", 0.35, seed=2),
        _one("tuned", 0.5, method="full"),
    )
    told = [line.removeprefix("m rte ") for line in lines[3:]]
    assert told == [
        "lora 0.3000 ± 0.0707 2 277",
        "full 0.5000 1 277",
        "lora: seed against seed 0.1000 1 277",
        "lora: random update of its length 0.0200 1 277",
        "untrained adapter of lora 0.0000 1 277",
        "base model, read again 1.2e-09 1 277",
        "random weights 0.9000 1 277",
    ]


def test_a_missing_number_is_counted_and_its_reason_is_told_once():
    why = "out of memory [red]now[/red]"
    lines = _lines(
        _one("tuned", 0.25), _one("tuned", None, seed=2, reason=why), _one("random_update", None, reason=why)
    )
    assert "m rte lora 0.2500 1 of 2 277" in lines
    assert "m rte lora: random update of its length - 0 of 1 277" in lines
    assert [line for line in lines if "no drift" in line] == [f"no drift: {why}"]


def test_a_study_without_drift_says_so():
    assert _lines() == ["no drift: the study has no `drift:` section"]


def test_a_job_of_controls_that_failed_has_a_line():
    assert any("0 of 1" in line for line in _lines(_one("controls", None, method=None, seed=None, reason="it broke")))


@pytest.mark.parametrize(
    "value, text", [(0.0, "0.0000"), (0.25, "0.2500"), (-0.1, "-0.1000"), (1.2e-9, "1.2e-09"), (-4e-6, "-4.0e-06")]
)
def test_rounding_errors_are_seen_as_what_they_are(value, text):
    assert shown(value) == text
