"""A plan as a person reads it: every job or groups of them, who does what, and unknowns as question marks."""

from __future__ import annotations

import re

import pytest

from tunescope.cost.architecture import read_architecture
from tunescope.cost.devices import this_machine
from tunescope.cost.predict import Prediction
from tunescope.report.terminal.plan import gib, plan_summary, time_shown
from tunescope.report.terminal.results import render
from tunescope.study.estimate import estimate
from tunescope.study.load import parse_study
from tunescope.study.placement import place
from tunescope.study.plan import make_plan

_TEXT = """
name: t
base_models: [org/one, "org/[red]two"]
tasks: [rte]
methods: {full: {}}
seeds: [1]
"""

_LLAMA = {
    "model_type": "llama",
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 172,
    "num_hidden_layers": 5,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "max_position_embeddings": 512,
}


def _shown(text=_TEXT, width=200, **more):
    study = parse_study(text, "t")
    plan = make_plan(study, {model.name: True for model in study.base_models})
    return render(plan_summary(plan, place(plan, 2), device="cpu", **more), width=width)


def test_every_job_is_listed_and_nothing_in_a_name_acts():
    shown = _shown()
    assert "t: 2 base model(s) x 1 tasks x 1 methods x 1 seeds = 2 runs; 10 jobs" in shown
    assert "one-rte-full-seed1-evaluate" in shown
    assert "[red]two-rte-full-seed1-evaluate" in shown
    assert "2 worker(s), each: cpu" in shown


def test_a_baseline_that_was_asked_for_and_is_not_there_is_told():
    asked = _TEXT.replace("tasks: [rte]", "tasks: [squad_v2]") + "baselines: [majority, zero_shot]\n"
    assert "no baseline zero_shot for squad_v2: a question answering task has no label words" in _shown(asked)
    assert "no baseline" not in _shown(_TEXT.replace("tasks: [rte]", "tasks: [squad_v2]"))


def test_many_jobs_are_shown_in_groups_unless_asked():
    many = _TEXT.replace("seeds: [1]", f"seeds: {list(range(30))}")
    assert "126 jobs in groups" not in _shown(many, every_job=True)
    grouped = _shown(many)
    assert "jobs in groups; --jobs lists every one" in grouped
    assert "seed17" not in grouped
    assert "seed17" in _shown(many, every_job=True)


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("many", [False, True])
def test_no_digit_is_cut_on_a_narrow_terminal(width, many):
    known = _TEXT.replace("[rte]", "[demo_sentiment]").replace('org/one, "org/[red]two"', "tunescope/demo-llama")
    study = parse_study(known.replace("[1]", str(list(range(50)))) if many else known, "t")
    models = {"tunescope/demo-llama": True}
    found = {name: read_architecture(_LLAMA) for name in models}
    plan = estimate(make_plan(study, models), found, this_machine(use_gpu=False))
    shown = render(plan_summary(plan, place(plan, 2), device="cpu"), width=width)
    assert "…" not in shown
    assert shown.count(gib(plan.runs[0].train.resources.memory_gib)) >= 1
    assert max(len(line) for line in shown.splitlines()) <= width


@pytest.mark.parametrize(
    "seconds,shown",
    [(None, "?"), (0.04, "0.0 s"), (9.96, "10.0 s"), (45.0, "45 s"), (600.0, "10 min"), (36_000.0, "10.0 h")],
)
def test_times(seconds, shown):
    assert time_shown(seconds) == shown


@pytest.mark.parametrize("value,shown", [(None, "?"), (0.5, "512 MiB"), (1.0, "1.0 GiB"), (22.46, "22.5 GiB")])
def test_sizes(value, shown):
    assert gib(value) == shown


def test_what_stays_on_disk_and_what_passes_are_told_apart():
    study = parse_study(_TEXT, "t")
    plan = make_plan(study, {model.name: True for model in study.base_models})
    trained = next(job for job in plan.jobs if job.kind == "train")
    nominal = {
        job.id: Prediction(seconds=1.0, memory_gib=1.0, disk_gib=0.5, scratch_gib=8.0 if job.kind == "train" else 0.0)
        for job in plan.jobs
    }
    placement = place(plan, 2, nominal)
    assert [worker.scratch_gib for worker in placement.workers] == [8.0, 0.0], "one of its trainings at a time"
    shown = render(plan_summary(plan, placement, device="cpu"), width=200)
    assert re.search(r"disk +meanwhile +what", shown)
    assert re.search(r"^ +1 .* 8\.0 GiB +runs of rte", shown, re.MULTILINE)
    assert "meanwhile up to 8.0 GiB more, the checkpoints of one job a worker" in shown
    alone = render(plan_summary(plan, place(plan, 1, nominal | {trained.id: None}), device="cpu"), width=200)
    assert "meanwhile up to ? more" in alone
