"""One pass gives what the whole matrices give, however it is cut, merged, saved or shifted."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tunescope.similarity.cka import debiased_linear_cka, linear_cka
from tunescope.similarity.streaming import PairSums, SelfSums

RNG = np.random.default_rng(0)
N = 1500
X = RNG.normal(size=(N, 10))
Y = X @ RNG.normal(size=(10, 7)) + 2.0 * RNG.normal(size=(N, 7))
MEAN = RNG.normal(size=10) * 1000**0.5  # its square is a thousand times the variance
FAR = X + MEAN


def _pass(X: np.ndarray, Y: np.ndarray, *, batch: int = 200, **settings: object) -> PairSums:
    sums = PairSums(X.shape[1], Y.shape[1], **settings)  # type: ignore[arg-type]
    for start in range(0, len(X), batch):
        sums.update(X[start : start + batch], Y[start : start + batch])
    return sums


@pytest.mark.parametrize("n", [60, 300, N])
@pytest.mark.parametrize("folded", [False, True])
def test_equal_to_the_whole_matrices_in_float64(n: int, folded: bool) -> None:
    sums = _pass(FAR[:n], Y[:n], dtype=np.float64)
    if folded:
        sums.fold()
    assert sums.keeps_rows == (n < 500 and not folded)
    assert sums.num_examples == n
    assert sums.debiased_linear_cka() == pytest.approx(debiased_linear_cka(FAR[:n], Y[:n]), abs=1e-12)
    assert sums.linear_cka() == pytest.approx(linear_cka(FAR[:n], Y[:n]), abs=1e-12)


@pytest.mark.parametrize("n", [300, N])
def test_float32_holds_under_a_mean_whose_square_is_a_thousand_variances(n: int) -> None:
    X32, Y32 = FAR[:n].astype(np.float32), (Y[:n] + 100.0).astype(np.float32)
    found = _pass(X32, Y32).debiased_linear_cka()
    assert found == pytest.approx(debiased_linear_cka(X32, Y32), abs=2e-7)


@pytest.mark.parametrize("cuts", [[0, 700, N], [0, 100, 300, N], [0, 1400, N], [0, 0, N, N]])
def test_chunks_with_shifts_of_their_own_merge_exactly(cuts: list[int]) -> None:
    order = np.argsort(FAR[:, 0])  # chunks that differ
    parts = [
        _pass(FAR[order[low:high]], Y[order[low:high]], dtype=np.float64) for low, high in itertools.pairwise(cuts)
    ]
    saved = [part.to_arrays() for part in parts[1:]]
    for part in parts[1:]:
        parts[0].merge(part)
    assert parts[0].num_examples == N
    assert parts[0].debiased_linear_cka() == pytest.approx(debiased_linear_cka(FAR, Y), abs=1e-12)
    assert parts[0].linear_cka() == pytest.approx(linear_cka(FAR, Y), abs=1e-12)
    for part, before in zip(parts[1:], saved, strict=True):
        for name, array in part.to_arrays().items():
            np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("n", [0, 100, N])
@pytest.mark.parametrize("with_base", [True, False])
def test_saved_and_gone_on_with(n: int, with_base: bool) -> None:
    whole = _pass(FAR, Y, dtype=np.float64)
    restored = PairSums.from_arrays(_pass(FAR[:n], Y[:n], dtype=np.float64, with_base=with_base).to_arrays())
    restored.update(FAR[n:], Y[n:])
    base = SelfSums(10, dtype=np.float64)
    base.update(FAR[:n])
    base = SelfSums.from_arrays(base.to_arrays())
    base.update(FAR[n:])
    found = restored.debiased_linear_cka(None if with_base else base.terms())
    assert found == pytest.approx(whole.debiased_linear_cka(), abs=1e-12)


@pytest.mark.parametrize("n", [100, N])
def test_the_base_s_terms_serve_every_comparison(n: int) -> None:
    base = SelfSums(10, FAR[0], dtype=np.float64)
    base.update(FAR[:n])
    for tuned in (Y[:n], Y[:n, :3]):
        sums = _pass(FAR[:n], tuned, dtype=np.float64, with_base=False)
        assert sums.debiased_linear_cka(base.terms()) == pytest.approx(debiased_linear_cka(FAR[:n], tuned), abs=1e-12)
        assert sums.linear_cka(base.terms()) == pytest.approx(linear_cka(FAR[:n], tuned), abs=1e-12)


def test_a_base_of_other_examples_is_refused() -> None:
    base = SelfSums(10)
    base.update(FAR[:100])
    sums = _pass(FAR[1:101], Y[1:101])
    with pytest.raises(ValueError, match="the base's SelfTerms must be of the same examples"):
        sums.debiased_linear_cka(base.terms())
    base.update(FAR[100:101])
    with pytest.raises(ValueError, match="got 101 with scatter"):
        sums.linear_cka(base.terms())
    bare = _pass(FAR, Y, with_base=False)
    with pytest.raises(ValueError, match="give the base's SelfTerms"):
        bare.linear_cka()


def test_a_result_midway_counts_what_came_so_far() -> None:
    sums = PairSums(10, 7, dtype=np.float64)
    for end in (4, 100, 900, N):
        sums.update(FAR[sums.num_examples : end], Y[sums.num_examples : end])
        assert sums.debiased_linear_cka() == pytest.approx(debiased_linear_cka(FAR[:end], Y[:end]), abs=1e-12)


@pytest.mark.parametrize("folded", [False, True])
def test_what_is_refused(folded: bool) -> None:
    sums = _pass(np.full((50, 10), 0.1), Y[:50])
    if folded:
        sums.fold()
    with pytest.raises(ValueError, match=r"^PairSums: X is constant"):
        sums.linear_cka()
    with pytest.raises(ValueError, match=r"^PairSums: X must be examples by 10 features, got shape"):
        sums.update(Y[:5], Y[:5])
    with pytest.raises(
        ValueError, match=r"^PairSums: X and Y must hold the same examples in the same order, got 5 rows and 4"
    ):
        sums.update(X[:5], Y[:4])
    bad = Y[:5].copy()
    bad[3, 2] = np.inf
    with pytest.raises(ValueError, match=r"^PairSums: Y must be finite numbers, got inf in row 53, feature 2"):
        sums.update(X[:5], bad)
    assert sums.num_examples == 50
    with pytest.raises(ValueError, match="can only merge with sums of the same features"):
        sums.merge(PairSums(10, 6))


def test_too_few() -> None:
    sums = PairSums(10, 7)
    with pytest.raises(ValueError, match="no examples to fold"):
        sums.fold()
    sums.update(X[:3], Y[:3])
    with pytest.raises(ValueError, match="needs at least 4 examples, got 3"):
        sums.debiased_linear_cka()
    assert sums.linear_cka() == pytest.approx(linear_cka(X[:3], Y[:3]), abs=1e-6)
    with pytest.raises(ValueError, match="dtype must be float32 or float64, got float16"):
        PairSums(3, 3, dtype=np.float16)
    with pytest.raises(ValueError, match="shift_y must be 3 finite numbers"):
        PairSums(3, 3, shift_y=np.zeros(2))


@pytest.mark.parametrize("scale", [1e-20, 1e8])
def test_numbers_whose_products_float32_does_not_hold(scale: float) -> None:
    X32, Y32 = (FAR[:100] * scale).astype(np.float32), Y[:100].astype(np.float32)
    sums = _pass(X32, Y32)
    assert sums.debiased_linear_cka() == pytest.approx(debiased_linear_cka(X32, Y32), abs=1e-7)
    sums = _pass(X32, Y32)
    sums.fold()
    with pytest.raises(ValueError, match=r"^PairSums: X has a mean square of .*: scale it, or take dtype=np.float64"):
        sums.debiased_linear_cka()


@pytest.mark.parametrize("folded", [False, True])
def test_nan_where_all_examples_are_equally_far_apart(folded: bool) -> None:
    sums = _pass(np.eye(9), RNG.normal(size=(9, 3)))
    if folded:
        sums.fold()
    assert np.isnan(sums.debiased_linear_cka())
    assert np.isfinite(sums.linear_cka())
