"""Rows of one side about their mean, and what a CKA takes of each, in as few passes over memory as there can be.

Legend: n examples; d features; q_i = |x_i|^2 of centred rows.

The mean of float32 rows is rounded at its own size, which may be large beside the spread. So it is taken off twice: the mean,
then the mean of what is left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tunescope.similarity import checks
from tunescope.similarity.products import square_norms


@dataclass(frozen=True, kw_only=True)
class Centred:
    """One side's rows about their mean."""

    values: np.ndarray
    """(n, d) in the dtype of products: float64 where float32 was asked for and does not hold them."""
    square_norms: np.ndarray
    """(n,) q float64, each summed in the dtype of products."""


def centred_rows(where: str, name: str, X: np.ndarray, out: np.ndarray) -> Centred:
    """X about its mean.

    Args:
        where: The function that asks, for messages.
        name: What it calls the matrix.
        X: (n, d) float32 or float64, n, d >= 1; not changed, unless it is `out`.
        out: (n, d) of the dtype of products, is written over and becomes `values`.

    Raises:
        ValueError: If a value is not finite, or all rows are the same.
    """
    n = len(X)
    with np.errstate(all="ignore"):
        sums = checks.column_sums(X)
    if not np.isfinite(sums).all():
        checks.check_finite(where, name, X)
        mean = (X / n).sum(axis=0, dtype=np.float64).astype(out.dtype)  # finite, but too large to be added up
    else:
        mean = (sums / n).astype(out.dtype, copy=False)
    np.subtract(X, mean, out=out, casting="same_kind")
    out -= checks.column_sums(out) / n
    with np.errstate(over="ignore"):  # float32 may not hold them: `with_digits` sees it
        q = square_norms(out)
    scatter = float(q.sum())
    values, exact = checks.with_digits(where, name, out, mean, scatter)
    if values is not out or exact != scatter:
        q = square_norms(values)
    return Centred(values=values, square_norms=q)
