"""Intervals over examples for debiased linear CKA, by leaving out one example (or one sequence) at a time.

Not the bootstrap: examples drawn with replacement come twice, and a row beside its own copy puts back the diagonal that
debiasing took out (95% intervals that cover 0 to 61%).

Legend: n examples; theta the CKA of all, theta_s that of all but s; X, Y centred; K~ the Gram matrix with a diagonal of zeros;
q = |x|^2. A HSIC_1 is a sum over distinct pairs, triples and quadruples of examples (`tokens`), and what is left of each sum
without s follows from what s took part in: all n values together cost as much as one CKA. With K~1 = -q_x, L~1 = -q_y,

    r = (K~ o L~) 1                    sum of k_ij l_ij  without s:  sum r - 2 r_s
    k = K~1, l = L~1                   k'l               without s:  k'l - k_s l_s - (K~l)_s - (L~k)_s + r_s
                                       sum k sum l       without s:  (sum k - 2 k_s)(sum l - 2 l_s).

Interval: theta -/+ t se with se^2 = (n - 1) / n sum (theta_s - mean)^2 (Tukey) and Student's t of n - 1 degrees of freedom. CKA
cannot pass 1, so near it the interval is made on the scale of log(1 - CKA) and taken back: where theta >= 0.5 and no
theta_s is within 1e-9 of 1. In simulation (normal rows, d of 4 to 256, CKA .41 to .998, 600 draws each) 95% intervals
cover 94.7% to 98.5% at n = 200; at n = 50, 91.7% to 98.5%, the least where few directions carry the variance; with
heavy tails (Student's t of 6 degrees of freedom) 91.5% at n = 200. The difference of two models (`paired_jackknife`)
covers 94.2% to 98.5%. The seeds of a study remain its unit where methods are compared; this speaks of the choice of
examples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tunescope.similarity import checks
from tunescope.similarity.base_terms import BaseTerms
from tunescope.similarity.cka import cka_from_traces
from tunescope.similarity.cross import Traces, cheaper_form, gram_rows, trace_from_product
from tunescope.similarity.hsic import MIN_EXAMPLES_DEBIASED, cka_ratio, without_rounding
from tunescope.similarity.products import product, row_products, square_norms
from tunescope.similarity.tokens import distinct_terms, square_of_mean

_NEAR_ONE = 0.5
"""From here on the log scale, which covers as well as the plain one (within 2%) and gives no interval that passes 1."""
_AT_ONE = 1e-9
"""So near to 1 log(1 - CKA) is made of rounding."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Jackknife:
    """A value with its interval over examples."""

    estimate: float
    standard_error: float
    """On the scale of `estimate`."""
    ci_low: float
    ci_high: float
    level: float
    """Share of such intervals that hold the value of the population the examples were drawn from."""
    leave_one_out: np.ndarray = field(repr=False)
    """(n,) the value without each example, in their order."""
    method: str
    """How the interval came about, in words for a table's foot."""


