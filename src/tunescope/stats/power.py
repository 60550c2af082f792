"""What a study of so many seeds and examples can find: half-widths, smallest detectable differences, seeds needed.

Arms A and B, S seeds each, n examples; the difference is A - B, in the score's own unit (0.03 is 3 points of accuracy). With

    V      variance over seeds of one arm's score on this test set (`Assumptions.seed_sd` squared),
    rho    correlation over seeds of the two arms' scores, where seeds are paired,
    E      variance over examples of what the seeds agree on: 0 where n is unknown,

the crossed model of seeds x examples (`tunescope.stats.crossed`) has, for the designs in `DESIGNS`,

    paired           Var = 2 V (1 - rho) / S + E_diff / n        S - 1 degrees of freedom of the first term
    unpaired_seeds   Var = 2 V / S           + E_diff / n        2 (S - 1)
    unpaired         Var = 2 V / S           + 2 E_arm / n       2 (S - 1)

(Hillis, 2007, doi:10.1002/sim.2532, with the mean squares at their expectations.) The t distribution's df follow from both
terms by `tunescope.stats.crossed.effective_df`, n - 1 (2 (n - 1) for two example sets) being the second's. More seeds shrink
the first term only, so a test set can be too small for any number of seeds.

E comes from disagreement. A run of A and one of B differ in correctness on a share q of the examples, two seeds of one arm
on a share c; for accuracy E_diff = q - c and E_arm = p (1 - p) - c / 2. With c = 0 and one seed this is the variance of two
paired proportions (Connor, 1987, doi:10.2307/2531961), without its - difference^2, which matters little and errs on the
safe side. A difference d needs a share d that disagrees, so q is max(q, d) there. Card et al. (2020, arXiv:2010.06595) show
how often NLP studies lack power, and that q is what it hangs on.

A test's power is that of the noncentral t. `tunescope.stats.compare` calls a difference real only where the permutation
test over seeds says so too, and that cannot go below `smallest_p`; for few seeds its share is simulated.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Literal

import numpy as np

from tunescope.stats.crossed import effective_df
from tunescope.stats.spread import Spread, check_within
from tunescope.stats.t_power import equivalence_power, t_power, t_quantile

Design = Literal["paired", "unpaired_seeds", "unpaired"]
DESIGNS: dict[Design, str] = {
    "paired": "the same seeds and the same examples in both arms",
    "unpaired_seeds": "the same examples, other seeds",
    "unpaired": "other seeds and other examples of the same number",
}

SEED_SD = 0.02
"""Two points. MiniLM on MRPC, 3 seeds of `studies/real_small.yaml`: 2.1 (full), 2.0 (LoRA). BERT-large with a stable recipe,
25 seeds: about 0.8 (MRPC, F1) to 2.7 (RTE; Mosbach et al., 2021, arXiv:2006.04884). Large training sets vary less: measure it."""
SEED_CORRELATION = 0.0
"""No credit for shared seeds: data order is shared between methods, initial weights of an adapter and a full model are not."""
DISCORDANCE = 0.12
"""Share of examples that two methods get differently right: full and LoRA in those runs on MRPC, 12% (RTE near chance: 34%)."""
SEED_DISCORDANCE = 0.06
"""Share of examples that two seeds of one method get differently right. Those runs show 11% (full) and 9% (LoRA); half of
`DISCORDANCE` is assumed, which is the cautious side: more of the methods' disagreement would repeat with other seeds."""

MOST_SEEDS = 1000
"""The search for the seeds needed ends here."""
_SIMULATED_UP_TO = {"paired": 12, "unpaired_seeds": 7, "unpaired": 7}
"""Seeds up to which permutations are enumerated in a simulation; above, the permutation test is about as strong as t."""
_DRAWS = 4000
"""Simulated studies: power has a Monte Carlo error of 0.6 points at 80%, the smallest difference one of about 1%."""


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """What is not known before the runs; the defaults are this file's constants, each with its reason."""

    seed_sd: float = SEED_SD
    """Standard deviation over seeds of one arm's score on the study's test set, in the score's unit."""
    seed_correlation: float = SEED_CORRELATION
    """Correlation over seeds of the two arms' scores, in [-1, 1); counts where seeds are paired."""
    discordance: float = DISCORDANCE
    """Share of examples, in [0, 1], that a run of A and a run of B (same seed where paired) get differently right."""
    seed_discordance: float = SEED_DISCORDANCE
    """Share of examples, in [0, 1], that two seeds of one arm get differently right; 0 is the cautious end."""


