"""Two methods' rows of one task and metric -> the difference and its test, by the best way that the rows allow.

| what the rows hold | interval | test |
|---|---|---|
| answers by example, one seed each, all 0 or 1 | Newcombe, paired | McNemar, exact |
| answers by example, one seed each, graded | paired t over examples | the same |
| answers by example, several seeds | `stats.compare.compare`: seeds and examples | the same |
| several seeds, shares of num_examples | `stats.share_scores`: seeds, and examples at most | larger p of that t and permutations |
| several seeds | `stats.compare.compare_scores`: seeds, of these very examples | the same |
| one seed each, share of num_examples | Newcombe, independent | Fisher, exact; and what pairing could change |
| anything less; a seed without a score; one seed against several | none | none: not estimable, with its reason |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from tunescope.analysis.tables.scores_file import ScoreRow
from tunescope.stats.arm import Arm
from tunescope.stats.compare import Comparison, compare, compare_scores
from tunescope.stats.components import score_of_means
from tunescope.stats.crossed import crossed_interval, crossed_mean
from tunescope.stats.estimate import Estimate, TestResult
from tunescope.stats.mcnemar import mcnemar
from tunescope.stats.proportions import (
    PairingBounds,
    paired_proportion_difference,
    pairing_bounds,
    proportion,
    proportion_difference,
    proportion_test,
)
from tunescope.stats.share_scores import share_interval

Units = Literal["examples", "seeds", "seeds and examples", ""]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the rows of two methods say of their difference, first minus second."""

    difference: Estimate
    test: TestResult
    units: Units
    """What the interval is over; empty where there is none."""
    pairing: PairingBounds | None = None
    """Where the test took the answers for independent, and both may have answered the same examples."""


def scored(rows: Sequence[ScoreRow]) -> list[ScoreRow]:
    """Those rows that hold a score."""
    return [row for row in rows if row.value is not None]


def _lost(rows: Sequence[ScoreRow]) -> list[ScoreRow]:
    return [row for row in rows if row.value is None]


def mean_of(rows: Sequence[ScoreRow]) -> float:
    """The mean of rows that hold a score, one or more."""
    return float(np.mean([row.value for row in rows if row.value is not None]))


def mean_score(rows: Sequence[ScoreRow], *, level: float) -> Estimate:
    """A method's mean over its seeds, with the interval that its rows allow.

    Args:
        rows: All rows of one method, task and metric.
        level: Share of such intervals that hold the true mean.
    """
    found = scored(rows)
    if not found:
        return Estimate(value=None, level=level, reason=_why_none(rows))
    without = _lost(rows)
    lost = f"{len(without)} of {len(rows)} seeds without a score ({_why_none(without)})" if without else ""
    first = found[0]
    if len(found) == 1 and first.num_examples is not None and _is_share(first):
        estimate = replace(proportion(_num_correct(first), first.num_examples, level=level), value=first.value)
    elif all(row.by_example is not None for row in found):
        estimate = replace(crossed_mean(_answers(found), level=level).estimate, method=_CROSSED)
    elif len(found) > 1:
        estimate = _over_seeds_alone(found, level)
    else:
        estimate = Estimate(
            value=first.value, level=level, reason="one score: neither seeds nor examples give it an interval"
        )
    reason = "; ".join(part for part in (lost, estimate.reason) if part)
    return replace(estimate, num_seeds=len(found), num_examples=first.num_examples, reason=reason)


