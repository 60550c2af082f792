"""Debiased linear CKA over all tokens of sequences, in one pass, that does not take neighbours in a text for evidence.

Tokens of one sequence are dependent: plain debiased CKA over them finds likeness between independent features, as it counts
pairs of one sequence. Here pairs of tokens of one sequence never meet and every sequence weighs the same.

Legend: N sequences i, T_i tokens t in each, x_t (d_x), y_t (d_y) their states; xbar_i, ybar_i a sequence's means;
M_i = sum over its t of x_t y_t' / T_i (d_x, d_y); without index, a sum over sequences: M, B = sum xbar_i ybar_i'; a, b = |xbar_i|^2,
|ybar_i|^2.

Draw one token from each sequence, each with the same chance. HSIC_1 of the N draws is an average over distinct sequences,

    sum_{i/=j} k_ij l_ij / (N)_2  -  2 sum_{i,j,q distinct} k_ij l_iq / (N)_3  +  sum_{i,j,q,r distinct} k_ij l_qr / (N)_4,

(N)_m = N (N - 1) ... (N - m + 1), and the blocked HSIC_1 is its expectation over the draws: an unbiased estimate of the HSIC
of a random token of a random sequence. With k = x'x, l = y'y the expectations are

    E[k_ij l_ij] = <M_i, M_j>,   E[k_ij l_iq] = xbar_j' M_i ybar_q,   E[k_ij l_qr] = xbar_i'xbar_j ybar_q'ybar_r,

and about a point where sum xbar = sum ybar = 0 the three sums over distinct sequences are

    S_2 = ||M||^2 - sum ||M_i||^2
    S_3 = 2 sum xbar_i' M_i ybar_i - <M, B>
    S_4 = sum a sum b - 4 sum a b + 2 (||B||^2 - sum a b).

HSIC_1 does not depend on the point, nor does its expectation. The sums are taken about a shift near the data and moved to
the means at the end (`TokenMoments.moved_to`), or to another accumulator's shift before they are added. With one token each,
this is `cka.debiased_linear_cka`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from tunescope.similarity import checks
from tunescope.similarity.hsic import MIN_EXAMPLES_DEBIASED, cka_ratio, without_rounding
from tunescope.similarity.moments import Moments, shifted_rows
from tunescope.similarity.products import product

_SAME_SCATTER = 1e-4
"""Two passes over the same sequences differ by float noise; other sequences by more."""


@dataclass(frozen=True, kw_only=True)
class TokenTerms:
    """One side's part of a CKA over tokens: what a comparison needs of its base besides the cross term. No matrix."""

    num_examples: int
    """Sequences."""
    scatter: float
    """Sum over sequences of |xbar_i - their mean|^2, by which a comparison sees whether these are its own sequences."""
    debiased: float
    """The blocked HSIC_1(X, X); 0 where it is no more than rounding."""


class TokenSelfSums:
    """One side's terms in one pass: of a base model, computed once for all the runs that are compared with it.

    Args:
        num_features: d.
        dtype: Of products, float32 or float64; sums are float64.

    Example:
        >>> sums = TokenSelfSums(2)
        >>> sums.update([np.random.default_rng(i).normal(size=(3 + i, 2)) for i in range(6)])
        >>> sums.terms().num_examples
        6
    """

    def __init__(self, num_features: int, *, dtype: type[np.floating] = np.float32) -> None:
        _check_dtype("TokenSelfSums", dtype)
        self._width, self._dtype = num_features, dtype
        self._moments: TokenMoments | None = None

    def update(self, Xs: Sequence[np.ndarray]) -> None:
        """Counts in whole sequences, (T_i, d) each; nothing is counted where ValueError is raised, as in `TokenPairSums`."""
        if not Xs:
            return
        first = 0 if self._moments is None else self._moments.means.num_examples
        Xs, _ = checks.paired_sequences("TokenSelfSums", Xs, Xs, first=first)
        states = np.concatenate(Xs)
        _check_width("TokenSelfSums", "x", states, self._width)
        if self._moments is None:
            shift = states.mean(axis=0)
            self._moments = TokenMoments(shift, shift)
        self._moments.add(states, states, np.array([len(X) for X in Xs]), self._dtype)

    def terms(self) -> TokenTerms:
        """What a comparison needs of this side.

        Raises:
            ValueError: If there are fewer than 4 sequences, or all tokens are the same.
        """
        num_examples = 0 if self._moments is None else self._moments.means.num_examples
        checks.check_num_examples("TokenSelfSums", num_examples, MIN_EXAMPLES_DEBIASED, unit="sequences")
        assert self._moments is not None, "there are examples"
        return _self_terms("TokenSelfSums", "X", self._moments, self._dtype)


