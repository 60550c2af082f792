"""Two arms -> one comparison: the difference with its interval, tests, effect sizes, and what a study claims of it.

A difference is called real only where two tests agree that it is: a permutation test over seeds, which assumes no
distribution, and the crossed model's t, which knows of the choice of examples as well. `p_value` is the larger of both, so it
rejects no more often than either, and three paired seeds, whose permutations allow no p below 0.25, never call one real.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tunescope.stats.arm import Arm, aligned
from tunescope.stats.bootstrap import bca, hierarchical_bootstrap
from tunescope.stats.checks import check_share, finite_vector
from tunescope.stats.claim import Claim, margin_test, ratio_claim_test
from tunescope.stats.components import ScoreOfMeans
from tunescope.stats.crossed import Crossed, crossed_interval, seed_interval
from tunescope.stats.effect_size import effect_size, paired_effect_size
from tunescope.stats.equivalence import MarginTest
from tunescope.stats.estimate import Estimate, TestResult
from tunescope.stats.mcnemar import McNemar, mcnemar
from tunescope.stats.permutation import label_permutation_test, sign_flip_test
from tunescope.stats.superiority import paired_probability_better, probability_better

LEAST_SEEDS_FOR_BCA = 8
"""Below it, BCa over seeds is too short; t is not."""
_ROUNDING = 1e-12
"""Differences below this share of the scores are ties."""
_ALIKE = "both arms score alike on every example"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All there is to say of A against B on one score; what cannot be said is None or not estimable, with its reason."""

    difference: Estimate
    """A - B, mean over seeds, with the crossed model's t interval (over seeds only, where examples are unknown)."""
    bootstrap: Estimate
    """The same with a bootstrap interval, a second opinion: hierarchical, or BCa where there is one level only."""
    permutation: TestResult
    """Its units are seeds; with one seed per arm, examples."""
    p_interval: float | None
    """Two-sided, of the crossed model's t."""
    p_value: float | None
    """The larger of the two p-values."""
    effect_size: Estimate
    """Hedges' g of A - B in units of the spread between seeds."""
    probability_better: Estimate
    """That A is better than B on a new seed."""
    claim: Claim | None = None
    claim_test: MarginTest | None = None
    mcnemar: Mapping[int, McNemar] = field(default_factory=dict)
    """By seed, where both arms are right or wrong on the same examples."""
    crossed: Crossed | None = None
    """Standard error, df and where the variance comes from."""
    a_scores: tuple[float, ...] = ()
    """Per seed, in rising order of seeds (as given, for `compare_scores`)."""
    b_scores: tuple[float, ...] = ()
    paired_by_seed: bool
    higher_is_better: bool
    num_seeds: tuple[int, int]
    """Of A and of B."""
    num_examples: tuple[int, int] | None
    """Of A and of B; None where they are unknown."""
    reason: str = ""
    """Why there is no p-value, or what is odd about the data."""

    @property
    def is_estimable(self) -> bool:
        return self.difference.is_estimable


def compare(
    a: Arm,
    b: Arm,
    score: ScoreOfMeans,
    *,
    paired_by_seed: bool,
    same_examples: bool = True,
    claim: Claim | None = None,
    level: float = 0.95,
    num_resamples: int = 4999,
    seed: int = 0,
) -> Comparison:
    """Compares two methods from what they scored on every example, for every seed.

    Args:
        a: Arm A.
        b: Arm B.
        score: What combines components into a score.
        paired_by_seed: Whether a seed means the same in both arms. Both must then have the same seeds, in any order.
        same_examples: Whether both arms were scored on the same examples, matched by id, in any order.
        claim: What the study claims besides a difference; its test has alpha = 1 - level.
        level: Of all intervals.
        num_resamples: Of the bootstrap.
        seed: Of the bootstrap and of Monte Carlo permutations.

    Returns:
        Not estimable, with its reason, where the score is undefined (0/0) for a seed.

    Raises:
        ValueError: If seeds or examples do not match where they should, components do not fit, or level is not within 0
            and 1.
    """
    check_share("compare", "level", level)
    a, b = aligned(a, b, paired_by_seed=paired_by_seed, same_examples=same_examples)
    undefined = _undefined(a, b, score)
    num_seeds, num_examples = (len(a.seeds), len(b.seeds)), (len(a.example_ids), len(b.example_ids))
    if undefined:
        return not_comparable(
            undefined,
            paired_by_seed=paired_by_seed,
            higher_is_better=score.higher_is_better,
            num_seeds=num_seeds,
            num_examples=num_examples,
            claim=claim,
            level=level,
        )
    a_values, b_values = score.influence(a.components), score.influence(b.components)
    crossed = crossed_interval(
        a_values, b_values, paired_by_seed=paired_by_seed, same_examples=same_examples, level=level
    )
    if crossed.standard_error is None:
        bootstrap = crossed.estimate
    elif num_seeds == (1, 1) and same_examples and num_examples[0] > 1:
        bootstrap = _bca_of_examples(a, b, score, level, num_resamples, seed)
    else:
        bootstrap = hierarchical_bootstrap(
            a.components,
            b.components,
            score,
            paired_by_seed=paired_by_seed,
            same_examples=same_examples,
            level=level,
            num_resamples=num_resamples,
            seed=seed,
            crossed=crossed,
        )
    log_ratio: Crossed | str = ""
    if claim is not None and claim.is_ratio:
        logs = _log_influence(a_values), _log_influence(b_values)
        if logs[0] is None or logs[1] is None:
            log_ratio = "a ratio needs scores above 0 on every seed"
        else:
            log_ratio = crossed_interval(
                logs[0], logs[1], paired_by_seed=paired_by_seed, same_examples=same_examples, level=level
            )
    if num_seeds == (1, 1):
        permutation = _permute_examples(a_values[0], b_values[0], same_examples, seed)
    else:
        permutation = _permute_seeds(a_values.mean(axis=1), b_values.mean(axis=1), paired_by_seed, seed)
    comparison = _assemble(
        score.score(a.components),
        score.score(b.components),
        crossed,
        permutation,
        log_ratio,
        bootstrap=bootstrap,
        paired_by_seed=paired_by_seed,
        higher_is_better=score.higher_is_better,
        num_examples=num_examples,
        claim=claim,
        level=level,
    )
    tables = _mcnemar_by_seed(a, b, same_examples and (paired_by_seed or num_seeds == (1, 1)))
    alike = same_examples and (a_values == b_values[:1]).all() and (b_values == b_values[:1]).all()
    if alike or (paired_by_seed and same_examples and np.array_equal(a_values, b_values)):
        difference = replace(comparison.difference, reason=_ALIKE)
        comparison = replace(comparison, difference=difference, bootstrap=difference, reason=_ALIKE)
    return replace(comparison, mcnemar=tables)