def evidence(rows_a: Sequence[ScoreRow], rows_b: Sequence[ScoreRow], *, level: float) -> Evidence:
    """The difference of two methods, a - b, and the test that there is none.

    Args:
        rows_a: All rows of the first method for one task and metric.
        rows_b: Those of the second for the same.
        level: Share of such intervals that hold the true difference.
    """
    a, b = scored(rows_a), scored(rows_b)
    for rows, found in ((rows_a, a), (rows_b, b)):
        if not found:
            return _nothing(f"{rows[0].method}: {_why_none(rows)}", None, level)
    for rows, found in ((rows_a, a), (rows_b, b)):
        if len(found) < len(rows):
            lost = f"{len(rows) - len(found)} of {len(rows)} seeds of {rows[0].method} without a score"
            return _nothing(f"{lost} ({_why_none(_lost(rows))}), and fewer runs are no smaller sample", None, level)
    if min(len(a), len(b)) == 1 < max(len(a), len(b)):
        one, several = (a, b) if len(a) == 1 else (b, a)
        told = f"one seed of {one[0].method} against {len(several)} of {several[0].method}"
        reason = f"{told}: nothing shows how far another seed of {one[0].method} would score"
        return _nothing(reason, mean_of(a) - mean_of(b), level)
    if all(row.by_example is not None for row in (*a, *b)):
        return _by_example(a, b, level)
    if len(a) == len(b) == 1:
        if a[0].num_examples is not None and b[0].num_examples is not None:
            return _from_counts(a[0], b[0], level)
        reason = "one score each and no num_examples: nothing tells a difference from noise"
        return _nothing(reason, mean_of(a) - mean_of(b), level)
    return _by_seed(a, b, level)


def _from_counts(a: ScoreRow, b: ScoreRow, level: float) -> Evidence:
    assert a.num_examples is not None
    assert b.num_examples is not None
    right_a, right_b = _num_correct(a), _num_correct(b)
    counts = (right_a, a.num_examples, right_b, b.num_examples)
    return Evidence(
        difference=proportion_difference(*counts, level=level),
        test=proportion_test(*counts),
        units="examples",
        pairing=pairing_bounds(right_a, right_b, a.num_examples) if a.num_examples == b.num_examples else None,
    )


def _by_example(a: Sequence[ScoreRow], b: Sequence[ScoreRow], level: float) -> Evidence:
    arm_a, arm_b = _arm(a), _arm(b)
    if len(a) == len(b) == 1 and _is_share(a[0]) and _is_share(b[0]):
        table = mcnemar(arm_a.components[0, :, 0], arm_b.components[0, :, 0])
        cells = (table.num_both, table.num_only_a, table.num_only_b, table.num_neither)
        return Evidence(difference=paired_proportion_difference(*cells, level=level), test=table.test, units="examples")
    if len(a) == len(b) == 1:
        return _graded(arm_a, arm_b, level)
    found = compare(
        arm_a,
        arm_b,
        score_of_means("mean"),
        paired_by_seed=_same_seeds(a, b),
        level=level,
        num_resamples=_NO_BOOTSTRAP,
    )
    return _of(found, _CROSSED, "seeds and examples")


def _graded(a: Arm, b: Arm, level: float) -> Evidence:
    """Paired t over examples: permuting thousands of them for every pair of a long list would take hours."""
    found = crossed_interval(
        a.components[:, :, 0], b.components[:, :, 0], paired_by_seed=True, same_examples=True, level=level
    )
    method = "paired t over examples"
    estimate, reason = found.estimate, found.estimate.reason
    if found.p_value is None and np.array_equal(a.components, b.components):
        test = TestResult(p_value=1.0, method=method, num_units=len(a.example_ids))
    else:
        test = TestResult(p_value=found.p_value, method=method, num_units=len(a.example_ids), reason=reason)
    has_interval = estimate.ci_low is not None
    return Evidence(
        difference=replace(estimate, method=f"{method} interval" if has_interval else ""),
        test=test,
        units="examples" if test.p_value is not None else "",
    )


