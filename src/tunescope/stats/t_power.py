"""Power of t tests of a difference and of equivalence, at a known standard error and degrees of freedom."""

from __future__ import annotations

import math
from functools import cache

import numpy as np


def t_power(difference: float, standard_error: float, df: float, alpha: float = 0.05) -> float:
    """Power of the two-sided t test: P(|T| > t_{1 - alpha/2, df}), T noncentral t about difference / standard_error."""
    from scipy.special import nctdtr, ndtr

    if standard_error == 0.0:
        return 1.0 if difference != 0.0 else alpha
    critical, shift = t_quantile(1.0 - alpha / 2.0, df), difference / standard_error
    if df > 1e6:
        return float(ndtr(shift - critical) + ndtr(-shift - critical))
    # P(T < -critical) about `shift` is P(T > critical) about -shift: nctdtr is exact where its argument is positive
    return float((1.0 - nctdtr(df, shift, critical)) + (1.0 - nctdtr(df, -shift, critical)))


def equivalence_power(margin: float, standard_error: float, df: float, alpha: float = 0.05) -> float:
    """Power of two one-sided t tests to show |difference| < margin where the true difference is 0.

    E_s[2 Phi((margin - t_{1 - alpha, df} s) / se) - 1], over s with df s^2 / se^2 chi-square (Schuirmann, 1987,
    doi:10.1007/BF01068419; exact for a t with df), by Gauss-Legendre quadrature.
    """
    from scipy.special import chdtri, gammaln, ndtr

    if standard_error == 0.0:
        return 1.0
    critical, bound = t_quantile(1.0 - alpha, df), margin / standard_error
    if df > 1e6:
        return max(0.0, float(2.0 * ndtr(bound - critical) - 1.0))
    low, high = (math.sqrt(float(chdtri(df, tail)) / df) for tail in (1.0 - 1e-13, 1e-13))
    high = min(high, bound / critical)
    if high <= low:
        return 0.0
    nodes, weights = _gauss_legendre()
    s = low + (high - low) * (nodes + 1.0) / 2.0
    log_density = (
        math.log(2.0) + df / 2.0 * math.log(df / 2.0) - gammaln(df / 2.0) + (df - 1.0) * np.log(s) - df * s**2 / 2.0
    )
    inside = 2.0 * ndtr(bound - critical * s) - 1.0
    return float((high - low) / 2.0 * np.sum(weights * np.exp(log_density) * inside))


def t_quantile(share: float, df: float) -> float:
    """Student's t; the normal's beyond a million degrees of freedom."""
    from scipy.special import ndtri, stdtrit

    return float(ndtri(share)) if df > 1e6 else float(stdtrit(df, share))


@cache
def _gauss_legendre() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of 200 points on [-1, 1]; an eigenvalue problem each time they are made."""
    return np.polynomial.legendre.leggauss(200)
