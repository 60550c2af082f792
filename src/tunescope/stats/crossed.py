"""The variance of a difference A - B over seeds x examples, and a t interval from it that is honest at few seeds.

Legend: S seeds, n examples, D the difference of mean scores, y_si a value of seed s and example i (a score's influence
values, whose mean over i is seed s's score). A dot is a mean over that index.

Arms share seeds and examples. d_si = a_si - b_si = D + s_s + e_i + r_si, all random; mean squares over seeds, examples and
rest have expectations n V_s + V_r, S V_e + V_r and V_r, so that

    Var(D) = V_s / S + V_e / n + V_r / (S n),  estimated by  A + B,
    A = MS_seed / (S n) = var_s(d_s.) / S      df_A = S - 1        (between seeds; holds V_r / (S n) already)
    B = max(T - R, 0),  T = var_i(d_.i) / n,  R = MS_rest / (S n)  (what examples add to it)

which is the Obuchowski-Rockette-Hillis variance of multi-reader multi-case studies (Hillis, 2007, doi:10.1002/sim.2532):
readers are our seeds, cases our examples.

Seeds not paired, same examples. Seeds lie within arms: A = A_a + A_b, each from its own arm, with Welch's df_A = A^2 /
(A_a^2 / (S_a - 1) + A_b^2 / (S_b - 1)). T is still of the paired means a_.i - b_.i, whose variance over examples holds both
arms' rest, so R = R_a + R_b.

Examples not shared. The two sets are independent: B = B_a + B_b, each of its own arm. Seeds may be paired or not.

One seed in an arm. A of that arm is 0 and so is R: its one training is taken as it is, and the interval speaks of other
examples, not of other seeds. With one seed in both, D is a mean over examples and the interval is the t interval of them.

No examples. B = 0: Student's t over paired seeds, Welch's over unpaired (`seed_interval`).

Degrees of freedom. Var(D)'s estimate is a sum, one part of it with few degrees of freedom. Satterthwaite's df = (A + B)^2 /
(A^2 / df_A + T^2 / (n - 1) + R^2 / df_R), which is Hillis's but for the last two, small terms (left out where B = 0), is
itself random and large just when A came out small: at 3 seeds such intervals cover only 92%. Hajek's bound (1962,
Selected Translations in Mathematical Statistics and Probability 2; Mickey & Brown, 1966, Annals of Mathematical Statistics
37), half-width^2 = t(df_A)^2 A + t(n - 1)^2 B, covers at least 95%, up to 97.7%. The mean of both half-widths covers 94.3% to
96.7% at 3, 5 and 10 seeds: in simulation of paired normal data, n = 277, over a grid of V_s / V_r from 0 to 30 and V_e / V_r
from 0.1 to 4 (2 seeds: no such promise). It is chosen for that, not derived. `effective_df` is the df whose t has this 97.5%
point, and all tests and intervals use t with it. Where only A or only B is there, it is df_A or n - 1: the textbook's t.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tunescope.stats.checks import check_share
from tunescope.stats.estimate import Estimate

_ROUNDING = 1e-13
"""A standard error below this share of the values' size is rounding, not variation."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The variance of an estimate by where it comes from; seeds + examples is the squared standard error."""

    seeds: float
    """A: over seeds; 0 with one seed per arm."""
    examples: float
    """B: what the choice of examples adds to it; 0 where examples are unknown."""
    rest: float
    """R: what of A would be there without any effect of the seed, from seeds differing example by example."""
    seeds_df: float | None
    """Degrees of freedom of A; None where A is 0 for want of seeds."""


@dataclass(frozen=True, kw_only=True)
class Crossed:
    """An estimate with a t interval; `standard_error` and `df` are what further tests of it need."""

    estimate: Estimate
    standard_error: float | None
    """Score units; None where the data carry none (`estimate.reason` says why)."""
    df: float | None
    """Degrees of freedom of the t distribution of (estimate - truth) / standard_error."""
    p_value: float | None
    """Two-sided, of the hypothesis that the true value is 0."""
    parts: Parts | None


@dataclass(frozen=True, kw_only=True)
class VarianceComponents:
    """Variances of single effects, by the ANOVA estimator: unbiased, so they may come out below 0."""

    seed: float
    """V_s: of a seed's score over infinitely many examples."""
    example: float
    """V_e: of an example's value over infinitely many seeds."""
    rest: float
    """V_r: of what is left in one cell."""