class PairCka:
    """Linear CKA of one pair, biased, debiased and with its interval: the products are made once, for whatever is asked first.

    Time of one to two CKAs in all, O(n d + d^2) memory.

    Args:
        X: (n, d_x) n examples, d_x features; any float dtype, computed in float64.
        Y: (n, d_y) the same n examples in the same order.
        base: `base_terms(X)`, where they are known; results raise ValueError where they are of other rows than X.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(60, 4))
        >>> pair = PairCka(X, -X)
        >>> round(pair.linear_cka(), 9), round(pair.debiased_linear_cka(), 9)
        (1.0, 1.0)
    """

    def __init__(self, X: np.ndarray, Y: np.ndarray, base: BaseTerms | None = None) -> None:
        self._sides = X, Y
        self._base = base
        self._products: tuple[list[np.ndarray], np.ndarray, list[np.ndarray]] | None = None

    def linear_cka(self) -> float:
        """As `cka.linear_cka`, its errors too."""
        return self._cka("linear_cka", debiased=False)

    def debiased_linear_cka(self) -> float:
        """As `cka.debiased_linear_cka`, its errors too."""
        return self._cka("debiased_linear_cka", debiased=True)

    def jackknife(self, *, level: float = 0.95) -> Jackknife:
        """As `debiased_cka_jackknife`."""
        where = "debiased_cka_jackknife"
        (X, Y), _, (xy, xx, yy) = self._made(where, MIN_EXAMPLES_DEBIASED + 1)
        values = _cka_values(where, _terms(X, Y, xy), _terms(X, X, xx), _terms(Y, Y, yy))
        return interval(float(values[0]), values[1:], level=level, at_most_one=True)

    def _cka(self, where: str, *, debiased: bool) -> float:
        sides, (cross, self_x, self_y), _ = self._made(where, MIN_EXAMPLES_DEBIASED if debiased else 2)
        traces = Traces(cross=cross[None, None], self_x=self_x[None], self_y=self_y[None])
        q_x, q_y = (square_norms(side)[None] for side in sides)
        return float(cka_from_traces(traces, q_x, q_y, debiased=debiased, dtype=np.float64)[0, 0])

    def _made(self, where: str, min_examples: int) -> tuple[list[np.ndarray], np.ndarray, list[np.ndarray]]:
        """X and Y centred, then `_traces_and_rows` of X with Y, X with X and Y with Y."""
        if self._products is None:
            sides, base = _centred_sides(where, *self._sides, min_examples=min_examples), self._base
            if base is None:
                self._products = sides, *_traces_and_rows(sides, ((0, 1), (0, 0), (1, 1)))
            else:
                base.require_same(where, square_norms(sides[0]))
                (cross, self_y), (xy, yy) = _traces_and_rows(sides, ((0, 1), (1, 1)))
                self._products = sides, np.array([cross, base.trace, self_y]), [xy, base.r, yy]
        checks.check_num_examples(where, len(self._sides[0]), min_examples)
        return self._products


def base_terms(X: np.ndarray) -> BaseTerms:
    """The part of `PairCka` that is X's alone; time of half a CKA.

    Args:
        X: (n, d) n examples, d features; any float dtype, computed in float64.

    Raises:
        ValueError: If n < 2, a value is not finite, or X is constant.
    """
    (side,) = _centred_sides("base_terms", X, min_examples=2)
    (trace,), (r,) = _traces_and_rows([side], ((0, 0),))
    return BaseTerms(q=square_norms(side), trace=float(trace), r=r)


def debiased_cka_jackknife(X: np.ndarray, Y: np.ndarray, *, level: float = 0.95) -> Jackknife:
    """Debiased linear CKA with its jackknife interval over examples; time of one to two CKAs, O(n d + d^2) memory.

    Args:
        X: (n, d_x) n examples, d_x features; any float dtype, computed in float64.
        Y: (n, d_y) the same n examples in the same order.
        level: Of the interval.

    Raises:
        ValueError: If X and Y differ in n, n < 5, a value is not finite, either is constant, a self-term is not positive with
            some example left out, or `level` is not between 0 and 1.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(60, 4))
        >>> found = debiased_cka_jackknife(X, X + np.random.default_rng(1).normal(size=(60, 4)))
        >>> found.ci_low < found.estimate < found.ci_high
        True
    """
    return PairCka(X, Y).jackknife(level=level)


def paired_jackknife(X: np.ndarray, Y_a: np.ndarray, Y_b: np.ndarray, *, level: float = 0.95) -> Jackknife:
    """CKA(X, Y_a) - CKA(X, Y_b), debiased, of two models on the same examples, with its jackknife interval.

    Each example is left out on both sides at once, so what makes it hard for both models cancels. On the scale of the
    difference itself.

    Args:
        X: (n, d_x) the base.
        Y_a: (n, d_a) one model, the same examples in the same order.
        Y_b: (n, d_b) the other.
        level: Of the interval.

    Raises:
        ValueError: As `debiased_cka_jackknife`.
    """
    where = "paired_jackknife"
    sides = base, A, B = _centred_sides(where, X, Y_a, Y_b, min_examples=MIN_EXAMPLES_DEBIASED + 1)
    _, (xx, xa, aa, xb, bb) = _traces_and_rows(sides, ((0, 0), (0, 1), (1, 1), (0, 2), (2, 2)))
    self_x = _terms(base, base, xx)
    values = _cka_values(where, _terms(base, A, xa), self_x, _terms(A, A, aa))
    values = values - _cka_values(where, _terms(base, B, xb), self_x, _terms(B, B, bb))
    return interval(float(values[0]), values[1:], level=level)