@dataclass(frozen=True, kw_only=True)
class SeedsNeeded:
    """The least number of seeds per arm; where it is None no number is enough, and `reason` says why."""

    num_seeds: int | None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Power:
    """What a study of this size can find, all in the score's unit; None where it is not estimable, and `reason` says why."""

    design: Design
    num_seeds: int
    num_examples: int | None
    variance: float | None
    """Of the difference of the two arms' mean scores."""
    df: float | None
    """Of the t distribution; infinite where seeds do not vary."""
    half_width: float | None
    """Of the confidence interval of level 1 - alpha. With 3 seeds it may widen a little with n, as df falls to the seeds' own."""
    detectable_by_interval: float | None
    """The difference whose interval leaves out 0 with the target power (noncentral t alone)."""
    smallest_p: float | None
    """The least p-value that a permutation test over these seeds can give; None with one seed, where examples are the units."""
    detectable: float | None
    """The difference found with the target power when interval and permutation test must both say so."""
    seeds_to_detect: SeedsNeeded | None
    """Seeds that find a true difference of `margin`, both tests agreeing; None where no margin was given."""
    seeds_for_equivalence: SeedsNeeded | None
    """Seeds that show equivalence within `margin` where the true difference is 0; None where no margin was given."""
    reason: str = ""


def power(
    design: Design,
    *,
    num_seeds: int,
    num_examples: int | None,
    spread: Spread | None = None,
    assumptions: Assumptions | None = None,
    margin: float | None = None,
    alpha: float = 0.05,
    target: float = 0.8,
    family: int = 1,
) -> Power:
    """What S seeds per arm and n examples can find, and how many seeds `margin` would take.

    Where `seed_sd` is below what the seeds' disagreement alone makes of n examples, sqrt(swing c / (2 n)), it is raised to it.
    One seed: the interval is over examples and speaks of those two runs, not of the methods; so does `reason`.

    Args:
        design: What the arms share; see `DESIGNS`.
        num_seeds: S, per arm, 1 or more.
        num_examples: n, 2 or more; None where unknown: seeds are then the only source of variance.
        spread: What one example does to the score; needed where `num_examples` is given.
        assumptions: Variances and disagreements; None for this file's defaults.
        margin: A difference that matters, above 0, in the score's unit.
        alpha: Two-sided level of tests and of the interval; of each one-sided test of equivalence.
        target: Power asked for, between alpha and 1.
        family: Comparisons under Holm's correction: every test, not the interval, is held to alpha / family, Holm's first step.

    Raises:
        ValueError: If an argument is out of range, or examples come without a spread.
    """
    assumed = assumptions if assumptions is not None else Assumptions()
    _check(design, num_seeds, num_examples, spread, assumed, margin, alpha, target)
    whole, alpha = alpha, alpha / max(family, 1)
    model = _Model(design, num_examples, spread, assumed)
    needed = equivalent = None
    if margin is not None:
        needed = _seeds_needed(lambda seeds: _verdict_power(model, margin, seeds, alpha), model, target)
        equivalent = _seeds_needed(lambda seeds: _shows_equivalence(model, margin, seeds, alpha), model, target)
    variance, df = model.variance(num_seeds, 0.0)
    if not math.isfinite(variance):
        return Power(
            design=design, num_seeds=num_seeds, num_examples=num_examples, variance=None, df=None, half_width=None,
            detectable_by_interval=None, smallest_p=None, detectable=None, seeds_to_detect=needed,
            seeds_for_equivalence=equivalent, reason="one seed and no examples: nothing tells how far a score may stray",
        )  # fmt: skip
    scale = max(math.sqrt(variance), 1e-12)
    by_interval = _smallest(lambda d: _interval_power(model, d, num_seeds, alpha), 1e-7 * scale, 1e-7, target)
    detectable: float | None = by_interval
    reason = "one seed: the interval is over examples and speaks of these runs, not of the methods"
    least = None
    if num_seeds > 1:
        reason = ""
        least = smallest_p(num_seeds, design)
        if least > alpha:
            detectable = None
            enough = next(seeds for seeds in range(2, 100) if smallest_p(seeds, design) <= alpha)
            within = f" allow one as small as a family of {family} asks" if family > 1 else ""
            reason = f"{num_seeds} seeds allow no permutation p below {least:.3g}; {enough} would{within}"
        elif num_seeds <= _SIMULATED_UP_TO[design]:
            detectable = _smallest(lambda d: _verdict_power(model, d, num_seeds, alpha), by_interval, 1e-3, target)
    return Power(
        design=design, num_seeds=num_seeds, num_examples=num_examples, variance=variance, df=df,
        half_width=t_quantile(1.0 - whole / 2.0, df) * math.sqrt(variance), detectable_by_interval=by_interval,
        smallest_p=least, detectable=detectable, seeds_to_detect=needed, seeds_for_equivalence=equivalent, reason=reason,
    )  # fmt: skip


