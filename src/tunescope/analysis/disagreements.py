"""A plan and a store -> the examples that methods answer differently, with their texts and what each run said."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from tunescope.analysis.arms import PREDICTIONS_NAME
from tunescope.analysis.collect import state_of, state_of_run
from tunescope.store import Store
from tunescope.study.example_jobs import EXAMPLES_NAME, TEXT_PREFIX
from tunescope.study.plan import Plan, RunCell
from tunescope.tasks.spec import TaskSpec
from tunescope.tasks.squad import exact_match, token_f1

MOST_EXAMPLES = 200
"""Per base model and task."""
MOST_CHARACTERS = 2_000
"""Of each text; whole in the artifact."""

ScoreName = Literal["share right", "token F1", "absolute error"]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one run said of one example."""

    method: str
    seed: int
    answer: str
    """The label's name, the number, or the text; empty for no answer."""
    score: float
    """As `Disagreements.score_name` says."""
    is_right: bool | None
    """None for numbers, where that is a matter of degree. Of a question: the exact match."""
    job: str
    """Id of the evaluation."""


@dataclass(frozen=True, kw_only=True)
class Disagreement:
    """One example, and what the runs said of it."""

    id: str
    texts: tuple[tuple[str, str], ...]
    """Column -> text, cut to `MOST_CHARACTERS`; empty where the texts are not in the store."""
    is_cut: bool
    """Whether a text was cut."""
    target: str
    """Accepted answers are joined by ' | '; empty for a question without an answer."""
    answers: tuple[Answer, ...]
    """Methods in the study's order, seeds in theirs."""
    mean_scores: dict[str, float]
    """Method -> mean of `Answer.score` over its seeds."""
    gap: float
    """Largest minus smallest of `mean_scores`."""


@dataclass(frozen=True, kw_only=True)
class Disagreements:
    """Where the methods part on one task under one base model."""

    base_model: str
    task: str
    score_name: ScoreName
    """What `score` and `mean_scores` are: 1.0 or 0.0 for a label; lower is better for an absolute error."""
    num_examples: int
    """Scored by every finished run."""
    num_differing: int
    """Examples whose answers are not all alike."""
    num_runs: int
    """Finished ones that take part."""
    examples: tuple[Disagreement, ...]
    """At most `MOST_EXAMPLES`: those with the largest gap between methods first."""
    reason: str
    """Why there are none, or why there are no texts; empty where nothing is to be said."""
    job: str
    """Id of the job that keeps the texts; empty where the plan has none."""


def collect_disagreements(plan: Plan, store: Store) -> list[Disagreements]:
    """Each task under each base model, in the study's order; without examples where fewer than two methods have a finished run."""
    found = []
    for model in plan.study.base_models:
        for task in plan.study.tasks:
            runs = [
                run
                for run in plan.runs
                if (run.base_model, run.task.name) == (model.name, task.name) and state_of_run(run, store)[0] == "done"
            ]
            found.append(_disagreements(plan, store, model.name, task, runs))
    return found


def without_texts(found: Disagreements) -> Disagreements:
    """The same without a text of the data, for a report that goes further than the data may: of questions, whose answers are
    texts too, the counts alone."""
    kept = () if found.score_name == "token F1" else found.examples
    return replace(
        found,
        examples=tuple(replace(example, texts=(), is_cut=False) for example in kept),
        reason="texts are left out of this report",
    )


@dataclass(frozen=True)
class _Said:
    """One run's answers, in the order of its examples."""

    run: RunCell
    ids: tuple[str, ...]
    targets: tuple[Any, ...]
    answers: tuple[str, ...]
    scores: tuple[float, ...]
    is_right: tuple[bool | None, ...]


def _disagreements(plan: Plan, store: Store, base_model: str, task: TaskSpec, runs: Sequence[RunCell]) -> Disagreements:
    kept = plan.examples.get(task.name)
    job = "" if kept is None else kept.id
    if len({run.method for run in runs}) < 2:
        return _none(base_model, task, len(runs), job, "fewer than two methods have a finished run")
    said = [_said(run, store, task) for run in runs]
    if any(one.ids != said[0].ids for one in said):
        return _none(base_model, task, len(runs), job, "the runs were scored on different examples")
    methods = list(dict.fromkeys(run.method for run in runs))
    means = {method: _means([one.scores for one in said if one.run.method == method]) for method in methods}
    gaps = [max(row) - min(row) for row in zip(*means.values(), strict=True)]
    kinds = [len(set(row)) for row in zip(*(one.answers for one in said), strict=True)]
    differing = [place for place, (gap, num) in enumerate(zip(gaps, kinds, strict=True)) if gap > 0.0 or num > 1]
    first = sorted(differing, key=lambda place: (-gaps[place], -kinds[place], place))[:MOST_EXAMPLES]
    texts, reason = _texts(plan, store, task, {said[0].ids[place] for place in first})
    return Disagreements(
        base_model=base_model,
        task=task.name,
        score_name=_score_name(task),
        num_examples=len(said[0].ids),
        num_differing=len(differing),
        num_runs=len(runs),
        examples=tuple(_example(place, said, means, gaps[place], texts) for place in first),
        reason=reason,
        job=job,
    )