class TokenPairSums:
    """Debiased linear CKA of two models' token states in one pass; O(d^2) memory, whatever the number of sequences.

    Args:
        num_features_x: d_x, of the base.
        num_features_y: d_y, of the tuned model.
        shift_x: (d_x,) near the mean of X's tokens; None: the mean of the first batch's.
        shift_y: (d_y,) near the mean of Y's tokens.
        dtype: Of products, float32 or float64; sums are float64.
        with_base: Whether the base's self-term is summed too. Without it results want the base's.

    Example:
        >>> texts = [np.random.default_rng(i).normal(size=(3 + i, 2)) for i in range(6)]
        >>> sums = TokenPairSums(2, 2)
        >>> sums.update(texts, [-2.0 * text for text in texts])
        >>> round(sums.debiased_linear_cka(), 6)
        1.0
    """

    def __init__(
        self,
        num_features_x: int,
        num_features_y: int,
        *,
        shift_x: np.ndarray | None = None,
        shift_y: np.ndarray | None = None,
        dtype: type[np.floating] = np.float32,
        with_base: bool = True,
    ) -> None:
        _check_dtype("TokenPairSums", dtype)
        self._widths = {"x": num_features_x, "y": num_features_y}
        self._shifts = {"x": shift_x, "y": shift_y}
        for side, shift in self._shifts.items():
            if shift is not None and (np.shape(shift) != (self._widths[side],) or not np.isfinite(shift).all()):
                raise ValueError(
                    f"TokenPairSums: shift_{side} must be {self._widths[side]} finite numbers, got shape {np.shape(shift)}."
                )
        self._dtype = dtype
        self._pairs = ("xy", "yy", "xx") if with_base else ("xy", "yy")
        self._moments: dict[str, TokenMoments] = {}

    @property
    def num_examples(self) -> int:
        """Sequences seen."""
        return self._moments["xy"].means.num_examples if self._moments else 0

    def update(self, Xs: Sequence[np.ndarray], Ys: Sequence[np.ndarray]) -> None:
        """Counts in whole sequences.

        Args:
            Xs: Per sequence (T_i, d_x), a row per token, pad tokens left out.
            Ys: Per sequence (T_i, d_y), the same tokens.

        Raises:
            ValueError: If the sequences or their tokens differ in number, one is empty, widths are others, or a value is
                not finite; nothing is then counted.
        """
        if not Xs and not Ys:
            return
        Xs, Ys = checks.paired_sequences("TokenPairSums", Xs, Ys, first=self.num_examples)
        batch = {"x": np.concatenate(Xs), "y": np.concatenate(Ys)}
        for side, states in batch.items():
            _check_width("TokenPairSums", side, states, self._widths[side])
        if not self._moments:
            shifts = {
                side: batch[side].mean(axis=0) if shift is None else np.array(shift, dtype=np.float64)
                for side, shift in self._shifts.items()
            }
            self._moments = {pair: TokenMoments(shifts[pair[0]], shifts[pair[1]]) for pair in self._pairs}
        lengths = np.array([len(X) for X in Xs])
        for pair, moments in self._moments.items():
            moments.add(batch[pair[0]], batch[pair[1]], lengths, self._dtype)

    def merge(self, other: Self) -> None:
        """Counts in all sequences of another accumulator, which stays as it was; their shifts may differ.

        Raises:
            ValueError: If the other has other features, another dtype or other products.
        """
        if (self._widths, self._dtype, self._pairs) != (other._widths, other._dtype, other._pairs):
            raise ValueError("TokenPairSums: can only merge with sums of the same features, dtype and pairs.")
        if not other._moments:
            return
        if not self._moments:
            self._moments = {
                pair: TokenMoments(moments.means.shift_x, moments.means.shift_y)
                for pair, moments in other._moments.items()
            }
        for pair, moments in self._moments.items():
            moments.merge(other._moments[pair])

    def base_terms(self) -> TokenTerms:
        """X's own part, for `debiased_linear_cka` of other runs on the same sequences.

        Raises:
            ValueError: As `debiased_linear_cka`.
        """
        self._check_enough()
        if "xx" not in self._moments:
            raise ValueError("TokenPairSums: the base's self-term was not summed (with_base=False): give it.")
        return _self_terms("TokenPairSums", "X", self._moments["xx"], self._dtype)

    def debiased_linear_cka(self, base: TokenTerms | None = None) -> float:
        """The blocked HSIC_1(X, Y) / sqrt(HSIC_1(X, X) HSIC_1(Y, Y)).

        Args:
            base: Terms of X computed elsewhere from the same sequences; None: this accumulator's own.

        Returns:
            Similarity in [-1, 1], near 0 for unrelated states, 1 for X rotated and scaled; nothing is cut. NaN where a
            self-term is not positive, beyond rounding.

        Raises:
            ValueError: If there are fewer than 4 sequences, a side is constant, `base` is of other sequences, or no base
                term was summed or given.
        """
        self._check_enough()
        cross = self._moments["xy"].centred()
        own = self.base_terms() if base is None else base
        scatter = float(cross.means.Z[-1, -2])
        if own.num_examples != self.num_examples or abs(own.scatter - scatter) > _SAME_SCATTER * scatter:
            raise ValueError(
                f"TokenPairSums: the base's terms must be of the same sequences, got {own.num_examples} with scatter "
                f"{own.scatter:.6g} for {self.num_examples} with scatter {scatter:.6g}."
            )
        self_y = _self_terms("TokenPairSums", "Y", self._moments["yy"], self._dtype)
        return float(cka_ratio(cross.hsic()[0], own.debiased, self_y.debiased))

    def _check_enough(self) -> None:
        checks.check_num_examples("TokenPairSums", self.num_examples, MIN_EXAMPLES_DEBIASED, unit="sequences")


