"""Centred kernel alignment of representations that fit in memory: linear (biased and debiased), RBF, all pairs of layers.

Legend: n examples; d features; X, Y (n, d_x), (n, d_y); K, L (n, n) their Gram matrices. For data that do not fit:
`streaming`; for the tokens of sequences: `tokens`; for intervals: `jackknife`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tunescope.similarity import checks
from tunescope.similarity.centred import centred_rows
from tunescope.similarity.cross import Form, Traces, cheaper_form, off_diagonal_traces
from tunescope.similarity.hsic import (
    MIN_EXAMPLES_DEBIASED,
    cka_ratio,
    from_centred,
    hsic_biased,
    hsic_debiased,
    without_rounding,
)
from tunescope.similarity.products import square_norms
from tunescope.similarity.room import Room


def linear_cka(X: np.ndarray, Y: np.ndarray, *, dtype: type[np.floating] = np.float64) -> float:
    """Linear CKA of two representations of the same examples.

    With columns centred, CKA(X, Y) = ||Y'X||_F^2 / (||X'X||_F ||Y'Y||_F) (Kornblith et al., 2019, arXiv:1905.00414).
    Unchanged by rotation and isotropic scaling of either side and by a shift, not by a general invertible map; ruled by the
    directions of greatest variance. Biased: unrelated representations score higher the larger d / n;
    `debiased_linear_cka` is not.

    Args:
        X: (n, d_x) n examples, d_x features; any float dtype.
        Y: (n, d_y) the same n examples in the same order; d_y may differ from d_x.
        dtype: Of products; sums are float64. float32 takes half the time and is right to (1 / n + 1 / (2 d)) 1e-6: 2e-9 at
            750 x 2,048; to 1e-7 where d_x and d_y differ and n is a few times d (`products`).

    Returns:
        Similarity in [0, 1], no unit; 1 when Y is X rotated, scaled and shifted.

    Raises:
        ValueError: If X and Y differ in n, n < 2, a value is not finite, either is constant, or `dtype` is another.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(50, 4))
        >>> rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))
        >>> round(linear_cka(X, 3.0 * X @ rotation), 12)
        1.0
    """
    return _linear_cka("linear_cka", X, Y, debiased=False, dtype=dtype)


def debiased_linear_cka(X: np.ndarray, Y: np.ndarray, *, dtype: type[np.floating] = np.float64) -> float:
    """Linear CKA from unbiased HSIC: near 0 for unrelated representations at any d / n.

    HSIC_1(X, Y) / sqrt(HSIC_1(X, X) HSIC_1(Y, Y)), HSIC_1 as in `hsic.hsic_debiased` (Song et al., 2012; for CKA:
    Nguyen et al., 2021, arXiv:2010.15327). Each HSIC_1 is unbiased, their ratio nearly. Examples must be independent: for
    tokens of one text, `tokens.TokenPairSums`. Unchanged by rotation and isotropic scaling of either side and by a shift.

    Args:
        X: (n, d_x) n examples, d_x features; any float dtype.
        Y: (n, d_y) the same n examples in the same order; d_y may differ from d_x.
        dtype: Of products; sums are float64. float32 takes half the time and is right to (1 / n + 1 / (2 d)) 1e-6: 2e-9 at
            750 x 2,048; to 1e-7 where d_x and d_y differ and n is a few times d (`products`).

    Returns:
        Similarity in [-1, 1]; a negative value is one that chance gives where there is little likeness, and is not cut. 1
        when Y is X rotated, scaled and shifted. NaN where a self-term is not positive (beyond rounding): examples that
        are all equally far apart.

    Raises:
        ValueError: If X and Y differ in n, n < 4, a value is not finite, either is constant, or `dtype` is another.

    Example:
        >>> x, y = np.array([[1.0], [2.0], [3.0], [4.0]]), np.array([[1.0], [3.0], [2.0], [4.0]])
        >>> round(-1.0 / debiased_linear_cka(x, y), 9)
        26.0
    """
    return _linear_cka("debiased_linear_cka", X, Y, debiased=True, dtype=dtype)


def rbf_cka(X: np.ndarray, Y: np.ndarray, *, bandwidth: float = 1.0, debiased: bool = False) -> float:
    """CKA with Gaussian kernels k(x, x') = exp(-|x - x'|^2 / (2 sigma^2)), sigma a share of the median distance.

    Kornblith et al., 2019 (arXiv:1905.00414, section 4). A small bandwidth looks at near neighbours, a large one tends to
    linear CKA. Unchanged by rotation and isotropic scaling of either side and by a shift. O(n^2) memory.

    Args:
        X: (n, d_x) n examples, d_x features; any float dtype, computed in float64.
        Y: (n, d_y) the same n examples in the same order; d_y may differ from d_x.
        bandwidth: sigma over the median distance between two examples, of each side by itself.
        debiased: HSIC_1 instead of HSIC_0; then any sign, and NaN as in `debiased_linear_cka`.

    Returns:
        Similarity in [0, 1] (debiased: [-1, 1]); 1 when Y is X rotated, scaled and shifted.

    Raises:
        ValueError: If X and Y differ in n, n < 2 (debiased: 4), a value is not finite, the bandwidth is not positive, or
            more than half of the pairs of examples are equal.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(50, 4))
        >>> round(rbf_cka(X, 5.0 - 2.0 * X), 12)
        1.0
    """
    X, Y = checks.paired("rbf_cka", X, Y, min_examples=MIN_EXAMPLES_DEBIASED if debiased else 2)
    if not bandwidth > 0.0 or not np.isfinite(bandwidth):
        raise ValueError(f"rbf_cka: bandwidth must be positive and finite, got {bandwidth}.")
    K, L = (
        _gaussian_gram("rbf_cka", name, checks.centred("rbf_cka", name, side), bandwidth)
        for name, side in (("X", X), ("Y", Y))
    )
    hsic = hsic_debiased if debiased else hsic_biased
    if not debiased:
        return float(cka_ratio(hsic(K, L), hsic(K, K), hsic(L, L)))
    # Entries are at most 1: so is the size of what is summed.
    self_x, self_y = (without_rounding(hsic(gram, gram), 1.0, np.float64) for gram in (K, L))
    return float(cka_ratio(hsic(K, L), self_x, self_y))


def cka_matrix(
    Xs: Sequence[np.ndarray],
    Ys: Sequence[np.ndarray],
    *,
    debiased: bool = True,
    dtype: type[np.floating] = np.float64,
) -> np.ndarray:
    """Linear CKA of every layer of one model with every layer of another.

    What `debiased_linear_cka` or `linear_cka` gives for each pair, each product made once, in the form (tiles of Gram
    matrices or features) that is cheaper for so many layers (`cross.cheaper_form`). Memory: a centred copy of every layer,
    and 100 MB or two (d, d) matrices.

    Args:
        Xs: Layers of one model, each (n, d) float; widths may differ.
        Ys: Layers of the other, of the same n examples in the same order. The same list as Xs costs half.
        debiased: HSIC_1 instead of HSIC_0.
        dtype: As in the two functions.

    Returns:
        (len(Xs), len(Ys)) similarities; range and NaN as in the two functions.

    Raises:
        ValueError: As in the two functions, or if there is no layer.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(50, 4))
        >>> cka_matrix([X, X**2], [2.0 * X]).shape
        (2, 1)
    """
    where = "cka_matrix"
    if not Xs or not Ys:
        raise ValueError(f"{where}: needs at least one layer on both sides, got {len(Xs)} and {len(Ys)}.")
    centred_x = _centred_layers(where, "Xs", Xs, dtype)
    centred_y = centred_x if Ys is Xs else _centred_layers(where, "Ys", Ys, dtype)
    n = len(centred_x[0])
    for name, layers in (("Xs", centred_x), ("Ys", centred_y)):
        for i, layer in enumerate(layers):
            if len(layer) != n:
                raise ValueError(
                    f"{where}: Xs and Ys must hold the same examples in the same order, got {n} rows in Xs[0] and "
                    f"{len(layer)} in {name}[{i}]."
                )
    checks.check_num_examples(where, n, MIN_EXAMPLES_DEBIASED if debiased else 2)
    widths_x, widths_y = ([layer.shape[1] for layer in layers] for layers in (centred_x, centred_y))
    form = cheaper_form(
        n,
        round(sum(widths_x) / len(widths_x)),
        round(sum(widths_y) / len(widths_y)),
        num_x=len(widths_x),
        num_y=len(widths_y),
    )
    return _cka_of_centred(centred_x, centred_y, debiased=debiased, form=form, dtype=dtype)


def both_linear_ckas(
    X: np.ndarray, Y: np.ndarray, *, dtype: type[np.floating] = np.float64, room: Room | None = None
) -> tuple[float, float]:
    """`linear_cka` and `debiased_linear_cka` from the same products; arguments and errors as of the latter.

    Memory for centred rows and Gram matrices is taken from `room`, to be used again by the next pair.
    """
    where, room = "both_linear_ckas", room or Room()
    X, Y = (checks.shaped(where, name, side, dtype=dtype) for name, side in (("X", X), ("Y", Y)))
    checks.check_same_examples(where, len(X), len(Y), MIN_EXAMPLES_DEBIASED)
    x, y = (
        centred_rows(where, name, side, room.array(name, side.shape, side.dtype)) for name, side in (("X", X), ("Y", Y))
    )
    of_products = np.float32 if x.values.dtype == y.values.dtype == np.float32 else np.float64
    form = cheaper_form(len(X), X.shape[1], Y.shape[1])
    traces = off_diagonal_traces([x.values], [y.values], form=form, dtype=of_products, room=room)
    return _both_from_traces(traces, x.square_norms, y.square_norms, dtype)


def _linear_cka(where: str, X: np.ndarray, Y: np.ndarray, *, debiased: bool, dtype: type[np.floating]) -> float:
    X, Y = checks.paired(where, X, Y, min_examples=MIN_EXAMPLES_DEBIASED if debiased else 2, dtype=dtype)
    X, Y = checks.centred(where, "X", X, in_place=True), checks.centred(where, "Y", Y, in_place=True)
    form = cheaper_form(len(X), X.shape[1], Y.shape[1])
    return float(_cka_of_centred([X], [Y], debiased=debiased, form=form, dtype=dtype)[0, 0])


def _cka_of_centred(
    Xs: list[np.ndarray], Ys: list[np.ndarray], *, debiased: bool, form: Form, dtype: type[np.floating]
) -> np.ndarray:
    """All pairs of centred layers."""
    # float64 where float32 was asked for and does not hold a layer's products.
    of_products = np.float32 if all(layer.dtype == np.float32 for layer in (*Xs, *Ys)) else np.float64
    q_x = np.stack([square_norms(X) for X in Xs])
    q_y = q_x if Ys is Xs else np.stack([square_norms(Y) for Y in Ys])
    return cka_from_traces(
        off_diagonal_traces(Xs, Ys, form=form, dtype=of_products), q_x, q_y, debiased=debiased, dtype=dtype
    )


def cka_from_traces(
    traces: Traces, q_x: np.ndarray, q_y: np.ndarray, *, debiased: bool, dtype: type[np.floating]
) -> np.ndarray:
    """CKA (num_x, num_y) from tr(K~L~) and the squared norms (num_x, n), (num_y, n) of centred features."""
    n = q_x.shape[1]
    squares_x, squares_y = (q_x**2).sum(axis=1), (q_y**2).sum(axis=1)
    if not debiased:
        # HSIC_0's factor 1 / (n - 1)^2 cancels; tr(KL) = tr(K~L~) + q_x'q_y.
        return cka_ratio(
            traces.cross + q_x @ q_y.T, (traces.self_x + squares_x)[:, None], (traces.self_y + squares_y)[None, :]
        )
    sums_x, sums_y = q_x.sum(axis=1), q_y.sum(axis=1)
    cross, _ = from_centred(traces.cross, q_x @ q_y.T, sums_x[:, None], sums_y[None, :], n)
    self_x = without_rounding(*from_centred(traces.self_x, squares_x, sums_x, sums_x, n), dtype)
    self_y = without_rounding(*from_centred(traces.self_y, squares_y, sums_y, sums_y, n), dtype)
    return cka_ratio(cross, self_x[:, None], self_y[None, :])


def _both_from_traces(
    traces: Traces, q_x: np.ndarray, q_y: np.ndarray, dtype: type[np.floating]
) -> tuple[float, float]:
    """Both CKAs of one pair of layers as `cka_from_traces` gives them, from q (n,); few calls, as layers may be small."""
    trace = np.array([traces.cross[0, 0], traces.self_x[0], traces.self_y[0]])
    q_products = np.array([q_x @ q_y, q_x @ q_x, q_y @ q_y])
    sum_x, sum_y = q_x.sum(), q_y.sum()
    hsic, size = from_centred(
        trace, q_products, np.array([sum_x, sum_x, sum_y]), np.array([sum_y, sum_x, sum_y]), len(q_x)
    )
    cross, self_x, self_y = np.stack(
        [trace + q_products, np.append(hsic[0], without_rounding(hsic[1:], size[1:], dtype))]
    ).T
    biased, debiased = cka_ratio(cross, self_x, self_y).tolist()
    return biased, debiased


def _centred_layers(where: str, name: str, layers: Sequence[np.ndarray], dtype: type[np.floating]) -> list[np.ndarray]:
    return [
        checks.centred(where, f"{name}[{i}]", checks.matrix(where, f"{name}[{i}]", layer, dtype=dtype), in_place=True)
        for i, layer in enumerate(layers)
    ]


def _gaussian_gram(where: str, name: str, X: np.ndarray, bandwidth: float) -> np.ndarray:
    """(n, n) Gaussian kernel of centred X."""
    q = square_norms(X)
    squared = q[:, None] + q[None, :] - 2.0 * (X @ X.T)
    # A squared distance that rounding made negative is 0.
    np.maximum(squared, 0.0, out=squared)
    np.fill_diagonal(squared, 0.0)
    median = float(np.median(np.sqrt(squared[np.triu_indices(len(X), k=1)])))
    if median <= 0.0:
        raise ValueError(f"{where}: more than half of the pairs of examples of {name} are equal: no median distance.")
    squared /= -2.0 * (bandwidth * median) ** 2
    return np.asarray(np.exp(squared, out=squared))
