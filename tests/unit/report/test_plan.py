"""A plan as a person reads it: every job or groups of them, who does what, and unknowns as question marks."""

from __future__ import annotations

import pytest

from tunescope.report.plan import gib, plan_summary, time_shown
from tunescope.report.results import render
from tunescope.study.load import parse_study
from tunescope.study.placement import place
from tunescope.study.plan import make_plan

_TEXT = """
name: t
base_models: [org/one, "org/[red]two"]
tasks: [rte]
methods: {full: {}}
seeds: [1]
trackers: {wandb: {project: "[blink]p"}}
"""


def _shown(text=_TEXT, **more):
    study = parse_study(text, "t")
    plan = make_plan(study, {model.name: True for model in study.base_models})
    return render(plan_summary(plan, place(plan, 2), device="cpu", **more), width=200)


def test_every_job_is_listed_and_nothing_in_a_name_acts():
    shown = _shown()
    assert "t: 2 base model(s) x 1 tasks x 1 methods x 1 seeds = 2 runs; 9 jobs" in shown
    assert "one-rte-full-seed1-evaluate" in shown
    assert "[red]two-rte-full-seed1-evaluate" in shown
    assert "2 worker(s), each: cpu" in shown
    assert "[blink]p" in shown


def test_many_jobs_are_shown_in_groups_unless_asked():
    many = _TEXT.replace("seeds: [1]", f"seeds: {list(range(30))}")
    assert "126 jobs in groups" not in _shown(many, every_job=True)
    grouped = _shown(many)
    assert "jobs in groups; --jobs lists every one" in grouped
    assert "seed17" not in grouped
    assert "seed17" in _shown(many, every_job=True)


@pytest.mark.parametrize(
    "seconds,shown",
    [(None, "?"), (0.04, "0.0 s"), (9.96, "10.0 s"), (45.0, "45 s"), (600.0, "10 min"), (36_000.0, "10.0 h")],
)
def test_times(seconds, shown):
    assert time_shown(seconds) == shown


@pytest.mark.parametrize("value,shown", [(None, "?"), (0.5, "512 MiB"), (1.0, "1.0 GiB"), (22.46, "22.5 GiB")])
def test_sizes(value, shown):
    assert gib(value) == shown
