"""Scores and comparisons made by hand, from numbers that a test can count on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tunescope.analysis.collect import ResultRow
from tunescope.analysis.hypotheses import Compared
from tunescope.analysis.quality import Expected, Quality, SeedScore
from tunescope.analysis.seed_mean import seed_mean
from tunescope.stats.compare import compare_scores, not_comparable
from tunescope.stats.verdict import Verdict, verdicts
from tunescope.study.family import family, measure_on, places
from tunescope.study.load import parse_study
from tunescope.study.plan import Plan, RunCell, make_plan
from tunescope.tasks.scores import SCORES

TEXT = """
name: t
question: Does LoRA <b>cost</b> quality?
base_model: org/decoder
tasks: [mrpc, rte]
methods: {full: {}, lora: {}}
seeds: [1, 2, 3]
drift: {}
"""


Scored = Callable[[RunCell, str], float | None]


def plan_of(text: str = TEXT, *changes: str) -> Plan:
    """The plan of a study whose base models are all decoders."""
    study = parse_study(text, "t", changes)
    return make_plan(study, {model.name: True for model in study.base_models}, {"plain.txt": "ab"})


def score_of_run(run: RunCell, metric: str) -> float | None:
    """0.80, 0.81, 0.82 of the seeds 1, 2, 3 of `full`; 0.78, 0.80, 0.80 of any other method."""
    return 0.79 + 0.01 * run.seed - (0.0 if run.method == "full" else 0.02 if run.seed % 2 else 0.01)


def made_comparisons(plan: Plan, score: Scored = score_of_run) -> Iterator[Compared]:
    """The study's family, compared by its scores alone."""
    found = []
    for hypothesis in family(plan.study):
        for model, task in places(plan.study, hypothesis):
            measure = measure_on(hypothesis, task)
            arms = [
                [
                    value
                    for run in plan.runs
                    if (run.base_model, run.task.name, run.method) == (model, task.name, method)
                    and (value := score(run, measure)) is not None
                ]
                for method in hypothesis.methods
            ]
            if min(len(arm) for arm in arms) < len(plan.study.seeds):
                compared = not_comparable("1 of 6 runs are not there, the first: lora seed 1: out of memory in block A")
            else:
                compared = compare_scores(arms[0], arms[1], paired=True, num_resamples=99)
            a, b = hypothesis.methods
            found.append((model, task.name, measure, a, b, compared))
    judged = verdicts([one[-1] for one in found])
    for (model, task_name, measure, a, b, compared), verdict in zip(found, judged, strict=True):
        yield compared_of(model, task_name, measure, a, b, compared, verdict, is_declared=bool(plan.study.compare))


def compared_of(
    model: str, task: str, measure: str, a: str, b: str, comparison: Any, verdict: Verdict, *, is_declared: bool = True
) -> Compared:
    return Compared(
        base_model=model,
        task=task,
        measure=measure,
        a=a,
        b=b,
        is_declared=is_declared,
        comparison=comparison,
        verdict=verdict,
    )


def made_rows(plan: Plan, score: Scored) -> Iterator[ResultRow]:
    for run in plan.runs:
        for metric in run.task.metrics:
            value = score(run, metric)
            is_done = value is not None
            yield ResultRow(
                study=plan.study.name,
                base_model=run.base_model,
                task=run.task.name,
                kind="run",
                method=run.method,
                seed=run.seed,
                split="validation",
                metric=metric,
                value=value,
                num_examples=400 if is_done else None,
                state="done" if is_done else "failed",
                reason="" if is_done else "out of memory",
                flags="",
                trainable_parameters=parameters_of(run) if is_done else None,
                total_parameters=900_000 if is_done else None,
                num_steps=30 if is_done else None,
                kept_step=20 if is_done else None,
                truncated_share=0.0 if is_done else None,
                train_s=train_s_of(run) if is_done else None,
                evaluate_s=0.5 if is_done else None,
                peak_memory_gib=1.5 if is_done else None,
                train_job=run.train.id,
                job=run.evaluate.id,
            )
    for cell in plan.baselines:
        if cell.baseline in ("majority", "random"):
            yield ResultRow(
                study=plan.study.name,
                base_model=None,
                task=cell.task.name,
                kind="baseline",
                method=cell.baseline,
                seed=None,
                split="validation",
                metric=cell.task.primary_metric,
                value=0.5,
                num_examples=400,
                state="done",
                reason="",
                flags="",
                trainable_parameters=None,
                total_parameters=None,
                num_steps=None,
                kept_step=None,
                truncated_share=None,
                train_s=None,
                evaluate_s=None,
                peak_memory_gib=None,
                train_job=None,
                job=cell.job.id,
            )


def made_quality(plan: Plan, score: Scored) -> Iterator[Quality]:
    for model in plan.study.base_models:
        for task in plan.study.tasks:
            for metric in task.metrics:
                for entry in plan.study.methods:
                    place = (model.name, task.name, entry.name)
                    own = [run for run in plan.runs if (run.base_model, run.task.name, run.method) == place]
                    yield _one_quality(plan, own, metric, {run.seed: score(run, metric) for run in own})


def _one_quality(plan: Plan, own: list[RunCell], metric: str, values: dict[int, float | None]) -> Quality:
    run = own[0]
    known = [value for value in values.values() if value is not None]
    estimate = seed_mean(known)
    band = next(
        (
            one
            for one in plan.study.expected
            if (one.task, one.method, one.metric) == (run.task.name, run.method, metric)
        ),
        None,
    )
    inside = None
    if band is not None and estimate.value is not None:
        inside = band.low <= estimate.value <= band.high
    return Quality(
        base_model=run.base_model,
        task=run.task.name,
        metric=metric,
        method=run.method,
        is_primary=metric == run.task.primary_metric,
        higher_is_better=SCORES[metric].higher_is_better,
        estimate=estimate,
        sd=0.01 if len(known) > 1 else None,
        num_seeds=len(known),
        num_planned=len(own),
        num_failed=len(own) - len(known),
        seeds=tuple(
            SeedScore(
                seed=one.seed,
                value=values[one.seed],
                state="failed" if values[one.seed] is None else "done",
                reason="",
                flags="",
                job=one.evaluate.id,
                train_job=one.train.id,
            )
            for one in own
        ),
        expected=None if band is None else Expected(low=band.low, high=band.high, is_inside=inside),
    )


def parameters_of(run: RunCell) -> int:
    return 900_000 if run.method == "full" else 1_000


def train_s_of(run: RunCell) -> float:
    return 100.0 if run.method == "full" else 60.0