def variance_components(values: np.ndarray) -> VarianceComponents:
    """Variance of seeds, examples and rest in a crossed table: (MS_seed - MS_rest) / n, (MS_example - MS_rest) / S, MS_rest.

    Args:
        values: (S, n), S and n 2 or more: scores' influence values of one arm, or differences of two.

    Returns:
        In the values' unit squared.

    Raises:
        ValueError: If the shape is another or a value is not finite.
    """
    values = _table("variance_components", "values", values)
    num_seeds, num_examples = values.shape
    if min(values.shape) < 2:
        raise ValueError(f"variance_components: needs 2 seeds and 2 examples at least, got {values.shape}")
    rest = _rest_mean_square(values)
    return VarianceComponents(
        seed=float(values.mean(axis=1).var(ddof=1)) - rest / num_examples,
        example=float(values.mean(axis=0).var(ddof=1)) - rest / num_seeds,
        rest=rest,
    )


def crossed_interval(
    a: np.ndarray, b: np.ndarray, *, paired_by_seed: bool, same_examples: bool = True, level: float = 0.95
) -> Crossed:
    """The mean difference A - B and its t interval over seeds and examples; formulas at the top of this file.

    Args:
        a: (S_a, n_a) influence values of A: each row's mean is that seed's score.
        b: (S_b, n_b) of B.
        paired_by_seed: Row s of both is the same seed. Needs S_a = S_b.
        same_examples: Column i of both is the same example. Needs n_a = n_b.
        level: Coverage asked for.

    Raises:
        ValueError: If shapes do not fit, a value is not finite, or level is not within 0 and 1.
    """
    a, b = _table("crossed_interval", "a", a), _table("crossed_interval", "b", b)
    check_share("crossed_interval", "level", level)
    if paired_by_seed and len(a) != len(b):
        raise ValueError(f"crossed_interval: paired seeds need as many rows in both arms, got {len(a)} and {len(b)}")
    if same_examples and a.shape[1] != b.shape[1]:
        raise ValueError(
            f"crossed_interval: both arms must hold the same examples in the same order, got {a.shape[1]} and {b.shape[1]}"
        )
    value = float(a.mean() - b.mean())
    per_seed = [a.mean(axis=1) - b.mean(axis=1)] if paired_by_seed else [a.mean(axis=1), b.mean(axis=1)]
    if not same_examples:
        tables = [_ExampleTable.of(a), _ExampleTable.of(b)]
    elif paired_by_seed:
        tables = [_ExampleTable.of(a - b)]
    else:
        tables = [_ExampleTable.of_means(a.mean(axis=0) - b.mean(axis=0), rest=_rest_of(a) + _rest_of(b))]
    return _finish(
        value,
        per_seed,
        tables,
        level,
        size=max(float(np.abs(a).max()), float(np.abs(b).max())),
        num_seeds=min(len(a), len(b)),
        num_examples=min(a.shape[1], b.shape[1]),
        notes=_notes(len(a), len(b), paired_by_seed=paired_by_seed, same_examples=same_examples),
    )


def crossed_mean(values: np.ndarray, *, level: float = 0.95) -> Crossed:
    """One arm's mean score and its t interval over seeds and examples: the same model without a second arm.

    Args:
        values: (S, n) influence values: each row's mean is that seed's score.
        level: Coverage asked for.

    Raises:
        ValueError: If values are not (S, n), one is not finite, or level is not within 0 and 1.
    """
    values = _table("crossed_mean", "values", values)
    check_share("crossed_mean", "level", level)
    return _finish(
        float(values.mean()),
        [values.mean(axis=1)],
        [_ExampleTable.of(values)],
        level,
        size=float(np.abs(values).max()),
        num_seeds=len(values),
        num_examples=values.shape[1],
        notes="one seed: over examples only" if len(values) == 1 else "",
    )