def smallest_p(num_seeds: int, design: Design) -> float:
    """The least two-sided p of a permutation test over S seeds per arm: 2 / 2^S paired, 2 / C(2S, S) unpaired."""
    if num_seeds < 1:
        raise ValueError(f"smallest_p: num_seeds must be 1 or more, got {num_seeds}")
    return 2 / (2**num_seeds if design == "paired" else math.comb(2 * num_seeds, num_seeds))


@dataclass(frozen=True)
class _Model:
    design: Design
    num_examples: int | None
    spread: Spread | None
    assumed: Assumptions

    def seed_variance(self) -> float:
        """Of the difference of one seed's scores (paired), or of one score of each arm."""
        variance = self.assumed.seed_sd**2
        if self.num_examples is not None and self.spread is not None:
            least = self.spread.swing * self.assumed.seed_discordance / (2.0 * self.num_examples)
            variance = max(variance, least)
        return 2.0 * variance * (1.0 - self.assumed.seed_correlation if self.design == "paired" else 1.0)

    def example_variance(self, difference: float) -> float:
        """E / n: what no number of seeds removes."""
        if self.num_examples is None or self.spread is None:
            return 0.0
        between = self.assumed.seed_discordance
        if self.design == "unpaired":
            return 2.0 * max(self.spread.variance - self.spread.swing * between / 2.0, 0.0) / self.num_examples
        return self.spread.swing * max(self._discordance(difference) - between, 0.0) / self.num_examples

    def variance(self, num_seeds: int, difference: float) -> tuple[float, float]:
        """Variance of the difference and its df; infinite variance where nothing tells it."""
        if num_seeds == 1:
            if self.num_examples is None or self.spread is None:
                return math.inf, 1.0
            if self.design == "unpaired":
                return 2.0 * self.spread.variance / self.num_examples, 2.0 * (self.num_examples - 1)
            return self.spread.swing * self._discordance(difference) / self.num_examples, self.num_examples - 1.0
        seeds, examples = self.seed_variance() / num_seeds, self.example_variance(difference)
        if seeds + examples == 0.0:
            return 0.0, math.inf
        return seeds + examples, _df(seeds, self.seeds_df(num_seeds), examples, self.examples_df())

    def seeds_df(self, num_seeds: int) -> int:
        return (num_seeds - 1) * (1 if self.design == "paired" else 2)

    def examples_df(self) -> int:
        return ((self.num_examples or 2) - 1) * (2 if self.design == "unpaired" else 1)

    def _discordance(self, difference: float) -> float:
        assert self.spread is not None
        return max(self.assumed.discordance, min(abs(difference) / self.spread.tilt, 1.0))


@lru_cache(maxsize=4096)
def _df(seeds: float, seeds_df: int, examples: float, examples_df: int) -> float:
    """`effective_df` of numbers: a search over differences asks for the same ones again and again."""
    return float(effective_df(seeds, seeds_df, examples, examples_df))


def _interval_power(model: _Model, difference: float, num_seeds: int, alpha: float) -> float:
    variance, df = model.variance(num_seeds, difference)
    return t_power(difference, math.sqrt(variance), df, alpha)


def _shows_equivalence(model: _Model, margin: float, num_seeds: int, alpha: float) -> float:
    variance, df = model.variance(num_seeds, 0.0)
    return equivalence_power(margin, math.sqrt(variance), df, alpha)


def _verdict_power(model: _Model, difference: float, num_seeds: int, alpha: float) -> float:
    """Power where t and permutation test must agree; 0 where the latter cannot reach alpha."""
    if num_seeds > _SIMULATED_UP_TO[model.design]:
        return _interval_power(model, difference, num_seeds, alpha)
    if smallest_p(num_seeds, model.design) > alpha:
        return 0.0
    if model.variance(num_seeds, difference)[0] == 0.0:
        return 1.0 if difference != 0.0 else 0.0
    return _simulated_power(model, difference, num_seeds, alpha)


def _simulated_power(model: _Model, difference: float, num_seeds: int, alpha: float) -> float:
    """Share of simulated normal studies in which crossed t and permutation test both reach alpha; the same draws each call."""
    rng = np.random.default_rng(20_100_6595)
    per_seed, examples = model.seed_variance(), model.example_variance(difference)
    shift = difference + math.sqrt(examples) * rng.standard_normal(_DRAWS)
    arms = 1 if model.design == "paired" else 2
    scores = rng.standard_normal((_DRAWS, arms, num_seeds)) * math.sqrt(per_seed / arms)
    scores[:, 0] += shift[:, None]
    means = scores.mean(axis=2)
    estimate = means[:, 0] - (means[:, 1] if arms == 2 else 0.0)
    parts = scores.var(axis=2, ddof=1) / num_seeds
    seeds = parts.sum(axis=1)
    squares = (parts**2).sum(axis=1) / (num_seeds - 1)
    seeds_df = np.divide(seeds**2, squares, out=np.ones_like(seeds), where=squares > 0.0)
    significant = np.abs(estimate) >= _half_widths(seeds, seeds_df, examples, model.examples_df(), alpha)
    kept = scores[significant].reshape(-1, arms * num_seeds)
    regrouped = np.abs(kept @ _regroupings(num_seeds, arms).T)  # the first column is the grouping as observed
    p = (regrouped >= regrouped[:, :1] * (1.0 - 1e-12)).mean(axis=1)
    return float((p <= alpha).sum() / _DRAWS)