def _example(
    place: int,
    said: Sequence[_Said],
    means: dict[str, tuple[float, ...]],
    gap: float,
    texts: dict[str, tuple[tuple[str, str], ...]],
) -> Disagreement:
    id_, target = said[0].ids[place], said[0].targets[place]
    own = texts.get(id_, ())
    return Disagreement(
        id=id_,
        texts=tuple((column, text[:MOST_CHARACTERS]) for column, text in own),
        is_cut=any(len(text) > MOST_CHARACTERS for _, text in own),
        target=_shown(target),
        answers=tuple(
            Answer(
                method=one.run.method,
                seed=one.run.seed,
                answer=one.answers[place][:MOST_CHARACTERS],
                score=one.scores[place],
                is_right=one.is_right[place],
                job=one.run.evaluate.id,
            )
            for one in said
        ),
        mean_scores={method: scores[place] for method, scores in means.items()},
        gap=gap,
    )


def _said(run: RunCell, store: Store, task: TaskSpec) -> _Said:
    import pyarrow.parquet as pq

    folder = store.read_from(run.evaluate.kind, run.evaluate.id, PREDICTIONS_NAME)
    table = pq.read_table(folder / PREDICTIONS_NAME, columns=["id", "target", "prediction"])
    targets, predicted = table["target"].to_pylist(), table["prediction"].to_pylist()
    is_right: tuple[bool | None, ...]
    if task.kind == "question_answering":
        pairs = [(tuple(gold), str(answer)) for gold, answer in zip(targets, predicted, strict=True)]
        scores = tuple(token_f1(gold, answer) for gold, answer in pairs)
        is_right = tuple(exact_match(gold, answer) == 1.0 for gold, answer in pairs)
    elif task.kind == "regression":
        scores = tuple(abs(guess - target) for guess, target in zip(predicted, targets, strict=True))
        is_right = (None,) * len(scores)
    else:
        is_right = tuple(guess == target for guess, target in zip(predicted, targets, strict=True))
        scores = tuple(float(bool(one)) for one in is_right)
    return _Said(
        run=run,
        ids=tuple(str(value) for value in table["id"].to_pylist()),
        targets=tuple(targets),
        answers=tuple(_shown(value) for value in predicted),
        scores=scores,
        is_right=is_right,
    )


def _texts(
    plan: Plan, store: Store, task: TaskSpec, ids: set[str]
) -> tuple[dict[str, tuple[tuple[str, str], ...]], str]:
    """Id -> its texts, of these examples; and why there are none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    job = plan.examples.get(task.name)
    if job is None:
        return {}, "the plan keeps no texts"
    state, reason = state_of(job, store, EXAMPLES_NAME)
    if state != "done":
        return {}, f"their texts are not in the store: {reason}"
    table = pq.read_table(store.read_from(job.kind, job.id, EXAMPLES_NAME) / EXAMPLES_NAME)
    columns = [name for name in table.column_names if name.startswith(TEXT_PREFIX)]
    places = [place for place, id_ in enumerate(table["id"].to_pylist()) if id_ in ids]
    chosen = table.take(pa.array(places, pa.int64())).to_pylist()
    return {
        row["id"]: tuple((column.removeprefix(TEXT_PREFIX), row[column]) for column in columns) for row in chosen
    }, ""


def _none(base_model: str, task: TaskSpec, num_runs: int, job: str, reason: str) -> Disagreements:
    return Disagreements(
        base_model=base_model,
        task=task.name,
        score_name=_score_name(task),
        num_examples=0,
        num_differing=0,
        num_runs=num_runs,
        examples=(),
        reason=reason,
        job=job,
    )


def _score_name(task: TaskSpec) -> ScoreName:
    if task.kind == "classification":
        return "share right"
    return "token F1" if task.kind == "question_answering" else "absolute error"


def _means(scores: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    return tuple(math.fsum(row) / len(row) for row in zip(*scores, strict=True))


def _shown(value: Any) -> str:
    """A label's name, a number to six digits, a text, or a question's accepted answers, each once."""
    if isinstance(value, list):
        return " | ".join(dict.fromkeys(str(one) for one in value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