def compare_scores(
    a: Sequence[float] | np.ndarray,
    b: Sequence[float] | np.ndarray,
    *,
    paired: bool,
    higher_is_better: bool = True,
    claim: Claim | None = None,
    level: float = 0.95,
    num_resamples: int = 4999,
    seed: int = 0,
) -> Comparison:
    """Compares two methods where only a score per seed is known.

    Args:
        a: (S_a,) scores of A.
        b: (S_b,) scores of B; of the same seeds in the same order where `paired`.
        paired: Whether a[s] and b[s] share a seed.
        higher_is_better: Of the score.
        claim: What the study claims besides a difference; its test has alpha = 1 - level.
        level: Of all intervals.
        num_resamples: Of the bootstrap, which is BCa over paired seeds, 8 or more.
        seed: Of the bootstrap and of Monte Carlo permutations.

    Returns:
        With one seed in an arm there is a difference and no interval, as nothing shows the spread.

    Raises:
        ValueError: If an arm is empty or not one row, a score is not finite, paired arms differ in length, or level is not
            within 0 and 1.
    """
    check_share("compare_scores", "level", level)
    a, b = finite_vector("compare_scores", "a", a), finite_vector("compare_scores", "b", b)
    crossed = seed_interval(a, b, paired=paired, level=level)
    if crossed.standard_error is not None and paired and len(a) >= LEAST_SEEDS_FOR_BCA:
        plain = bca((a - b)[:, None], lambda means: means[..., 0], level=level, num_resamples=num_resamples, seed=seed)
        bootstrap = replace(plain, num_seeds=len(a), num_examples=None)
    else:
        reason = (
            crossed.estimate.reason or f"no bootstrap over fewer than {LEAST_SEEDS_FOR_BCA} paired seeds: too short"
        )
        bootstrap = Estimate(value=crossed.estimate.value, level=level, num_seeds=min(len(a), len(b)), reason=reason)
    log_ratio: Crossed | str = "a ratio needs scores above 0 on every seed"
    if min(a.min(), b.min()) > 0.0:
        log_ratio = seed_interval(np.log(a), np.log(b), paired=paired, level=level)
    return _assemble(
        a,
        b,
        crossed,
        _permute_seeds(a, b, paired, seed),
        log_ratio,
        bootstrap=bootstrap,
        paired_by_seed=paired,
        higher_is_better=higher_is_better,
        num_examples=None,
        claim=claim,
        level=level,
    )


def not_comparable(
    reason: str,
    *,
    paired_by_seed: bool = False,
    higher_is_better: bool = True,
    num_seeds: tuple[int, int] = (0, 0),
    num_examples: tuple[int, int] | None = None,
    claim: Claim | None = None,
    level: float = 0.95,
) -> Comparison:
    """The comparison that cannot be made, as where an arm failed; everything in it is not estimable, for `reason`.

    Raises:
        ValueError: If reason is empty.
    """
    if not reason:
        raise ValueError("not_comparable: reason must say why")
    nothing = Estimate(value=None, level=level, reason=reason)
    test = None
    if claim is not None:
        test = MarginTest(p_value=None, estimate=None, level=2.0 * level - 1.0, claim=claim.kind, reason=reason)
    return Comparison(
        difference=nothing,
        bootstrap=nothing,
        permutation=TestResult(p_value=None, reason=reason),
        p_interval=None,
        p_value=None,
        effect_size=nothing,
        probability_better=nothing,
        claim=claim,
        claim_test=test,
        paired_by_seed=paired_by_seed,
        higher_is_better=higher_is_better,
        num_seeds=num_seeds,
        num_examples=num_examples,
        reason=reason,
    )