def _self_terms(where: str, name: str, moments: TokenMoments, dtype: type[np.floating]) -> TokenTerms:
    """From the moments of a side with itself; ValueError if all its tokens are the same."""
    centred = moments.centred()
    N = centred.means.num_examples
    checks.check_varies(where, name, float(np.trace(centred.of_tokens.M)), centred.means.shift_x, N, unit="tokens")
    hsic, size = centred.hsic()
    return TokenTerms(
        num_examples=N,
        scatter=float(centred.means.Z[-1, -2]),
        debiased=float(without_rounding(hsic, size, dtype)),
    )


def _check_dtype(where: str, dtype: type[np.floating]) -> None:
    if dtype not in (np.float32, np.float64):
        raise ValueError(f"{where}: dtype must be float32 or float64, got {np.dtype(dtype).name}.")


def _check_width(where: str, side: str, states: np.ndarray, width: int) -> None:
    if states.shape[1] != width:
        raise ValueError(f"{where}: {side.upper()} must have {width} features, got {states.shape[1]}.")


@dataclass(frozen=True, kw_only=True)
class _OfTokens:
    """Sums over sequences that need single tokens."""

    M: np.ndarray
    """(d_x, d_y)"""
    My: np.ndarray
    """(d_x,) sum M_i ybar_i"""
    xM: np.ndarray
    """(d_y,) sum M_i' xbar_i"""
    xMy: float
    """sum xbar_i' M_i ybar_i"""
    squares: float
    """sum ||M_i||^2"""

    def __add__(self, other: _OfTokens) -> _OfTokens:
        return _OfTokens(
            M=self.M + other.M,
            My=self.My + other.My,
            xM=self.xM + other.xM,
            xMy=self.xMy + other.xMy,
            squares=self.squares + other.squares,
        )


