"""Linear CKA, biased and debiased, in one pass over the examples and memory that does not grow with their number.

Legend: n examples; d features; K = XX', L = YY' of centred features; K~ with a diagonal of zeros; q = |x|^2. How rows become
sums, and which shift they are taken about: `sums`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tunescope.similarity import checks
from tunescope.similarity.cross import cheaper_form, off_diagonal_traces
from tunescope.similarity.hsic import MIN_EXAMPLES_DEBIASED, cka_ratio, from_centred, without_rounding
from tunescope.similarity.moments import Moments
from tunescope.similarity.products import float32_holds
from tunescope.similarity.sums import RowSums

__all__ = ["PairSums", "SelfSums", "SelfTerms", "cheaper_form"]

_SAME_SCATTER = 1e-4
"""Two passes over the same examples differ by float noise (other batches, other machines); other examples by more."""


@dataclass(frozen=True, kw_only=True)
class SelfTerms:
    """One side's part of a CKA's denominator: what a comparison needs of its base besides the cross term. No matrix."""

    num_examples: int
    scatter: float
    """Sum of |x_i - mean|^2, by which a comparison sees whether these are its own examples."""
    biased: float
    """tr(KK) = (n - 1)^2 HSIC_0(X, X)."""
    debiased: float
    """HSIC_1(X, X); 0 where it is no more than rounding; NaN where n < 4."""


class SelfSums(RowSums):
    """One side's self-terms in one pass: of a base model, computed once for all the runs that are compared with it.

    Args:
        num_features: d.
        shift: (d,) near the mean; None: the mean of the first rows that are folded.
        dtype: Of products, float32 or float64; sums are float64.

    Example:
        >>> sums = SelfSums(3)
        >>> sums.update(np.random.default_rng(0).normal(size=(40, 3)))
        >>> sums.terms().num_examples
        40
    """

    _sides = "x"

    def __init__(
        self, num_features: int, shift: np.ndarray | None = None, *, dtype: type[np.floating] = np.float32
    ) -> None:
        super().__init__([num_features], [shift], dtype, ("xx",))

    def update(self, X: np.ndarray) -> None:
        """Counts in a batch (b, d) of any float dtype, copied.

        Raises:
            ValueError: If its shape is another or a value is not finite; nothing is then counted.
        """
        self._update([X])

    def terms(self) -> SelfTerms:
        """What a comparison needs of this side.

        Raises:
            ValueError: If there are fewer than 2 examples, or all are the same.
        """
        checks.check_num_examples(self._where, self.num_examples, 2)
        if not self.keeps_rows:
            self.fold()
            return _terms_from_moments(self._where, "X", self._moments["xx"], self._dtype)
        (x,) = self._kept_centred()
        rows = [x.values]
        form = cheaper_form(len(rows[0]), rows[0].shape[1], rows[0].shape[1])
        trace = off_diagonal_traces(rows, rows, form=form, dtype=_of_products(*rows)).self_x[0]
        return _terms_from_norms(float(trace), x.square_norms, self._dtype)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> SelfSums:
        """What `to_arrays` gave, to go on with; KeyError if an array is missing."""
        sums = cls(_width(arrays, "x"), arrays.get("shift_x"), dtype=_dtype(arrays))
        sums._restore(arrays)
        return sums


class PairSums(RowSums):
    """Linear CKA of two representations of the same examples in one pass.

    Args:
        num_features_x: d_x, of the base.
        num_features_y: d_y, of the tuned model.
        shift_x: (d_x,) near the mean of X; None: the mean of the first rows that are folded.
        shift_y: (d_y,) near the mean of Y.
        dtype: Of products, float32 or float64; sums are float64. CKA is then right to (1 / n + 1 / (2 d)) 1e-6, so 2e-9 at
            750 x 2,048 and less beyond (1e-7 where d_x and d_y differ, see `products`), or to 1e-12.
        with_base: Whether X'X is summed too. Without it, less work and memory, results of many examples want the base's
            `SelfTerms`.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(200, 3))
        >>> sums = PairSums(3, 3)
        >>> for start in range(0, 200, 50):
        ...     sums.update(X[start : start + 50], -X[start : start + 50])
        >>> round(sums.debiased_linear_cka(), 6)
        1.0
    """

    _sides = "xy"

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
        pairs = ("xy", "yy", "xx") if with_base else ("xy", "yy")
        super().__init__([num_features_x, num_features_y], [shift_x, shift_y], dtype, pairs)
        self._results: tuple[int, _PairTerms] | None = None

    def update(self, X: np.ndarray, Y: np.ndarray) -> None:
        """Counts in a batch; both sides are copied.

        Args:
            X: (b, d_x) any float dtype, b >= 0.
            Y: (b, d_y) the same examples in the same order.

        Raises:
            ValueError: If a shape is another, X and Y differ in b, or a value is not finite; nothing is then counted.
        """
        self._update([X, Y])

    def linear_cka(self, base: SelfTerms | None = None) -> float:
        """Biased linear CKA of all examples so far, as `cka.linear_cka`.

        Args:
            base: Terms of X computed elsewhere from the same examples; None: this pass's own.

        Raises:
            ValueError: If there are fewer than 2 examples, either side is constant, `base` is of other examples, or it is
                None where `with_base` is False and rows have been folded.
        """
        checks.check_num_examples(self._where, self.num_examples, 2)
        terms = self._terms()
        return float(cka_ratio(terms.biased, self._base_terms(terms, base).biased, terms.y.biased))

    def debiased_linear_cka(self, base: SelfTerms | None = None) -> float:
        """Debiased linear CKA of all examples so far, as `cka.debiased_linear_cka`.

        Args:
            base: As in `linear_cka`.

        Returns:
            Any sign, never cut; NaN where a self-term is not positive, beyond rounding.

        Raises:
            ValueError: As in `linear_cka`, or if there are fewer than 4 examples.
        """
        checks.check_num_examples(self._where, self.num_examples, MIN_EXAMPLES_DEBIASED)
        terms = self._terms()
        return float(cka_ratio(terms.debiased, self._base_terms(terms, base).debiased, terms.y.debiased))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """As `SelfSums.to_arrays`."""
        return super().to_arrays() | {"with_base": np.array("xx" in self._pairs)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> PairSums:
        """What `to_arrays` gave, to go on with; KeyError if an array is missing."""
        sums = cls(
            _width(arrays, "x"),
            _width(arrays, "y"),
            shift_x=arrays.get("shift_x"),
            shift_y=arrays.get("shift_y"),
            dtype=_dtype(arrays),
            with_base=bool(arrays["with_base"]),
        )
        sums._restore(arrays)
        return sums

    def _terms(self) -> _PairTerms:
        """All terms of the examples so far; computed once until more examples come."""
        if self._results is None or self._results[0] != self.num_examples:
            self._results = self.num_examples, self._kept_terms() if self.keeps_rows else self._folded_terms()
        return self._results[1]

    def _kept_terms(self) -> _PairTerms:
        x, y = self._kept_centred()
        X, Y, q_x, q_y = x.values, y.values, x.square_norms, y.square_norms
        form = cheaper_form(len(X), X.shape[1], Y.shape[1])
        traces = off_diagonal_traces([X], [Y], form=form, dtype=_of_products(X, Y))
        cross = float(traces.cross[0, 0])
        return _PairTerms(
            biased=cross + float(q_x @ q_y),
            debiased=_debiased(cross, float(q_x @ q_y), float(q_x.sum()), float(q_y.sum()), len(X))[0],
            scatter_x=float(q_x.sum()),
            x=_terms_from_norms(float(traces.self_x[0]), q_x, self._dtype),
            y=_terms_from_norms(float(traces.self_y[0]), q_y, self._dtype),
        )

    def _folded_terms(self) -> _PairTerms:
        self.fold()
        xy, xx = self._moments["xy"].about_means(), self._moments.get("xx")
        return _PairTerms(
            biased=xy.square,
            debiased=_debiased(xy.square - xy.q_product, xy.q_product, xy.sum_q_x, xy.sum_q_y, self.num_examples)[0],
            scatter_x=xy.sum_q_x,
            x=None if xx is None else _terms_from_moments(self._where, "X", xx, self._dtype),
            y=_terms_from_moments(self._where, "Y", self._moments["yy"], self._dtype),
        )

    def _base_terms(self, terms: _PairTerms, base: SelfTerms | None) -> SelfTerms:
        """X's self-terms, from wherever; a base of other examples is refused."""
        if base is None:
            if terms.x is None:
                raise ValueError(f"{self._where}: X'X was not summed (with_base=False): give the base's SelfTerms.")
            return terms.x
        same = abs(base.scatter - terms.scatter_x) <= _SAME_SCATTER * terms.scatter_x
        if base.num_examples != self.num_examples or not same:
            raise ValueError(
                f"{self._where}: the base's SelfTerms must be of the same examples, got {base.num_examples} with scatter "
                f"{base.scatter:.6g} for {self.num_examples} with scatter {terms.scatter_x:.6g}."
            )
        return base


