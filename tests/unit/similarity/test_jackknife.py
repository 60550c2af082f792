"""Leaving one out: the values are those of doing it, and the intervals behave."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tunescope.similarity import jackknife
from tunescope.similarity.cka import debiased_linear_cka, linear_cka
from tunescope.similarity.jackknife import (
    PairCka,
    base_terms,
    debiased_cka_jackknife,
    interval,
    paired_jackknife,
    token_jackknife,
)
from tunescope.similarity.tokens import TokenPairSums

RNG = np.random.default_rng(0)


def _pair(n: int, d: int, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    X = RNG.normal(size=(n, d)) + 9.0
    return X, X @ RNG.normal(size=(d, 6)) + noise * RNG.normal(size=(n, 6))


@pytest.mark.parametrize("n,d", [(5, 3), (30, 50), (30, 400), (120, 5)])  # (30, 400) by Gram matrices
def test_each_value_is_the_cka_without_that_example(n: int, d: int) -> None:
    X, Y = _pair(n, d)
    found = debiased_cka_jackknife(X, Y)
    expected = [debiased_linear_cka(np.delete(X, i, axis=0), np.delete(Y, i, axis=0)) for i in range(n)]
    np.testing.assert_allclose(found.leave_one_out, expected, atol=1e-11)
    assert found.estimate == pytest.approx(debiased_linear_cka(X, Y), abs=1e-13)
    assert found.standard_error == pytest.approx(((n - 1) * np.var(expected)) ** 0.5, rel=1e-9)


def test_panels_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    X, Y = _pair(30, 400)
    whole = debiased_cka_jackknife(X, Y).leave_one_out
    monkeypatch.setattr("tunescope.similarity.cross._ROWS_PER_TILE", 7)
    np.testing.assert_allclose(debiased_cka_jackknife(X, Y).leave_one_out, whole, atol=1e-13)


@pytest.mark.parametrize("n,d", [(30, 400), (120, 5)])  # by Gram matrices, by features
def test_a_pair_makes_its_products_once_for_all_it_is_asked(n: int, d: int, monkeypatch: pytest.MonkeyPatch) -> None:
    X, Y = _pair(n, d)
    biased, debiased, intervals = linear_cka(X, Y), debiased_linear_cka(X, Y), debiased_cka_jackknife(X, Y)
    calls, made = [], jackknife._traces_and_rows

    def counted(*given: Any) -> Any:
        calls.append(given)
        return made(*given)

    monkeypatch.setattr(jackknife, "_traces_and_rows", counted)
    pair = PairCka(X, Y)
    assert (pair.linear_cka(), pair.debiased_linear_cka()) == pytest.approx((biased, debiased), abs=1e-14)
    np.testing.assert_array_equal(pair.jackknife().leave_one_out, intervals.leave_one_out)
    assert len(calls) == 1


def test_a_pair_of_few_examples_gives_what_is_defined() -> None:
    X, Y = _pair(3, 4)
    pair = PairCka(X, Y)
    assert pair.linear_cka() == linear_cka(X, Y)
    with pytest.raises(ValueError, match=r"^debiased_linear_cka: needs at least 4 examples, got 3"):
        pair.debiased_linear_cka()
    with pytest.raises(ValueError, match=r"^debiased_cka_jackknife: needs at least 5 examples, got 3"):
        pair.jackknife()


@pytest.mark.parametrize("n,d,other", [(30, 400, 400), (120, 5, 5), (120, 5, 80)])  # Gram matrices, features, both
def test_what_is_known_of_the_base_is_not_computed_again(
    n: int, d: int, other: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, Y = RNG.normal(size=(n, d)) + 9.0, RNG.normal(size=(n, other))
    plain, base = PairCka(X, Y), base_terms(X)
    asked, made = [], jackknife._traces_and_rows

    def noted(sides: Any, pairs: Any) -> Any:
        asked.extend(pairs)
        return made(sides, pairs)

    monkeypatch.setattr(jackknife, "_traces_and_rows", noted)
    known = PairCka(X, Y, base)
    found = known.linear_cka(), known.debiased_linear_cka(), known.jackknife()
    assert asked == [(0, 1), (1, 1)]
    assert found[:2] == pytest.approx((plain.linear_cka(), plain.debiased_linear_cka()), abs=1e-12)
    np.testing.assert_allclose(found[2].leave_one_out, plain.jackknife().leave_one_out, atol=1e-12)


@pytest.mark.parametrize("change", [lambda X: X[::-1], lambda X: X[1:], lambda X: 1.01 * X])
def test_terms_of_other_states_are_refused(change: Any) -> None:
    X, Y = _pair(40, 6)
    pair = PairCka(X, Y, base_terms(change(X)))
    with pytest.raises(ValueError, match="the base's terms must be of the same examples in the same order"):
        pair.debiased_linear_cka()


def test_float_noise_is_no_other_state_and_a_constant_has_no_terms() -> None:
    X, Y = _pair(40, 6)
    noisy = X * (1.0 + 1e-6 * RNG.normal(size=X.shape))
    plain = PairCka(X, Y).debiased_linear_cka()
    assert PairCka(X, Y, base_terms(noisy)).debiased_linear_cka() == pytest.approx(plain, abs=1e-5)
    with pytest.raises(ValueError, match=r"^base_terms: X is constant"):
        base_terms(np.ones((6, 2)))
    with pytest.raises(ValueError, match=r"^base_terms: needs at least 2 examples, got 1"):
        base_terms(np.ones((1, 2)))


@pytest.mark.parametrize(
    "d", [3, 24, 70]
)  # 10 sequences: by features, by sequences' means, and tokens by Gram matrices
def test_tokens_leave_out_one_sequence(d: int) -> None:
    lengths = RNG.integers(1, 9, size=10)
    Xs = [RNG.normal(size=(length, d)) + RNG.normal(size=d) + 5.0 for length in lengths]
    Ys = [np.column_stack([X[:, : d - 1] ** 2, RNG.normal(size=(len(X), 2))]) for X in Xs]

    def cka(kept: list[int]) -> float:
        sums = TokenPairSums(d, d + 1, dtype=np.float64)
        sums.update([Xs[i] for i in kept], [Ys[i] for i in kept])
        return sums.debiased_linear_cka()

    found = token_jackknife(Xs, Ys)
    expected = [cka([i for i in range(10) if i != left]) for left in range(10)]
    np.testing.assert_allclose(found.leave_one_out, expected, atol=1e-12)
    assert found.estimate == pytest.approx(cka(list(range(10))), abs=1e-12)
    assert "over 10 sequences" in found.method


def test_tokens_with_one_token_each_are_examples() -> None:
    X, Y = _pair(20, 4)
    found = token_jackknife(list(X[:, None]), list(Y[:, None]))
    np.testing.assert_allclose(found.leave_one_out, debiased_cka_jackknife(X, Y).leave_one_out, atol=1e-12)


def test_near_one_the_interval_stays_below_it() -> None:
    X, _ = _pair(12, 4)
    found = debiased_cka_jackknife(X, X + 0.3 * RNG.normal(size=X.shape))
    assert found.method == "jackknife over 12 examples, t interval on the scale of log(1 - value)"
    assert found.ci_low < found.estimate < found.ci_high < 1.0
    low, high = np.log(1 - found.ci_low), np.log(1 - found.ci_high)
    assert (low + high) / 2 == pytest.approx(np.log(1 - found.estimate))


def test_base_against_itself_is_one_without_width() -> None:
    X, _ = _pair(50, 4)
    found = debiased_cka_jackknife(X, X)
    assert (found.estimate, found.ci_low, found.ci_high) == pytest.approx((1.0, 1.0, 1.0), abs=1e-12)
    assert "log" not in found.method


def test_paired_takes_out_what_examples_share() -> None:
    X, Y = _pair(200, 6)
    near, far = Y + 0.1 * RNG.normal(size=Y.shape), Y + 0.5 * RNG.normal(size=Y.shape)
    found, a, b = paired_jackknife(X, near, far), debiased_cka_jackknife(X, near), debiased_cka_jackknife(X, far)
    np.testing.assert_allclose(found.leave_one_out, a.leave_one_out - b.leave_one_out, atol=1e-13)
    assert found.estimate == pytest.approx(a.estimate - b.estimate, abs=1e-13)
    assert found.standard_error < 0.7 * np.hypot(a.standard_error, b.standard_error)
    nothing = paired_jackknife(X, Y, Y)
    assert (nothing.estimate, nothing.standard_error) == pytest.approx((0.0, 0.0), abs=1e-12)


def test_the_interval_of_a_mean_is_student_s() -> None:
    x = RNG.normal(size=15)
    found = interval(float(x.mean()), (x.sum() - x) / 14, level=0.9)
    half = 1.76131 * x.std(ddof=1) / 15**0.5  # t of 14 degrees of freedom, from a printed table
    assert (found.ci_low, found.ci_high) == pytest.approx((x.mean() - half, x.mean() + half), rel=1e-5)


def test_the_interval_of_a_sample_shrinks_with_the_root_of_its_share() -> None:
    X, Y = _pair(40, 4, noise=8.0)
    whole = debiased_cka_jackknife(X, Y)
    found = interval(whole.estimate - 0.01, whole.leave_one_out, at_most_one=True, num_examples=4000)
    assert found.method == "jackknife over 40 of 4,000 examples, scaled, t interval"
    assert found.estimate == whole.estimate - 0.01
    assert found.standard_error == pytest.approx(whole.standard_error / 10)
    assert found.ci_high - found.ci_low == pytest.approx((whole.ci_high - whole.ci_low) / 10)
    assert (found.ci_high + found.ci_low) / 2 == pytest.approx(found.estimate)
    same = interval(whole.estimate, whole.leave_one_out, at_most_one=True, num_examples=40)
    assert (same.ci_low, same.ci_high, same.method) == (whole.ci_low, whole.ci_high, whole.method)


def test_near_one_the_interval_of_a_sample_shrinks_on_the_log_scale() -> None:
    X, _ = _pair(40, 4)
    whole = debiased_cka_jackknife(X, X + 0.3 * RNG.normal(size=X.shape))
    found = interval(whole.estimate, whole.leave_one_out, at_most_one=True, num_examples=160)
    assert found.method == "jackknife over 40 of 160 examples, scaled, t interval on the scale of log(1 - value)"
    widths = [np.log((1.0 - one.ci_low) / (1.0 - one.ci_high)) for one in (whole, found)]
    assert widths[1] == pytest.approx(widths[0] / 2)


def test_the_interval_of_a_sample_holds_the_population_s_value() -> None:
    rng = np.random.default_rng(5)
    scale = np.array([2.0, 1.0, 0.5, 0.3])
    population = np.sum(scale**4) / np.sqrt(np.sum(scale**4) * np.sum((scale**2 + 0.25) ** 2))
    held = 0
    for _ in range(200):
        X = rng.normal(size=(600, 4)) * scale
        Y = X + 0.5 * rng.normal(size=X.shape)
        sample = debiased_cka_jackknife(X[:200], Y[:200])
        found = interval(debiased_linear_cka(X, Y), sample.leave_one_out, at_most_one=True, num_examples=600)
        held += found.ci_low <= population <= found.ci_high
    assert 180 <= held <= 199  # 95% of 200, within three standard deviations


def test_refusals() -> None:
    X, Y = _pair(20, 3)
    with pytest.raises(ValueError, match=r"^debiased_cka_jackknife: needs at least 5 examples, got 4"):
        debiased_cka_jackknife(X[:4], Y[:4])
    with pytest.raises(ValueError, match=r"^token_jackknife: needs at least 5 sequences, got 4"):
        token_jackknife(list(X[:4, None]), list(Y[:4, None]))
    with pytest.raises(ValueError, match=r"^paired_jackknife: X and Y must hold the same examples"):
        paired_jackknife(X, Y, Y[1:])
    with pytest.raises(ValueError, match=r"^debiased_cka_jackknife: a self-term is not positive"):
        debiased_cka_jackknife(np.eye(20), Y)
    with pytest.raises(ValueError, match=r"^interval: level must lie between 0 and 1, got 95"):
        debiased_cka_jackknife(X, Y, level=95.0)
    with pytest.raises(ValueError, match="must be finite"):
        interval(np.nan, np.ones(3))
    with pytest.raises(ValueError, match="at least 2 leave-one-out values"):
        interval(1.0, np.ones(1))
    with pytest.raises(ValueError, match="a sample of 3 examples cannot be of 2"):
        interval(1.0, np.ones(3), num_examples=2)


def test_where_two_examples_alone_differ_there_is_a_cka_and_no_interval() -> None:
    X = np.ones((30, 5))
    X[[7, 19]] = RNG.normal(size=(2, 5))
    assert debiased_linear_cka(X, 2.0 * X) == pytest.approx(1.0, abs=1e-9)
    with pytest.raises(ValueError, match=r"^debiased_cka_jackknife: without number 7 \(counted from 0\) a self-term"):
        debiased_cka_jackknife(X, 2.0 * X)
