"""Every measure of two representations, by name.

`probe.probe_agreement` stands apart, since it needs labels; `cka.cka_matrix` compares all pairs of layers.
"""

from __future__ import annotations

import math

from tunescope.similarity import aligned
from tunescope.similarity.cca import pwcca, svcca
from tunescope.similarity.cka import debiased_linear_cka, linear_cka, rbf_cka
from tunescope.similarity.measure import Map, Measure, always_valid
from tunescope.similarity.neighbours import mutual_knn
from tunescope.similarity.procrustes import procrustes_distance, procrustes_residual
from tunescope.similarity.rsa import rsa

_CHANCE = 0.1
"""A measure that unrelated representations bring to this value is not to be read without the shuffled control."""
_NEIGHBOURS = 10

_ROTATIONS: frozenset[Map] = frozenset({"rotation", "permutation of features"})
_SHAPE: frozenset[Map] = _ROTATIONS | {"isotropic scaling", "translation"}
_ROTATIONS_AND_SCALING: frozenset[Map] = _ROTATIONS | {"isotropic scaling"}


def _biased_linear(n: int, d_x: int, d_y: int) -> str | None:
    # E||X'Y||^2 = n d_x d_y and E||X'X||^2 = n^2 d + n d^2 for independent features of equal variance.
    return _biased(math.sqrt(d_x * d_y / ((n + d_x) * (n + d_y))), n, d_x, d_y)


def _biased_rbf(n: int, d_x: int, d_y: int) -> str | None:
    # The same with 0.6 n: exp(-1) (1/2)^2 / (1 - exp(-1/2))^2 = 0.594, from the Gaussian kernel at the median distance.
    return _biased(math.sqrt(d_x * d_y / ((0.6 * n + d_x) * (0.6 * n + d_y))), n, d_x, d_y)


def _biased(chance: float, n: int, d_x: int, d_y: int) -> str | None:
    if chance < _CHANCE:
        return None
    return f"biased: unrelated features of equal variance would score about {chance:.2f} at {_size(n, d_x, d_y)}"


def _few_examples_debiased(n: int, d_x: int, d_y: int) -> str | None:
    # Of a degenerate U-statistic, whatever d.
    return None if n >= 30 else f"few examples: chance alone gives +-{math.sqrt(2 / (n * (n - 3))):.2f} (sd) at n = {n}"


def _few_examples_rsa(n: int, d_x: int, d_y: int) -> str | None:
    return None if n >= 100 else f"few examples: chance alone gives about +-{0.5 / math.sqrt(n):.2f} (sd) at n = {n}"


def _few_for_centring(n: int, d_x: int, d_y: int) -> str | None:
    return None if n >= 10 else f"few examples: each is a large part of the mean that is removed at n = {n}"


def _rotation_fits(n: int, d_x: int, d_y: int) -> str | None:
    if n >= 10 * max(d_x, d_y):
        return None
    return f"n < 10 d: a rotation of so many features fits unrelated examples too, at {_size(n, d_x, d_y)}"


def _canonical(n: int, d_x: int, d_y: int) -> str | None:
    if n - 1 <= max(d_x, d_y):
        return f"n - 1 <= d: canonical correlations of all directions are 1 whatever the data, at {_size(n, d_x, d_y)}"
    chance = math.sqrt(max(d_x, d_y) / (n - 1))
    if n >= 10 * max(d_x, d_y):
        return None
    return (
        f"n < 10 d: unrelated features would correlate by about {chance:.2f} (root mean square) at {_size(n, d_x, d_y)}"
    )


def _neighbours_by_chance(n: int, d_x: int, d_y: int) -> str | None:
    chance = _NEIGHBOURS / (n - 1)
    return None if chance <= _CHANCE else f"few examples: chance alone gives {min(chance, 1.0):.2f} at n = {n}"


def _size(n: int, d_x: int, d_y: int) -> str:
    return f"n = {n}, d = {d_x}" if d_x == d_y else f"n = {n}, d = {d_x} and {d_y}"