def _by_seed(a: Sequence[ScoreRow], b: Sequence[ScoreRow], level: float) -> Evidence:
    is_paired = _same_seeds(a, b)
    values_a, values_b = ([row.value for row in sorted(rows, key=_seed) if row.value is not None] for rows in (a, b))
    found = compare_scores(values_a, values_b, paired=is_paired, level=level, num_resamples=_NO_BOOTSTRAP)
    counts = [{row.num_examples for row in rows} for rows in (a, b)]
    if all(len(known) == 1 and None not in known for known in counts):
        sizes = (a[0].num_examples or 0, b[0].num_examples or 0)
        over_both = share_interval(
            np.array(values_a), np.array(values_b), num_examples=sizes, paired=is_paired, level=level
        )
        assert over_both.p_value is not None
        assert found.permutation.p_value is not None
        p_value = max(over_both.p_value, found.permutation.p_value)
        told = replace(found, difference=over_both.estimate, p_value=p_value, reason="")
        return _of(told, _WITH_BINOMIAL, "seeds and examples")
    return _of(found, "t interval over seeds, paired" if is_paired else "Welch's t interval over seeds", "seeds")


def _of(found: Comparison, method: str, units: Units) -> Evidence:
    """What `compare` found: the larger p of its two tests."""
    has_interval = found.difference.ci_low is not None
    return Evidence(
        difference=replace(found.difference, method=method if has_interval else ""),
        test=TestResult(
            p_value=found.p_value,
            smallest_p=found.permutation.smallest_p,
            method=f"the larger p of t and {found.permutation.method}" if found.p_value is not None else "",
            num_units=found.permutation.num_units,
            reason=found.reason,
        ),
        units=units if found.p_value is not None else "",
    )


def _over_seeds_alone(rows: Sequence[ScoreRow], level: float) -> Estimate:
    from scipy.special import stdtrit

    values = np.array([row.value for row in rows], dtype=np.float64)
    mean, spread = float(values.mean()), float(values.std(ddof=1))
    if np.ptp(values) == 0.0:
        return Estimate(value=float(values[0]), level=level, reason=f"all {len(values)} seeds score the same")
    reach = float(stdtrit(len(values) - 1, 0.5 + level / 2)) * spread / len(values) ** 0.5
    return Estimate(value=mean, ci_low=mean - reach, ci_high=mean + reach, level=level, method="t over seeds")


_WITH_BINOMIAL = "t over seeds, with the binomial variance of examples added (answers taken for independent)"
_CROSSED = "t of the crossed model over seeds and examples"
_NO_BOOTSTRAP = 100
"""The least that `compare` takes: its bootstrap interval is not used here."""


def _same_seeds(a: Sequence[ScoreRow], b: Sequence[ScoreRow]) -> bool:
    return {row.seed for row in a} == {row.seed for row in b}


def _seed(row: ScoreRow) -> int:
    return 0 if row.seed is None else row.seed


def _arm(rows: Sequence[ScoreRow]) -> Arm:
    assert rows[0].by_example is not None
    return Arm(
        seeds=tuple(_seed(row) for row in rows),
        example_ids=tuple(sorted(rows[0].by_example)),
        components=_answers(rows)[:, :, None],
    )


def _answers(rows: Sequence[ScoreRow]) -> np.ndarray:
    """(S, n) what each seed scored on each example, in rising order of ids."""
    answers = [row.by_example for row in rows if row.by_example is not None]
    return np.array([[one[example] for example in sorted(answers[0])] for one in answers], dtype=np.float64)


def _why_none(rows: Sequence[ScoreRow]) -> str:
    return "; ".join(dict.fromkeys(row.reason for row in rows))


def _nothing(reason: str, difference: float | None, level: float) -> Evidence:
    return Evidence(
        difference=Estimate(value=difference, level=level, reason=reason),
        test=TestResult(p_value=None, reason=reason),
        units="",
    )


def _num_correct(row: ScoreRow) -> int:
    assert row.value is not None
    assert row.num_examples is not None
    return round(row.value * row.num_examples)


def _is_share(row: ScoreRow) -> bool:
    """Whether the score is so many right answers of so many, as far as the row shows."""
    return row.by_example is None or all(value in (0.0, 1.0) for value in row.by_example.values())