def token_jackknife(Xs: Sequence[np.ndarray], Ys: Sequence[np.ndarray], *, level: float = 0.95) -> Jackknife:
    """Debiased linear CKA over tokens (`tokens.TokenPairSums`) with an interval from leaving out one sequence at a time.

    Holds all tokens in memory: for passes that do not fit, take fewer sequences.

    Args:
        Xs: Per sequence (T_i, d_x), a row per token.
        Ys: Per sequence (T_i, d_y), the same tokens.
        level: Of the interval.

    Returns:
        `leave_one_out` has one value per sequence.

    Raises:
        ValueError: If sequences or their tokens differ in number, there are fewer than 5, one is empty or not finite, all
            tokens are the same, a self-term is not positive, or `level` is not between 0 and 1.
    """
    where = "token_jackknife"
    Xs, Ys = checks.paired_sequences(where, Xs, Ys)
    checks.check_num_examples(where, len(Xs), MIN_EXAMPLES_DEBIASED + 1, unit="sequences")
    x, y = _Tokens.centred(where, "X", Xs), _Tokens.centred(where, "Y", Ys)
    _, rows = _traces_and_rows([x.states, y.states], ((0, 1), (0, 0), (1, 1)))
    terms = [_token_terms(a, b, r) for (a, b), r in zip(((x, y), (x, x), (y, y)), rows, strict=True)]
    values = _cka_values(where, *terms)
    return interval(float(values[0]), values[1:], level=level, at_most_one=True, unit="sequences")


def interval(
    estimate: float,
    leave_one_out: np.ndarray,
    *,
    level: float = 0.95,
    at_most_one: bool = False,
    unit: str = "examples",
    num_examples: int | None = None,
) -> Jackknife:
    """The jackknife interval of any number that is a smooth function of examples.

    Args:
        estimate: The number of all examples.
        leave_one_out: (n,) the number without each; or (m,) the number of a random sample of the examples without each of
            the sample's.
        level: Of the interval.
        at_most_one: The number cannot pass 1: on the scale of log(1 - number) where it is near (see the module).
        unit: What was left out, for `method`.
        num_examples: n, where `leave_one_out` is of a sample: the standard error is then the sample's times sqrt(m / n).

    Raises:
        ValueError: If there are fewer than 2 values or more than `num_examples`, one is not finite, or `level` is not
            between 0 and 1.

    Example:
        >>> x = np.array([1.0, 2.0, 3.0])
        >>> found = interval(2.0, (6.0 - x) / 2.0)
        >>> round(float(found.standard_error / (x.std(ddof=1) / 3**0.5)), 12)
        1.0
    """
    from scipy.special import stdtrit

    values = np.array(leave_one_out, dtype=np.float64)
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"interval: needs at least 2 leave-one-out values in one row, got shape {values.shape}.")
    if not np.isfinite(values).all() or not math.isfinite(estimate):
        raise ValueError("interval: estimate and leave-one-out values must be finite numbers.")
    if not 0.0 < level < 1.0:
        raise ValueError(f"interval: level must lie between 0 and 1, got {level}.")
    n = len(values) if num_examples is None else num_examples
    if n < len(values):
        raise ValueError(f"interval: a sample of {len(values)} {unit} cannot be of {n}.")
    shrink = math.sqrt(len(values) / n)
    t = float(stdtrit(len(values) - 1, (1.0 + level) / 2.0))
    error = shrink * _standard_error(values)
    low, high, scale = estimate - t * error, estimate + t * error, ""
    if at_most_one and estimate >= _NEAR_ONE and max(estimate, float(values.max())) < 1.0 - _AT_ONE:
        rest, factor = 1.0 - estimate, math.exp(t * shrink * _standard_error(np.log1p(-values)))
        low, high, scale = 1.0 - rest * factor, 1.0 - rest / factor, " on the scale of log(1 - value)"
    return Jackknife(
        estimate=estimate,
        standard_error=error,
        ci_low=low,
        ci_high=high,
        level=level,
        leave_one_out=values,
        method=f"jackknife over {_counted(len(values), n, unit)}, t interval{scale}",
    )