_ALL = (
    Measure(
        name="debiased_linear_cka",
        function=debiased_linear_cka,
        formula="HSIC_1(X, Y) / sqrt(HSIC_1(X, X) HSIC_1(Y, Y)), linear kernels",
        source="Song et al. 2012, JMLR 13; Nguyen et al. 2021, arXiv:2010.15327",
        range=(-1.0, 1.0),
        higher_means="more alike",
        of_itself=1.0,
        unchanged_by=_SHAPE,
        unchanged_by_same=_SHAPE,
        is_symmetric=True,
        same_features=False,
        min_examples=4,
        regime=_few_examples_debiased,
        fails="ruled by the directions of greatest variance: what changes outside them is not seen; rotations are forgiven; a "
        "single far example can carry it; NaN where U-centred Gram matrices vanish",
    ),
    Measure(
        name="linear_cka",
        function=linear_cka,
        formula="||Yc'Xc||_F^2 / (||Xc'Xc||_F ||Yc'Yc||_F)",
        source="Kornblith et al. 2019, arXiv:1905.00414",
        range=(0.0, 1.0),
        higher_means="more alike",
        of_itself=1.0,
        unchanged_by=_SHAPE,
        unchanged_by_same=_SHAPE,
        is_symmetric=True,
        same_features=False,
        min_examples=2,
        regime=_biased_linear,
        fails="biased upwards, the more the greater d / n; else as debiased_linear_cka",
    ),
    Measure(
        name="rbf_cka",
        function=rbf_cka,
        formula="HSIC_0(K, L) / sqrt(HSIC_0(K, K) HSIC_0(L, L)), K_ij = exp(-|x_i - x_j|^2 / (2 median^2))",
        source="Kornblith et al. 2019, arXiv:1905.00414",
        range=(0.0, 1.0),
        higher_means="more alike",
        of_itself=1.0,
        unchanged_by=_SHAPE,
        unchanged_by_same=_SHAPE,
        is_symmetric=True,
        same_features=False,
        min_examples=2,
        regime=_biased_rbf,
        fails="biased upwards, more than linear_cka; depends on the bandwidth; tends to linear CKA where all distances are alike",
    ),
    Measure(
        name="cosine",
        function=aligned.cosine,
        formula="mean_i <x_i, y_i> / (|x_i| |y_i|)",
        source="per example; Ethayarajh 2019, arXiv:1909.00512, on why it is near 1",
        range=(-1.0, 1.0),
        higher_means="more alike",
        of_itself=1.0,
        unchanged_by=frozenset({"isotropic scaling"}),
        unchanged_by_same=_ROTATIONS_AND_SCALING,
        is_symmetric=True,
        same_features=True,
        needs_spread=False,
        min_examples=1,
        regime=always_valid,
        fails="near 1 between any two states that share a large mean, as transformers' do: centred_cosine does not",
        leave_one_out=aligned.cosine_leave_one_out,
    ),
    Measure(
        name="centred_cosine",
        function=aligned.centred_cosine,
        formula="mean_i cos(x_i - mean(X), y_i - mean(Y))",
        source="cosine with the common mean removed; Mu and Viswanath 2018, arXiv:1702.01417",
        range=(-1.0, 1.0),
        higher_means="more alike",
        of_itself=1.0,
        unchanged_by=frozenset({"isotropic scaling", "translation"}),
        unchanged_by_same=_SHAPE,
        is_symmetric=True,
        same_features=True,
        min_examples=2,
        regime=_few_for_centring,
        fails="does not see a shift common to all examples (mean_shift does), nor a change of length; ruled by few features "
        "where few are far greater than the rest",
        leave_one_out=aligned.centred_cosine_leave_one_out,
    ),
    Measure(
        name="relative_change",
        function=aligned.relative_change,
        formula="||Y - X||_F / ||X||_F",
        source="relative L2 change",
        range=(0.0, math.inf),
        unit="lengths of the base",
        higher_means="further apart",
        of_itself=0.0,
        unchanged_by=frozenset(),
        unchanged_by_same=_ROTATIONS_AND_SCALING,
        is_symmetric=False,
        same_features=True,
        needs_spread=False,
        min_examples=1,
        regime=always_valid,
        fails="small where states share a large mean, whatever happened to the rest; long states weigh most; grows with mere "
        "length",
        leave_one_out=aligned.relative_change_leave_one_out,
    ),
    Measure(
        name="norm_ratio",
        function=aligned.norm_ratio,
        formula="||Y||_F / ||X||_F",
        source="ratio of Frobenius norms",
        range=(0.0, math.inf),
        higher_means="longer states; 1 is no change",
        of_itself=1.0,
        unchanged_by=_ROTATIONS,
        unchanged_by_same=_ROTATIONS_AND_SCALING,
        is_symmetric=False,
        same_features=True,
        needs_spread=False,
        min_examples=1,
        regime=always_valid,
        fails="sees length alone; a few long states rule it",
        leave_one_out=aligned.norm_ratio_leave_one_out,
    ),
    Measure(
        name="mean_shift",
        function=aligned.mean_shift,
        formula="|mean(Y) - mean(X)| / sqrt(sum_i |x_i - mean(X)|^2 / (n - 1))",
        source="standardised mean difference of paired vectors",
        range=(0.0, math.inf),
        unit="sd of the base",
        higher_means="further apart",
        of_itself=0.0,
        unchanged_by=frozenset(),
        unchanged_by_same=_SHAPE,
        is_symmetric=False,
        same_features=True,
        min_examples=2,
        regime=always_valid,
        fails="sees what is common to all examples alone; moves that differ between examples leave a mean of about their "
        "length / sqrt(n), so it is never quite 0",
        leave_one_out=aligned.mean_shift_leave_one_out,
    ),
    Measure(
        name="procrustes_distance",
        function=procrustes_distance,
        formula="arccos(||Xc'Yc||_* / (||Xc||_F ||Yc||_F))",
        source="Williams et al. 2021, arXiv:2110.14739",
        range=(0.0, math.pi / 2.0),
        unit="radians",
        higher_means="further apart",
        of_itself=0.0,
        unchanged_by=_SHAPE,
        unchanged_by_same=_SHAPE,
        is_symmetric=True,
        same_features=False,
        min_examples=2,
        regime=_rotation_fits,
        fails="with few examples a rotation fits anything; an SVD of min(n, d)^3",
    ),
    Measure(
        name="procrustes_residual",
        function=procrustes_residual,
        formula="min over orthogonal Q of ||Xc Q - Yc||_F / ||Xc||_F",
        source="Schoenemann 1966, doi:10.1007/BF02289451; Williams et al. 2021, arXiv:2110.14739 (size and shape)",
        range=(0.0, math.inf),
        unit="lengths of the centred base",
        higher_means="further apart",
        of_itself=0.0,
        unchanged_by=_ROTATIONS | {"translation"},
        unchanged_by_same=_SHAPE,
        is_symmetric=False,
        same_features=False,
        min_examples=2,
        regime=_rotation_fits,
        fails="grows with mere length; else as procrustes_distance",
    ),
    Measure(
        name="svcca",
        function=svcca,
        formula="mean canonical correlation of the leading singular directions that hold 99% of each side's variance",
        source="Raghu et al. 2017, arXiv:1706.05806",
        range=(0.0, 1.0),
        higher_means="more alike",
        of_itself=1.0,
        unchanged_by=_SHAPE,
        unchanged_by_same=_SHAPE,
        is_symmetric=True,
        same_features=False,
        min_examples=2,
        regime=_canonical,
        fails="biased upwards unless n is many times what is kept; jumps where a direction enters or leaves the 99%; directions "
        "of noise count as much as those of signal",
    ),
    Measure(
        name="pwcca",
        function=pwcca,
        formula="sum_i w_i rho_i / sum_i w_i, w_i = sum_j |<h_i, x_j>|, h_i the canonical variables of X",
        source="Morcos et al. 2018, arXiv:1806.05759",
        range=(0.0, 1.0),
        higher_means="more alike",
        of_itself=1.0,
        unchanged_by=frozenset({"isotropic scaling", "translation", "permutation of features"}),
        unchanged_by_same=frozenset({"isotropic scaling", "translation", "permutation of features"}),
        is_symmetric=False,
        same_features=False,
        min_examples=2,
        regime=_canonical,
        fails="biased upwards unless n is many times d; 1 whatever the data at n <= d, and undefined between there and n = d_x + "
        "d_y; weights are arbitrary among equal correlations; a rotation of the base changes it; float32 rounding in a flat direction counts as a direction",
    ),
    Measure(
        name="rsa",
        function=rsa,
        formula="Spearman correlation over pairs i < j of |x_i - x_j| with |y_i - y_j|",
        source="Kriegeskorte et al. 2008, doi:10.3389/neuro.06.004.2008",
        range=(-1.0, 1.0),
        higher_means="more alike",
        of_itself=1.0,
        unchanged_by=_SHAPE,
        unchanged_by_same=_SHAPE,
        is_symmetric=True,
        same_features=False,
        min_examples=3,
        regime=_few_examples_rsa,
        fails="a few far examples order most pairs; equal distances that differ by rounding get ranks of their own; pairs are "
        "not independent; O(n^2) memory",
    ),
    Measure(
        name="mutual_knn",
        function=mutual_knn,
        formula="mean_i |N_k(x_i) and N_k(y_i)| / k, k = 10 nearest by cosine",
        source="Huh et al. 2024, arXiv:2405.07987",
        range=(0.0, 1.0),
        higher_means="more alike",
        of_itself=1.0,
        unchanged_by=_ROTATIONS_AND_SCALING,
        unchanged_by_same=_ROTATIONS_AND_SCALING,
        is_symmetric=True,
        same_features=False,
        min_examples=_NEIGHBOURS + 2,
        regime=_neighbours_by_chance,
        fails="k / (n - 1) by chance, so values at different n do not compare; blind to all that is far; neighbours in many "
        "dimensions may be decided by little (hubs)",
    ),
)

MEASURES: dict[str, Measure] = {measure.name: measure for measure in _ALL}
