"""A plan's hypotheses and a store -> comparisons with verdicts: seed by seed, example by example, Holm over the family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tunescope.analysis.arms import arm_of_runs, twins, why_missing
from tunescope.analysis.drift import drift_of
from tunescope.analysis.memory import NOT_ITS_OWN, training_memory
from tunescope.inference.example_scores import score_of
from tunescope.stats.arm import Arm
from tunescope.stats.claim import Claim
from tunescope.stats.compare import Comparison, compare, compare_scores, not_comparable
from tunescope.stats.verdict import Verdict, verdicts
from tunescope.store import Store
from tunescope.study.family import family, measure_on, places
from tunescope.study.hypothesis import DRIFT, RUN_MEASURES, Hypothesis
from tunescope.study.parity import unequal_budgets
from tunescope.study.plan import Plan, RunCell
from tunescope.tasks.spec import TaskSpec

if TYPE_CHECKING:
    import pyarrow as pa


Arms = dict[tuple[str, ...], Arm]
"""Score and evaluations -> what they scored: with m methods each is compared m - 1 times."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One hypothesis on one base model and task, and what came of it."""

    base_model: str
    task: str
    measure: str
    a: str
    b: str
    is_declared: bool
    """Whether the study names it; else it is exploratory."""
    comparison: Comparison
    verdict: Verdict
    caveat: str = ""
    """What besides the methods may make the difference: unequal tuning budgets that the study allows."""

    @property
    def a_mean(self) -> float | None:
        """Mean over seeds of A's scores; None where it is not estimable."""
        return float(np.mean(self.comparison.a_scores)) if self.comparison.a_scores else None

    @property
    def b_mean(self) -> float | None:
        """Mean over seeds of B's scores; None where it is not estimable."""
        return float(np.mean(self.comparison.b_scores)) if self.comparison.b_scores else None


def compare_study(plan: Plan, store: Store, *, alpha: float = 0.05) -> list[Compared]:
    """Every comparison of a study: its declared hypotheses, or where it has none, all pairs of methods by each primary score.

    The declared ones are one family for Holm's correction; undeclared ones are corrected among each other and marked.

    Args:
        plan: With the study.
        store: What has run; a run that is missing or failed makes its comparisons not estimable, with the reason.
        alpha: Chance, at most, of a false verdict in the family.
    """
    declared = bool(plan.study.compare)
    arms: Arms = {}
    caveat = unequal_budgets(plan.study)
    found: list[Compared] = []
    for hypothesis in family(plan.study):
        for model, task in places(plan.study, hypothesis):
            measure = measure_on(hypothesis, task)
            comparison = _comparison(plan, store, hypothesis, model, task, measure, arms)
            found.append(
                Compared(
                    base_model=model,
                    task=task.name,
                    measure=measure,
                    a=hypothesis.methods[0],
                    b=hypothesis.methods[1],
                    is_declared=declared,
                    comparison=comparison,
                    verdict=_UNJUDGED,
                    caveat=caveat,
                )
            )
    judged = verdicts([one.comparison for one in found], alpha=alpha)
    return [replace(one, verdict=verdict) for one, verdict in zip(found, judged, strict=True)]


def comparisons_as_table(found: Sequence[Compared]) -> pa.Table:
    """A row per comparison, in the measure's own unit; null where something is not estimable."""
    import pyarrow as pa

    kinds = {"str": pa.string(), "bool": pa.bool_(), "float": pa.float64(), "int": pa.int64()}
    schema = pa.schema([(name, kinds[kind]) for name, kind in _COLUMNS.items()])
    return pa.Table.from_pylist([_row(one) for one in found], schema=schema)


def _row(one: Compared) -> dict[str, Any]:
    comparison, verdict = one.comparison, one.verdict
    difference, test = comparison.difference, comparison.claim_test
    effect, better = comparison.effect_size, comparison.probability_better
    return {
        "base_model": one.base_model,
        "task": one.task,
        "measure": one.measure,
        "a": one.a,
        "b": one.b,
        "is_declared": one.is_declared,
        "a_mean": one.a_mean,
        "b_mean": one.b_mean,
        "difference": difference.value,
        "ci_low": difference.ci_low,
        "ci_high": difference.ci_high,
        "bootstrap_low": comparison.bootstrap.ci_low,
        "bootstrap_high": comparison.bootstrap.ci_high,
        "level": difference.level,
        "num_seeds": min(comparison.num_seeds),
        "num_examples": None if comparison.num_examples is None else min(comparison.num_examples),
        "p_permutation": comparison.permutation.p_value,
        "smallest_p": comparison.permutation.smallest_p,
        "p_interval": comparison.p_interval,
        "p_difference": comparison.p_value,
        "effect_size": effect.value,
        "effect_size_low": effect.ci_low,
        "effect_size_high": effect.ci_high,
        "probability_better": better.value,
        "probability_better_low": better.ci_low,
        "probability_better_high": better.ci_high,
        "mcnemar_p": "; ".join(
            f"seed {seed}: {table.test.p_value:.4g}"
            for seed, table in comparison.mcnemar.items()
            if table.test.p_value is not None
        ),
        "claim": None if test is None else test.claim,
        "p_claim": None if test is None else test.p_value,
        "p_value": verdict.p_value,
        "p_holm": verdict.adjusted_p,
        "verdict": verdict.answer,
        "sentence": verdict.sentence,
        "interval_method": difference.method,
        "reason": comparison.reason,
        "caveat": one.caveat,
    }