@dataclass(frozen=True, kw_only=True)
class _PairTerms:
    """tr(KL), HSIC_1(X, Y) and the self-terms; x is None where X'X was not summed."""

    biased: float
    debiased: float
    scatter_x: float
    x: SelfTerms | None
    y: SelfTerms


def _of_products(*rows: np.ndarray) -> type[np.floating]:
    """float32 where all rows are, else float64."""
    return np.float32 if all(side.dtype == np.float32 for side in rows) else np.float64


def _terms_from_norms(trace: float, q: np.ndarray, dtype: type[np.floating]) -> SelfTerms:
    """From tr(K~K~) and q (n,) of centred rows."""
    return _self_terms(trace, float(q @ q), float(q.sum()), len(q), dtype)


def _terms_from_moments(where: str, name: str, moments: Moments, dtype: type[np.floating]) -> SelfTerms:
    """From the moments of a side with itself; ValueError if it is constant."""
    n, own = moments.num_examples, moments.about_means()
    checks.check_varies(where, name, own.sum_q_x, own.mean_x, n)
    if dtype == np.float32 and not float32_holds(own.sum_q_x, n):
        raise ValueError(
            f"{where}: {name} has a mean square of {own.sum_q_x / n:.3g}, beyond products in float32: scale it, or take "
            "dtype=np.float64."
        )
    return _self_terms(own.square - own.q_product, own.q_product, own.sum_q_x, n, dtype)


