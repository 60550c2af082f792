"""The table of what runs still say of other tasks."""

from __future__ import annotations

from tunescope.analysis.probes import Probed
from tunescope.report.terminal.probes import probe_summary
from tunescope.report.terminal.results import render
from tunescope.study.load import parse_study

STUDY = parse_study(
    "name: s\nbase_model: org/base\ntasks: [mrpc, rte, squad_v2]\nmethods: {lora: {}}\nseeds: [1, 2]\n"
    "retention: {probes: true}\n",
    "s",
)


def _row(seed: int, accuracy: float | None, **more) -> Probed:
    done = accuracy is not None
    values = {
        "study": "s",
        "base_model": "org/base",
        "trained_on": "mrpc",
        "method": "lora",
        "seed": seed,
        "probe_task": "rte",
        "majority_accuracy": 0.5,
        "base_accuracy": 0.6,
        "accuracy": accuracy,
        "num_train": 1000,
        "num_examples": 277,
        "layer": "final_norm",
        "state": "done" if done else "failed",
        "reason": "" if done else "out of memory",
        "base_job": "b",
        "job": "j",
    }
    return Probed(**(values | more))


def _line(text: str) -> list[str]:
    return next(line for line in text.splitlines() if "lora" in line).split()


def test_means_over_seeds_beside_the_base_model():
    text = render(probe_summary([_row(1, 0.5), _row(2, 0.6)], STUDY), width=140)
    numbers = ["0.5000", "0.6000", "0.5500", "±", "0.0707", "-0.0500", "±", "0.0707", "2"]
    assert _line(text) == ["base", "rte", "mrpc", "lora", *numbers]
    assert "(final_norm, fitted on 1,000 train rows)" in text
    assert "no probe of squad_v2: its answers are spans" in text
    assert _line(render(probe_summary([_row(1, 0.75)], STUDY), width=140))[4:] == [
        "0.5000",
        "0.6000",
        "0.7500",
        "+0.1500",
        "1",
    ]


def test_a_failed_run_is_counted_and_told_and_no_number():
    text = render(probe_summary([_row(1, 0.7), _row(2, None)], STUDY), width=140)
    assert "1 of 2" in text
    assert "not measured: out of memory" in text
    nothing = render(probe_summary([_row(1, None)], STUDY), width=140)
    assert _line(nothing)[4:] == ["0.5000", "0.6000", "-", "-", "0", "of", "1"]


def test_without_the_base_model_there_is_no_difference():
    row = _row(1, 0.7, base_accuracy=None, reason="no probe of the base model: out of memory")
    text = render(probe_summary([row], STUDY), width=140)
    assert _line(text)[4:] == ["0.5000", "-", "0.7000", "-", "1"]
    assert "not measured: no probe of the base model" in text


def test_states_that_differ_are_not_told_as_one():
    text = render(
        probe_summary([_row(1, 0.7), _row(1, 0.7, base_model="b", layer="block_06", num_train=9)], STUDY), width=140
    )
    assert "(the last one, fitted on train rows)" in text


def test_a_study_without_them_says_so():
    assert "does not ask for them" in render(probe_summary([], STUDY), width=140)