def _standard_error(values: np.ndarray) -> float:
    return math.sqrt((len(values) - 1) * float(values.var()))


def _counted(m: int, n: int, unit: str) -> str:
    return f"{n:,} {unit}" if m == n else f"{m:,} of {n:,} {unit}, scaled"


def _centred_sides(where: str, X: np.ndarray, *Ys: np.ndarray, min_examples: int) -> list[np.ndarray]:
    """X and each Y, checked against X, about their means."""
    Ys = tuple(checks.paired(where, X, Y, min_examples=min_examples)[1] for Y in Ys)
    X = checks.matrix(where, "X", X)
    checks.check_num_examples(where, len(X), min_examples)
    return [checks.centred(where, "X", X), *(checks.centred(where, "Y", Y) for Y in Ys)]


def _cka_values(where: str, cross: np.ndarray, self_x: np.ndarray, self_y: np.ndarray) -> np.ndarray:
    """(1 + n,) CKA of all and without each, from the terms (3, 1 + n) of the three HSICs."""
    self_x, self_y = (
        without_rounding(terms.sum(axis=0), np.abs(terms).sum(axis=0), np.float64) for terms in (self_x, self_y)
    )
    values = cka_ratio(cross.sum(axis=0), self_x, self_y)
    if np.isnan(values[0]):
        raise ValueError(
            f"{where}: a self-term is not positive: examples are all equally far apart, CKA is not defined."
        )
    without = np.flatnonzero(np.isnan(values[1:]))
    if without.size:
        raise ValueError(
            f"{where}: without number {int(without[0])} (counted from 0) a self-term is not positive: too few examples differ "
            f"from the rest."
        )
    return values


def _terms(X: np.ndarray, Y: np.ndarray, r: np.ndarray) -> np.ndarray:
    """(3, 1 + n) the terms of HSIC_1 of all examples, then without each; X, Y centred, r of the module."""
    pairs, shared, free = _sums(X, Y, r)
    return _distinct(len(X), pairs, shared - pairs, free - 4.0 * shared + 2.0 * pairs)


def _distinct(n: int, S_2: np.ndarray, S_3: np.ndarray, S_4: np.ndarray) -> np.ndarray:
    return np.concatenate(
        [distinct_terms(n, S_2[:1], S_3[:1], S_4[:1]), distinct_terms(n - 1, S_2[1:], S_3[1:], S_4[1:])], axis=1
    )


