"""Tokens of one sequence never meet: the blocked HSIC against its definition, and what plain CKA makes of dependent tokens."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tunescope.similarity.cka import debiased_linear_cka
from tunescope.similarity.hsic import hsic_debiased
from tunescope.similarity.tokens import TokenPairSums, TokenSelfSums

RNG = np.random.default_rng(0)
LENGTHS = [3, 1, 5, 2, 7, 4]
XS = [RNG.normal(size=(length, 3)) + RNG.normal(size=3) + 5.0 for length in LENGTHS]
YS = [np.column_stack([X[:, :2] ** 2, RNG.normal(size=(len(X), 2))]) for X in XS]
Sequences = list[np.ndarray]


def _blocked_hsic(Xs: Sequences, Ys: Sequences) -> float:
    """The mean of HSIC_1 over all choices of one token per sequence, as sums over distinct sequences."""
    N, xs, ys = len(Xs), [X.mean(axis=0) for X in Xs], [Y.mean(axis=0) for Y in Ys]
    pairs = [((Xs[i] @ Xs[j].T) * (Ys[i] @ Ys[j].T)).mean() for i, j in itertools.permutations(range(N), 2)]
    triples = [((Xs[i] @ xs[j]) * (Ys[i] @ ys[q])).mean() for i, j, q in itertools.permutations(range(N), 3)]
    quadruples = [(xs[i] @ xs[j]) * (ys[q] @ ys[r]) for i, j, q, r in itertools.permutations(range(N), 4)]
    return float(np.mean(pairs) - 2.0 * np.mean(triples) + np.mean(quadruples))


def _cka(Xs: Sequences, Ys: Sequences) -> float:
    return _blocked_hsic(Xs, Ys) / (_blocked_hsic(Xs, Xs) * _blocked_hsic(Ys, Ys)) ** 0.5


def _pass(Xs: Sequences, Ys: Sequences, **settings: object) -> TokenPairSums:
    sums = TokenPairSums(Xs[0].shape[1], Ys[0].shape[1], **settings)  # type: ignore[arg-type]
    sums.update(Xs, Ys)
    return sums


def test_the_definition_is_the_mean_over_draws_of_one_token_each() -> None:
    Xs, Ys = [X[:2] for X in XS], [Y[:2] for Y in YS]
    draws = [
        hsic_debiased(A @ A.T, B @ B.T)
        for choice in itertools.product(*[range(len(X)) for X in Xs])
        for A, B in [
            (
                np.stack([X[t] for X, t in zip(Xs, choice, strict=True)]),
                np.stack([Y[t] for Y, t in zip(Ys, choice, strict=True)]),
            )
        ]
    ]
    assert _blocked_hsic(Xs, Ys) == pytest.approx(np.mean(draws), rel=1e-9)


def test_one_pass_is_the_definition() -> None:
    assert _pass(XS, YS, dtype=np.float64).debiased_linear_cka() == pytest.approx(_cka(XS, YS), abs=1e-10)
    assert _pass(XS, YS).debiased_linear_cka() == pytest.approx(_cka(XS, YS), abs=1e-5)


def test_one_token_each_is_the_plain_estimate() -> None:
    X, Y = RNG.normal(size=(40, 5)) + 9.0, RNG.normal(size=(40, 4))
    sums = _pass(list(X[:, None]), list(Y[:, None]), dtype=np.float64)
    assert sums.debiased_linear_cka() == pytest.approx(debiased_linear_cka(X, Y), abs=1e-13)


def test_a_long_sequence_weighs_no_more_than_a_short_one() -> None:
    longer = [np.tile(X, (5, 1)) if i == 2 else X for i, X in enumerate(XS)]
    same = [np.tile(Y, (5, 1)) if i == 2 else Y for i, Y in enumerate(YS)]
    found = _pass(longer, same, dtype=np.float64).debiased_linear_cka()
    assert found == pytest.approx(_cka(XS, YS), abs=1e-10)


@pytest.mark.parametrize("shift", [None, np.array([5.0, -3.0, 100.0])])
def test_batches_and_merges_with_other_shifts(shift: np.ndarray | None) -> None:
    first, second = _pass(XS[:2], YS[:2], dtype=np.float64), TokenPairSums(3, 4, dtype=np.float64, shift_x=shift)
    for X, Y in zip(XS[2:], YS[2:], strict=True):
        second.update([X], [Y])
    empty = TokenPairSums(3, 4, dtype=np.float64)
    empty.merge(first)
    empty.merge(second)
    empty.merge(TokenPairSums(3, 4, dtype=np.float64))
    assert empty.num_examples == 6
    assert empty.debiased_linear_cka() == pytest.approx(_cka(XS, YS), abs=1e-9)


def test_independent_states_score_zero_where_the_plain_estimate_does_not() -> None:
    blocked, plain = [], []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        X, Y = (rng.normal(size=(40, 1, 16)) + 0.5 * rng.normal(size=(40, 20, 16)) for _ in range(2))
        blocked.append(_pass(list(X), list(Y)).debiased_linear_cka())
        plain.append(debiased_linear_cka(X.reshape(-1, 16), Y.reshape(-1, 16)))
    assert abs(np.mean(blocked)) < 4 * np.std(blocked) / 30**0.5
    assert min(plain) > 0.15


def test_the_base_s_term_serves_every_comparison() -> None:
    base = _pass(XS, YS).base_terms()
    bare = _pass(XS, YS, with_base=False)
    assert bare.debiased_linear_cka(base) == _pass(XS, YS).debiased_linear_cka()
    with pytest.raises(ValueError, match="the base's self-term was not summed"):
        bare.debiased_linear_cka()


def test_one_side_alone_has_the_terms_that_the_pair_has() -> None:
    alone = TokenSelfSums(3)
    alone.update(XS)
    assert alone.terms() == _pass(XS, YS).base_terms()
    cut = TokenSelfSums(3, dtype=np.float64)
    for start in range(0, len(XS), 2):
        cut.update(XS[start : start + 2])
    assert cut.terms().debiased == pytest.approx(_blocked_hsic(XS, XS), rel=1e-9)


@pytest.mark.parametrize("change", [lambda Xs: Xs[::-1][:-1], lambda Xs: [1.001 * X for X in Xs]])
def test_terms_of_other_sequences_are_refused(change) -> None:  # type: ignore[no-untyped-def]
    other = TokenSelfSums(3)
    other.update(change(XS))
    with pytest.raises(ValueError, match=r"^TokenPairSums: the base's terms must be of the same sequences"):
        _pass(XS, YS, with_base=False).debiased_linear_cka(other.terms())


def test_one_side_alone_refuses_what_the_pair_refuses() -> None:
    sums = TokenSelfSums(3)
    with pytest.raises(ValueError, match=r"^TokenSelfSums: needs at least 4 sequences, got 0"):
        sums.terms()
    with pytest.raises(ValueError, match=r"^TokenSelfSums: X must have 3 features, got 4"):
        sums.update(YS)
    with pytest.raises(ValueError, match="dtype must be float32 or float64, got float16"):
        TokenSelfSums(3, dtype=np.float16)
    sums.update([np.ones((2, 3))] * 5)
    with pytest.raises(ValueError, match=r"^TokenSelfSums: X is constant"):
        sums.terms()


def test_refusals() -> None:
    sums = _pass(XS[:3], YS[:3])
    with pytest.raises(ValueError, match=r"^TokenPairSums: needs at least 4 sequences, got 3"):
        sums.debiased_linear_cka()
    with pytest.raises(
        ValueError, match=r"^TokenPairSums: X and Y must hold the same tokens of sequence 3, got 2 and 7"
    ):
        sums.update([XS[3]], [YS[4]])
    with pytest.raises(ValueError, match=r"^TokenPairSums: Y must have 4 features, got 3"):
        sums.update([XS[3]], [XS[3]])
    assert sums.num_examples == 3
    with pytest.raises(ValueError, match="can only merge"):
        sums.merge(TokenPairSums(3, 3))
    constant = _pass([np.full((2, 3), 0.1)] * 5, [RNG.normal(size=(2, 3)) for _ in range(5)])
    with pytest.raises(ValueError, match=r"^TokenPairSums: X is constant: all tokens have the same features"):
        constant.debiased_linear_cka()
    with pytest.raises(ValueError, match="dtype must be float32 or float64"):
        TokenPairSums(3, 3, dtype=np.float16)
    with pytest.raises(ValueError, match="shift_x must be 3 finite numbers"):
        TokenPairSums(3, 3, shift_x=np.zeros(4))