def _assemble(
    a_scores: np.ndarray,
    b_scores: np.ndarray,
    crossed: Crossed,
    permutation: TestResult,
    log_ratio: Crossed | str,
    *,
    bootstrap: Estimate,
    paired_by_seed: bool,
    higher_is_better: bool,
    num_examples: tuple[int, int] | None,
    claim: Claim | None,
    level: float,
) -> Comparison:
    sign, reason = (1.0 if higher_is_better else -1.0), crossed.estimate.reason
    p_interval = crossed.p_value
    if paired_by_seed:
        differences = _without_rounding(a_scores, b_scores)
        effect = paired_effect_size(differences, level=level)
        better = paired_probability_better(sign * differences, level=level)
    else:
        effect = effect_size(a_scores, b_scores, level=level)
        better = probability_better(sign * a_scores, sign * b_scores, level=level)
    spread_is_seen = num_examples is not None or min(len(a_scores), len(b_scores)) > 1
    if crossed.standard_error is None and spread_is_seen and not _without_rounding(a_scores.mean(), b_scores.mean()):
        p_interval = 1.0  # nothing varies, and nothing differs
    p_value = None
    if p_interval is not None and permutation.p_value is not None:
        p_value = max(p_interval, permutation.p_value)
    claim_test = None
    if claim is not None:
        alpha = round(1.0 - level, 12)
        if claim.is_ratio:
            claim_test = ratio_claim_test(claim, log_ratio, alpha=alpha)
        else:
            claim_test = margin_test(claim, crossed, higher_is_better=higher_is_better, alpha=alpha)
    return Comparison(
        difference=crossed.estimate,
        bootstrap=bootstrap,
        permutation=permutation,
        p_interval=p_interval,
        p_value=p_value,
        effect_size=effect,
        probability_better=better,
        claim=claim,
        claim_test=claim_test,
        crossed=crossed,
        a_scores=tuple(float(value) for value in a_scores),
        b_scores=tuple(float(value) for value in b_scores),
        paired_by_seed=paired_by_seed,
        higher_is_better=higher_is_better,
        num_seeds=(len(a_scores), len(b_scores)),
        num_examples=num_examples,
        reason=reason,
    )


def _permute_seeds(a_scores: np.ndarray, b_scores: np.ndarray, paired: bool, seed: int) -> TestResult:
    if paired:
        return sign_flip_test(_without_rounding(a_scores, b_scores), seed=seed)
    return label_permutation_test(a_scores, b_scores, seed=seed)


def _permute_examples(a_values: np.ndarray, b_values: np.ndarray, same_examples: bool, seed: int) -> TestResult:
    if same_examples:
        test = sign_flip_test(_without_rounding(a_values, b_values), seed=seed)
    else:
        test = label_permutation_test(a_values, b_values, seed=seed)
    return replace(test, method=f"{test.method} over examples (one seed per arm: says nothing of other seeds)")


def _without_rounding(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a - b, with 0 where they differ by rounding only."""
    differences = a - b
    size = max(float(np.abs(a).max()), float(np.abs(b).max()))
    return np.where(np.abs(differences) <= _ROUNDING * size, 0.0, differences)


def _bca_of_examples(a: Arm, b: Arm, score: ScoreOfMeans, level: float, num_resamples: int, seed: int) -> Estimate:
    k = a.components.shape[2]
    units = np.concatenate([a.components[0], b.components[0]], axis=1)

    def difference(means: np.ndarray) -> np.ndarray:
        return np.asarray(np.real(score.combine(means[..., :k]) - score.combine(means[..., k:])))

    estimate = bca(units, difference, level=level, num_resamples=num_resamples, seed=seed)
    return replace(estimate, num_seeds=1)


def _log_influence(values: np.ndarray) -> np.ndarray | None:
    """Influence on the log of each seed's score, log s + (h - s) / s; None where a score is not above 0."""
    scores = values.mean(axis=1, keepdims=True)
    if scores.min() <= 0.0:
        return None
    logs: np.ndarray = np.log(scores) + (values - scores) / scores
    return logs


def _mcnemar_by_seed(a: Arm, b: Arm, matched: bool) -> dict[int, McNemar]:
    if not matched or a.components.shape[2] != 1:
        return {}
    if not (np.isin(a.components, (0.0, 1.0)).all() and np.isin(b.components, (0.0, 1.0)).all()):
        return {}
    return {
        seed: mcnemar(row_a[:, 0], row_b[:, 0])
        for seed, row_a, row_b in zip(a.seeds, a.components, b.components, strict=True)
    }


def _undefined(a: Arm, b: Arm, score: ScoreOfMeans) -> str:
    for name, arm in (("A", a), ("B", b)):
        for seed, value in zip(arm.seeds, score.score(arm.components), strict=True):
            if not np.isfinite(value):
                return f"{score.name} is undefined (0/0) for seed {seed} of {name}"
    return ""