class TokenMoments:
    """All sums of one pair of sides about two shifts.

    Attributes:
        means: The moments of the sequences' means: B, sums of a and b, and so on.
        of_tokens: The sums that need single tokens.
    """

    def __init__(self, shift_x: np.ndarray, shift_y: np.ndarray) -> None:
        d_x, d_y = len(shift_x), len(shift_y)
        self.means = Moments(shift_x, shift_y)
        self.of_tokens = _OfTokens(M=np.zeros((d_x, d_y)), My=np.zeros(d_x), xM=np.zeros(d_y), xMy=0.0, squares=0.0)

    def add(self, X: np.ndarray, Y: np.ndarray, lengths: np.ndarray, dtype: type[np.floating]) -> None:
        """Counts in sequences: X (tokens, d_x), Y (tokens, d_y) one after the other, lengths (sequences,)."""
        x, y = shifted_rows(X, self.means.shift_x, dtype), shifted_rows(Y, self.means.shift_y, dtype)
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        xbar = np.add.reduceat(x.exact, starts, axis=0) / lengths[:, None]
        ybar = np.add.reduceat(y.exact, starts, axis=0) / lengths[:, None]
        self.means.add(shifted_rows(xbar, np.zeros(()), np.float64), shifted_rows(ybar, np.zeros(()), np.float64))
        weights = np.repeat(1.0 / lengths, lengths)
        to_xbar = np.einsum("td,td->t", x.exact, np.repeat(xbar, lengths, axis=0))
        to_ybar = np.einsum("td,td->t", y.exact, np.repeat(ybar, lengths, axis=0))
        root = np.sqrt(weights)[:, None].astype(dtype)
        self.of_tokens += _OfTokens(
            M=product(x.values * root, y.values * root),
            My=(weights * to_ybar) @ x.exact,
            xM=(weights * to_xbar) @ y.exact,
            xMy=float((weights * to_xbar) @ to_ybar),
            squares=sum(
                square_of_mean(x.values[start : start + length], y.values[start : start + length])
                for start, length in zip(starts, lengths, strict=True)
            ),
        )

    def merge(self, other: TokenMoments) -> None:
        """Counts in the sequences of another, moved to these shifts."""
        moved = other.moved_to(self.means.shift_x, self.means.shift_y)
        self.means.Z[...] += moved.means.Z
        self.of_tokens += moved.of_tokens

    def moved_to(self, shift_x: np.ndarray, shift_y: np.ndarray) -> TokenMoments:
        """The same sequences counted from other shifts: x - e and y - f in every sum, multiplied out.

        M_i becomes M_i - e ybar_i' - xbar_i f' + e f', and the rest follows.
        """
        moved = TokenMoments(shift_x, shift_y)
        moved.means = self.means.moved_to(shift_x, shift_y)
        e, f = shift_x - self.means.shift_x, shift_y - self.means.shift_y
        Z, old = self.means.Z, self.of_tokens
        B, sum_x, sum_xb = Z[:-2, :-2], Z[:-2, -2], Z[:-2, -1]
        sum_y, N, sum_b = Z[-2, :-2], Z[-2, -2], Z[-2, -1]
        sum_ya, sum_a = Z[-1, :-2], Z[-1, -2]
        ee, ff, e_x, f_y = e @ e, f @ f, e @ sum_x, f @ sum_y
        Mf, eM, Bf = old.M @ f, e @ old.M, B @ f
        My = old.My - Mf - e * (sum_b - 2.0 * f_y + N * ff) - Bf + ff * sum_x
        xM = old.xM - eM - f * (sum_a - 2.0 * e_x + N * ee) - e @ B + ee * sum_y
        moved.of_tokens = _OfTokens(
            M=old.M - np.outer(e, sum_y) - np.outer(sum_x, f) + N * np.outer(e, f),
            My=My,
            xM=xM,
            xMy=float(old.xMy - old.xM @ f - e @ sum_xb + 2.0 * (e @ Bf) - f @ sum_ya + ff * sum_a - ff * e_x - e @ My),
            squares=float(
                old.squares
                + ee * sum_b
                + ff * sum_a
                + N * ee * ff
                + 2.0 * (e @ Mf + e @ Bf - e @ old.My - old.xM @ f - ee * f_y - ff * e_x)
            ),
        )
        return moved

    def centred(self) -> TokenMoments:
        """About the means over sequences of their means."""
        Z = self.means.Z
        N = Z[-2, -2]
        return self.moved_to(self.means.shift_x + Z[:-2, -2] / N, self.means.shift_y + Z[-2, :-2] / N)

    def hsic(self) -> tuple[float, float]:
        """The blocked HSIC_1 and the sum of its terms' absolute values; N >= 4."""
        centred = self.centred()
        Z, sums = centred.means.Z, centred.of_tokens
        B = Z[:-2, :-2]
        terms = distinct_terms(
            centred.means.num_examples,
            np.vdot(sums.M, sums.M) - sums.squares,
            2.0 * sums.xMy - np.vdot(sums.M, B),
            Z[-1, -2] * Z[-2, -1] - 6.0 * Z[-1, -1] + 2.0 * np.vdot(B, B),
        )
        return float(terms.sum()), float(np.abs(terms).sum())


def distinct_terms(N: int, S_2: np.ndarray, S_3: np.ndarray, S_4: np.ndarray) -> np.ndarray:
    """The three terms of HSIC_1 (3, ...) from sums over distinct pairs, triples and quadruples of N."""
    pairs, triples = N * (N - 1), N * (N - 1) * (N - 2)
    return np.stack([S_2 / pairs, -2.0 * S_3 / triples, S_4 / (triples * (N - 3))])


def square_of_mean(X: np.ndarray, Y: np.ndarray) -> float:
    """||M_i||^2 of one sequence's tokens, by the smaller of (T, T) and (d_x, d_y) products."""
    length = len(X)
    if length <= min(X.shape[1], Y.shape[1]):
        K, L = (X @ X.T).astype(np.float64, copy=False), (Y @ Y.T).astype(np.float64, copy=False)
        return float(np.vdot(K, L)) / length**2
    P = product(X, Y)
    return float(np.vdot(P, P)) / length**2