def seed_interval(a: np.ndarray, b: np.ndarray, *, paired: bool, level: float = 0.95) -> Crossed:
    """The mean difference A - B where only a score per seed is known: Student's t of pairs, or Welch's.

    Args:
        a: (S_a,) scores of A.
        b: (S_b,) scores of B; for `paired`, of the same seeds in the same order.
        paired: Whether seeds are paired.
        level: Coverage asked for.

    Returns:
        Without interval, and with a reason, where an arm has one seed.

    Raises:
        ValueError: If an arm is empty or not one row, a score is not finite, or paired arms differ in length.
    """
    a, b = _row("a", a), _row("b", b)
    check_share("seed_interval", "level", level)
    if paired and len(a) != len(b):
        raise ValueError(f"seed_interval: paired seeds need as many scores in both arms, got {len(a)} and {len(b)}")
    per_seed = [a - b] if paired else [a, b]
    value, fewest = float(a.mean() - b.mean()), min(len(a), len(b))
    if fewest == 1:
        reason = "one seed and no scores of single examples: nothing shows how far the difference varies"
        return _without_interval(value, reason, level, fewest, None)
    size = max(float(np.abs(a).max()), float(np.abs(b).max()))
    return _finish(value, per_seed, [], level, size=size, num_seeds=fewest, num_examples=None, notes="seeds only")


def effective_df(
    seeds: np.ndarray | float,
    seeds_df: np.ndarray | float,
    examples: np.ndarray | float,
    examples_df: np.ndarray | float,
    noise: np.ndarray | float | None = None,
) -> np.ndarray:
    """The df whose t has for its 97.5% point the mean of Satterthwaite's and Hajek's; see the top of this file.

    Args:
        seeds: (...) variance over seeds A, 0 or above.
        seeds_df: (...) its degrees of freedom; not looked at where A is 0.
        examples: (...) variance B that examples add, 0 or above.
        examples_df: (...) n - 1 (Welch's of two example sets); not looked at where B is 0.
        noise: (...) half the variance of B's own estimate, T^2 / (n - 1) + R^2 / df_R. B^2 / examples_df if None.

    Returns:
        (...) float64, between the smaller and the sum of both degrees of freedom.

    Raises:
        ValueError: If a variance is below 0, or A and B are both 0.
    """
    from scipy.special import stdtridf, stdtrit

    A, B = np.asarray(seeds, dtype=np.float64), np.asarray(examples, dtype=np.float64)
    if not ((A >= 0.0) & (B >= 0.0) & (A + B > 0.0)).all():
        raise ValueError("effective_df: variances must be 0 or above, and not both 0")
    df_A, df_B = np.where(A > 0.0, seeds_df, 1.0), np.where(B > 0.0, examples_df, 1.0)
    noise = B**2 / df_B if noise is None else np.where(B > 0.0, noise, 0.0)
    satterthwaite = (A + B) ** 2 / (A**2 / df_A + noise)
    hajek = np.sqrt((A * stdtrit(df_A, 0.975) ** 2 + B * stdtrit(df_B, 0.975) ** 2) / (A + B))
    point = (stdtrit(np.minimum(satterthwaite, 1e9), 0.975) + hajek) / 2.0
    with np.errstate(invalid="ignore"):
        return np.where((A > 0.0) & (B > 0.0), np.minimum(stdtridf(0.975, point), 1e9), satterthwaite)


@dataclass(frozen=True)
class _ExampleTable:
    """T of one set of examples, its df, and the R to take off it."""

    total: float
    df: int
    rest: float
    rest_df: float

    @staticmethod
    def of(values: np.ndarray) -> _ExampleTable:
        return _ExampleTable.of_means(values.mean(axis=0), rest=_rest_of(values))

    @staticmethod
    def of_means(means: np.ndarray, *, rest: _Rest) -> _ExampleTable:
        n = len(means)
        total = float(means.var(ddof=1)) / n if n > 1 else 0.0
        return _ExampleTable(total, max(n - 1, 1), rest.value, rest.df)

    @property
    def added(self) -> float:
        return max(self.total - self.rest, 0.0)


@dataclass(frozen=True)
class _Rest:
    """R of one arm, or of two: variance of the mean due to the rest, and its (Welch) degrees of freedom."""

    value: float
    df: float

    def __add__(self, other: _Rest) -> _Rest:
        noise = self.value**2 / self.df + other.value**2 / other.df
        return _Rest(self.value + other.value, (self.value + other.value) ** 2 / noise if noise > 0.0 else 1.0)