def _self_terms(trace: float, square_q: float, sum_q: float, n: int, dtype: type[np.floating]) -> SelfTerms:
    debiased, size = _debiased(trace, square_q, sum_q, sum_q, n)
    return SelfTerms(
        num_examples=n,
        scatter=sum_q,
        biased=trace + square_q,
        debiased=float(without_rounding(debiased, size, dtype)) if n >= MIN_EXAMPLES_DEBIASED else debiased,
    )


def _debiased(trace: float, q_product: float, sum_q_x: float, sum_q_y: float, n: int) -> tuple[float, float]:
    """HSIC_1 and the size of its terms; NaN where n < 4."""
    if n < MIN_EXAMPLES_DEBIASED:
        return float("nan"), float("nan")
    debiased, size = from_centred(np.asarray(trace), np.asarray(q_product), np.asarray(sum_q_x), np.asarray(sum_q_y), n)
    return float(debiased), float(size)


def _width(arrays: Mapping[str, np.ndarray], side: str) -> int:
    return arrays[f"rows_{side}"].shape[1] if f"rows_{side}" in arrays else len(arrays[f"shift_{side}"])


def _dtype(arrays: Mapping[str, np.ndarray]) -> type[np.floating]:
    return np.float32 if int(arrays["float_bits"]) == 32 else np.float64