def _sums(X: np.ndarray, Y: np.ndarray, r: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sums of k_ij l_ij, of k_i. l_i. and k.. l.. off the diagonals, each (1 + n,): of all, then without each."""
    q_x, q_y = square_norms(X), square_norms(Y)
    own = q_x * q_y
    # K~ l with l = -q_y; the diagonal's part taken out again.
    K_l, L_k = own - X @ (q_y @ X), own - Y @ (q_x @ Y)
    sum_x, sum_y = float(q_x.sum()), float(q_y.sum())
    return (
        np.concatenate([[r.sum()], r.sum() - 2.0 * r]),
        np.concatenate([[own.sum()], own.sum() - own - K_l - L_k + r]),
        np.concatenate([[sum_x * sum_y], (sum_x - 2.0 * q_x) * (sum_y - 2.0 * q_y)]),
    )


def _traces_and_rows(
    sides: Sequence[np.ndarray], pairs: Sequence[tuple[int, int]]
) -> tuple[np.ndarray, list[np.ndarray]]:
    """tr(K~L~) (pairs,) as `cross.off_diagonal_traces` gives it, and r (n,) of the module, of each pair of centred sides."""
    n, widths = len(sides[0]), [side.shape[1] for side in sides]
    if cheaper_form(n, widths[0], max(widths[1:], default=widths[0])) == "gram":
        rows = gram_rows(sides, pairs)
        return rows.sum(axis=1), list(rows)
    q = [square_norms(side) for side in sides]
    products = [product(sides[i], sides[j]) for i, j in pairs]
    traces = [trace_from_product(P, q[i], q[j]) for P, (i, j) in zip(products, pairs, strict=True)]
    return np.array(traces), [
        np.einsum("nd,nd->n", sides[i] @ P, sides[j]) - q[i] * q[j] for P, (i, j) in zip(products, pairs, strict=True)
    ]


@dataclass(frozen=True, kw_only=True)
class _Tokens:
    """One side's tokens about the mean over sequences of their means."""

    states: np.ndarray
    """(tokens, d) x_t / sqrt(T_i), one sequence after the other: M_i is the plain product of its own."""
    lengths: np.ndarray
    """(N,) T_i."""
    means: np.ndarray
    """(N, d)"""

    @classmethod
    def centred(cls, where: str, name: str, sequences: list[np.ndarray]) -> _Tokens:
        lengths = np.array([len(X) for X in sequences])
        each = np.repeat(lengths, lengths)
        mean = np.mean([X.mean(axis=0) for X in sequences], axis=0)
        states = np.concatenate(sequences) - mean
        checks.check_varies(where, name, float((square_norms(states) / each).sum()), mean, len(lengths), unit="tokens")
        means = _by_sequence(states, lengths) / lengths[:, None]
        rest = means.mean(axis=0)
        return cls(states=(states - rest) / np.sqrt(each)[:, None], lengths=lengths, means=means - rest)


def _token_terms(x: _Tokens, y: _Tokens, r: np.ndarray) -> np.ndarray:
    """(3, 1 + N) terms of the blocked HSIC_1 of all sequences, then without each; letters of `tokens`, r of `states`."""
    _, (of_means,) = _traces_and_rows([x.means, y.means], ((0, 1),))
    pairs, shared, free = _sums(x.means, y.means, of_means)
    tokens_of = zip(*(np.split(side.states, np.cumsum(x.lengths)[:-1]) for side in (x, y)), strict=True)
    squares = np.array([len(X) ** 2 * square_of_mean(X, Y) for X, Y in tokens_of])
    # <M_i, M>, less a sequence's own part.
    with_others = _by_sequence(r + square_norms(x.states) * square_norms(y.states), x.lengths) - squares
    to_xbar = row_products(x.states, np.repeat(x.means, x.lengths, axis=0))
    to_ybar = row_products(y.states, np.repeat(y.means, x.lengths, axis=0))
    own = _by_sequence(to_xbar * to_ybar, x.lengths)
    to_B, to_M = _of_means(x, y)
    first = 2.0 * own - to_B
    from_x, from_y = x.means @ (to_ybar @ x.states) - own, y.means @ (to_xbar @ y.states) - own
    return _distinct(
        len(x.lengths),
        np.concatenate([[with_others.sum()], with_others.sum() - 2.0 * with_others]),
        np.concatenate([[first.sum()], first.sum() - first + from_x + from_y + 2.0 * (to_M - own)]),
        free - 4.0 * shared + 2.0 * pairs,
    )


def _of_means(x: _Tokens, y: _Tokens) -> tuple[np.ndarray, np.ndarray]:
    """<M_i, B> and xbar_i' M ybar_i, each (N,), by the smaller of (tokens, N) and (d_x, d_y) products."""
    (num, d_x), d_y = x.means.shape, y.means.shape[1]
    if num * (d_x + d_y) <= d_x * d_y:
        with_means = (x.states @ x.means.T) * (y.states @ y.means.T)
        return _by_sequence(with_means.sum(axis=1), x.lengths), with_means.sum(axis=0)
    M, B = product(x.states, y.states), product(x.means, y.means)
    return _by_sequence(row_products(x.states @ B, y.states), x.lengths), row_products(x.means @ M, y.means)


def _by_sequence(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """(N, ...) sums of values (tokens, ...) over each sequence's tokens."""
    return np.asarray(np.add.reduceat(values, np.cumsum(lengths) - lengths, axis=0))