def _rest_of(values: np.ndarray) -> _Rest:
    if min(values.shape) < 2:
        return _Rest(0.0, 1.0)
    return _Rest(_rest_mean_square(values) / values.size, float((values.shape[0] - 1) * (values.shape[1] - 1)))


def _rest_mean_square(values: np.ndarray) -> float:
    residual = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0, keepdims=True) + values.mean()
    return float(np.square(residual).sum() / ((values.shape[0] - 1) * (values.shape[1] - 1)))


def _finish(
    value: float,
    per_seed: list[np.ndarray],
    tables: list[_ExampleTable],
    level: float,
    *,
    size: float,
    num_seeds: int,
    num_examples: int | None,
    notes: str,
) -> Crossed:
    from scipy.special import stdtr, stdtrit

    by_arm = [(float(scores.var(ddof=1)) / len(scores), len(scores) - 1) for scores in per_seed if len(scores) > 1]
    seeds, examples = sum(part for part, _ in by_arm), sum(table.added for table in tables)
    rest = sum(table.rest for table in tables)
    if seeds + examples <= (_ROUNDING * size) ** 2 < rest:  # all means agree by chance, single cells do not
        by_arm, seeds = [(table.rest, int(table.rest_df)) for table in tables], rest
    standard_error = float(np.sqrt(seeds + examples))
    if standard_error <= _ROUNDING * size:
        counts = f"{num_seeds} seeds" + ("" if num_examples is None else f" and {num_examples} examples")
        reason = f"no variation over {counts}: nothing shows how far the value could have come out otherwise"
        return _without_interval(value, reason, level, num_seeds, num_examples)
    squares = sum(part**2 / df for part, df in by_arm)
    seeds_df = seeds**2 / squares if squares > 0.0 else 1.0
    totals = sum(table.total for table in tables)
    total_noise = sum(table.total**2 / table.df for table in tables)
    examples_df = totals**2 / total_noise if total_noise > 0.0 else 1.0
    noise = total_noise + sum(table.rest**2 / table.rest_df for table in tables)
    df = float(effective_df(seeds, seeds_df, examples, examples_df, noise))
    half = float(stdtrit(df, (1.0 + level) / 2.0)) * standard_error
    where = "t over seeds x examples (crossed model)" if num_examples is not None else "t over seeds"
    estimate = Estimate(
        value=value,
        ci_low=value - half,
        ci_high=value + half,
        level=level,
        method=f"{where}, df {df:.3g}" + (f"; {notes}" if notes else ""),
        num_seeds=num_seeds,
        num_examples=num_examples,
    )
    return Crossed(
        estimate=estimate,
        standard_error=standard_error,
        df=df,
        p_value=float(2.0 * stdtr(df, -abs(value) / standard_error)),
        parts=Parts(
            seeds=seeds,
            examples=examples,
            rest=rest,
            seeds_df=seeds_df if by_arm else None,
        ),
    )


def _without_interval(value: float, reason: str, level: float, num_seeds: int, num_examples: int | None) -> Crossed:
    estimate = Estimate(value=value, level=level, num_seeds=num_seeds, num_examples=num_examples, reason=reason)
    return Crossed(estimate=estimate, standard_error=None, df=None, p_value=None, parts=None)


def _notes(num_a: int, num_b: int, *, paired_by_seed: bool, same_examples: bool) -> str:
    notes = []
    if num_a == num_b == 1:
        notes.append("one seed per arm: over examples only, says nothing of other seeds")
    elif min(num_a, num_b) == 1:
        arm = "A" if num_a == 1 else "B"
        notes.append(f"{arm} has one seed, taken as it is: says nothing of other seeds of {arm}")
    else:
        notes.append("seeds paired" if paired_by_seed else "seeds not paired")
    notes.append("examples paired" if same_examples else "different examples")
    return ", ".join(notes)


def _table(where: str, name: str, values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or values.size == 0:
        raise ValueError(f"{where}: {name} must be (seeds, examples), both 1 or more, got shape {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"{where}: {name} must be finite, got {values[~np.isfinite(values)][0]}")
    return values


def _row(name: str, values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all():
        raise ValueError(
            f"seed_interval: {name} must be a row of finite scores, one at least, got shape {values.shape}"
        )
    return values