def _half_widths(
    seeds: np.ndarray, seeds_df: np.ndarray, examples: float, examples_df: int, alpha: float
) -> np.ndarray:
    """Of crossed intervals, as `effective_df` defines them, without solving for its df."""
    from scipy.special import stdtrit

    variance = seeds + examples
    df = variance**2 / (seeds**2 / seeds_df + examples**2 / examples_df)
    hajek = seeds * stdtrit(seeds_df, 1.0 - alpha / 2.0) ** 2 + examples * stdtrit(examples_df, 1.0 - alpha / 2.0) ** 2
    widths: np.ndarray = (stdtrit(df, 1.0 - alpha / 2.0) * np.sqrt(variance) + np.sqrt(hajek)) / 2.0
    return widths


def _regroupings(num_seeds: int, arms: int) -> np.ndarray:
    """Signs of all sign flips (one arm) or relabellings (two), each up to an overall sign."""
    if arms == 1:
        flips = np.arange(2 ** (num_seeds - 1))[:, None] >> np.arange(num_seeds) & 1
        return 1.0 - 2.0 * flips
    chosen = [(0, *rest) for rest in combinations(range(1, 2 * num_seeds), num_seeds - 1)]
    signs = np.full((len(chosen), 2 * num_seeds), -1.0)
    np.put_along_axis(signs, np.asarray(chosen), 1.0, axis=1)
    return signs


def _seeds_needed(reached: Callable[[int], float], model: _Model, target: float) -> SeedsNeeded:
    """The least S of 2 or more with the power asked for."""
    if reached(10**9) < target:
        reason = f"{model.num_examples} examples leave too much uncertainty, whatever the number of seeds"
        return SeedsNeeded(num_seeds=None, reason=reason)
    if reached(MOST_SEEDS) < target:
        return SeedsNeeded(num_seeds=None, reason=f"more than {MOST_SEEDS} seeds")
    simulated = _SIMULATED_UP_TO[model.design]
    for seeds in range(2, simulated + 1):
        if reached(seeds) >= target:
            return SeedsNeeded(num_seeds=seeds)
    low, high = simulated, MOST_SEEDS  # power grows with seeds
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) >= target else (middle, high)
    return SeedsNeeded(num_seeds=high)


def _smallest(reached: Callable[[float], float], least: float, tolerance: float, target: float) -> float:
    """The least difference, no smaller than `least`, with the power asked for, by bisection to a relative tolerance."""
    low = high = least
    while reached(high) < target:
        low, high = high, 2.0 * high
    while high - low > tolerance * high:
        middle = (low + high) / 2.0
        low, high = (low, middle) if reached(middle) >= target else (middle, high)
    return high


def _check(
    design: str, num_seeds: int, num_examples: int | None, spread: Spread | None, assumed: Assumptions,
    margin: float | None, alpha: float, target: float,
) -> None:  # fmt: skip
    if design not in DESIGNS:
        raise ValueError(f"power: design must be one of {', '.join(DESIGNS)}, got {design!r}")
    if num_seeds < 1:
        raise ValueError(f"power: num_seeds must be 1 or more, got {num_seeds}")
    if num_examples is not None and num_examples < 2:
        raise ValueError(f"power: num_examples must be 2 or more, or None where unknown, got {num_examples}")
    if num_examples is not None and spread is None:
        raise ValueError("power: num_examples needs a spread; accuracy_spread(0.85) makes one")
    if not (assumed.seed_sd >= 0.0 and math.isfinite(assumed.seed_sd)):
        raise ValueError(f"power: seed_sd must be finite and not negative, got {assumed.seed_sd}")
    check_within("seed_correlation", assumed.seed_correlation, -1.0, 1.0)
    check_within("discordance", assumed.discordance, 0.0, 1.0)
    check_within("seed_discordance", assumed.seed_discordance, 0.0, 1.0)
    if margin is not None and not (margin > 0.0 and math.isfinite(margin)):
        raise ValueError(f"power: margin must be finite and above 0, got {margin}")
    if not 0.0 < alpha < target < 1.0:
        raise ValueError(f"power: 0 < alpha < target < 1 must hold, got alpha {alpha} and target {target}")