_TEXTS = (
    *("base_model", "task", "measure", "a", "b", "mcnemar_p", "claim", "verdict"),
    *("sentence", "interval_method", "reason", "caveat"),
)
_COLUMNS = {
    name: "str"
    if name in _TEXTS
    else "bool"
    if name == "is_declared"
    else "int"
    if name.startswith("num_")
    else "float"
    for name in (
        *(
            "base_model",
            "task",
            "measure",
            "a",
            "b",
            "is_declared",
            "a_mean",
            "b_mean",
            "difference",
            "ci_low",
            "ci_high",
        ),
        *("bootstrap_low", "bootstrap_high", "level", "num_seeds", "num_examples", "p_permutation", "smallest_p"),
        *("p_interval", "p_difference", "effect_size", "effect_size_low", "effect_size_high", "probability_better"),
        *("probability_better_low", "probability_better_high", "mcnemar_p", "claim", "p_claim", "p_value", "p_holm"),
        *("verdict", "sentence", "interval_method", "reason", "caveat"),
    )
}

_UNJUDGED = Verdict(answer="not estimable", p_value=None, adjusted_p=None, sentence="")


def _comparison(
    plan: Plan, store: Store, hypothesis: Hypothesis, model: str, task: TaskSpec, measure: str, arms_read: Arms
) -> Comparison:
    claim, paired = _claim(hypothesis), "seed" in hypothesis.paired_by
    runs = {
        method: [run for run in plan.runs if (run.base_model, run.task.name, run.method) == (model, task.name, method)]
        for method in hypothesis.methods
    }
    missing = [why_missing(run, store) for method in hypothesis.methods for run in runs[method]]
    reasons = [reason for reason in missing if reason]
    if reasons:
        told = f"{len(reasons)} of {len(missing)} runs are not there, the first: {reasons[0]}"
        return not_comparable(told, claim=claim, paired_by_seed=paired)
    first, second = (runs[method] for method in hypothesis.methods)
    alike = "" if measure in RUN_MEASURES and measure != DRIFT else twins(first, store) or twins(second, store)
    if alike:
        return not_comparable(alike, claim=claim, paired_by_seed=paired)
    if measure == DRIFT:
        drifts = [[drift_of(run, plan, store) for run in arm] for arm in (first, second)]
        reasons = [reason for arm in drifts for value, reason in arm if value is None]
        if reasons:
            told = f"{len(reasons)} of {len(missing)} runs have no drift, the first: {reasons[0]}"
            return not_comparable(told, claim=claim, higher_is_better=False)
        known = [[value for value, _ in arm if value is not None] for arm in drifts]
        return compare_scores(known[0], known[1], paired=paired, higher_is_better=False, claim=claim)
    if measure in RUN_MEASURES:
        values = [[_run_measure(run, store, measure) for run in arm] for arm in (first, second)]
        known = [[value for value in arm if value is not None] for arm in values]
        if known != values:
            why = NOT_ITS_OWN if measure == "peak_memory_gib" else "it was not recorded for every run"
            return not_comparable(f"{measure}: {why}", claim=claim, higher_is_better=False)
        return compare_scores(known[0], known[1], paired=paired, higher_is_better=False, claim=claim)
    score = score_of(task, measure)
    try:
        arms = [_read_once(arms_read, arm, store, task, measure) for arm in (first, second)]
    except ValueError as error:
        return not_comparable(str(error), claim=claim, paired_by_seed=paired, higher_is_better=score.higher_is_better)
    return compare(arms[0], arms[1], score, paired_by_seed=paired, claim=claim)


def _read_once(known: Arms, runs: Sequence[RunCell], store: Store, task: TaskSpec, measure: str) -> Arm:
    """A method's arm, from the family's other comparisons of it where one has read it."""
    place = (measure, *(run.evaluate.id for run in runs))
    if place not in known:
        known[place] = arm_of_runs(runs, store, task, measure)
    return known[place]


def _claim(hypothesis: Hypothesis) -> Claim | None:
    if hypothesis.within is not None:
        return Claim(kind="equivalent_within", bound=hypothesis.within)
    if hypothesis.not_worse_by is not None:
        return Claim(kind="not_worse_by", bound=hypothesis.not_worse_by)
    if hypothesis.lower_by is not None:
        return Claim(kind="ratio_below", bound=1.0 - hypothesis.lower_by)
    if hypothesis.higher_by is not None:
        return Claim(kind="ratio_above", bound=1.0 + hypothesis.higher_by)
    return None


def _run_measure(run: RunCell, store: Store, measure: str) -> float | None:
    record = store.record(run.train.kind, run.train.id)
    if measure == "peak_memory_gib":
        return training_memory(record)
    facts: dict[str, Any] = dict(record.facts)
    return float(facts[measure])
