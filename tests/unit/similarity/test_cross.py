"""tr(K~L~) is the same by features, by one tile and by many, and the rule takes the cheaper form."""

from __future__ import annotations

import numpy as np
import pytest

from tunescope.similarity import cross, products
from tunescope.similarity.cross import cheaper_form, crossing, gram_rows, off_diagonal_traces

RNG = np.random.default_rng(0)
XS = [X - X.mean(axis=0) for X in (RNG.normal(size=(90, 5)), RNG.normal(size=(90, 12)))]
YS = [Y - Y.mean(axis=0) for Y in (RNG.normal(size=(90, 7)), RNG.normal(size=(90, 5)) + XS[0], XS[1] * 2.0)]


def _trace(X: np.ndarray, Y: np.ndarray) -> float:
    K, L = X @ X.T, Y @ Y.T
    return float(((K - np.diag(np.diag(K))) * (L - np.diag(np.diag(L)))).sum())


@pytest.mark.parametrize("form", ["gram", "features"])
@pytest.mark.parametrize("tile_bytes", [1, 2**30])
def test_every_pair_and_every_self_term(form: cross.Form, tile_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross, "_TILE_BYTES", tile_bytes)  # 1: the least tile, 64 rows, and 90 do not divide into it
    found = off_diagonal_traces(XS, YS, form=form)
    np.testing.assert_allclose(found.cross, [[_trace(X, Y) for Y in YS] for X in XS], rtol=1e-11)
    np.testing.assert_allclose(found.self_x, [_trace(X, X) for X in XS], rtol=1e-11)
    np.testing.assert_allclose(found.self_y, [_trace(Y, Y) for Y in YS], rtol=1e-11)


@pytest.mark.parametrize("form", ["gram", "features"])
def test_a_model_with_itself(form: cross.Form) -> None:
    found, apart = off_diagonal_traces(YS, YS, form=form), off_diagonal_traces(YS, list(YS), form=form)
    for name in ("cross", "self_x", "self_y"):
        np.testing.assert_allclose(getattr(found, name), getattr(apart, name), rtol=1e-11)


def test_float32_products_are_summed_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "_ROWS_PER_PRODUCT", 32)
    for form in ("gram", "features"):
        found = off_diagonal_traces(XS, YS, form=form, dtype=np.float32)  # type: ignore[arg-type]
        np.testing.assert_allclose(found.cross, off_diagonal_traces(XS, YS, form="gram").cross, rtol=1e-5)
        assert found.cross.dtype == np.float64


@pytest.mark.parametrize("rows", [1, 7, 89, 90, 96])
@pytest.mark.parametrize("whole_features", [1, 1000])
@pytest.mark.parametrize("widened", [8, 104, 10**6])
def test_tiles_of_one_pair(rows: int, whole_features: int, widened: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross, "_ROWS_PER_TILE", rows)
    monkeypatch.setattr(cross, "_WHOLE_FEATURES", whole_features)
    monkeypatch.setattr(cross, "_ENTRIES_WIDENED", widened)
    monkeypatch.setattr(cross, "_ENTRIES_MULTIPLIED", 8)
    X, Y = XS[0], YS[0]
    found = off_diagonal_traces([X], [Y], form="gram")
    own = off_diagonal_traces([X], [X], form="gram")
    assert found.cross[0, 0] == pytest.approx(_trace(X, Y), rel=1e-12)
    assert (found.self_x[0], found.self_y[0]) == pytest.approx((_trace(X, X), _trace(Y, Y)), rel=1e-12)
    assert own.self_x[0] == pytest.approx(_trace(X, X), rel=1e-12)
    K, L = X @ X.T, Y @ Y.T
    by_row = (K * L).sum(axis=1) - np.diag(K) * np.diag(L)
    np.testing.assert_allclose(gram_rows([X, Y], [(0, 1)])[0], by_row, rtol=1e-11)


def test_the_rule() -> None:
    assert cheaper_form(750, 2048, 2048) == "gram"
    assert cheaper_form(11_873, 2048, 2048) == "features"
    assert 3000 <= crossing(2048, 2048) <= 4200
    assert 20_000 <= crossing(2048, 2048, num_x=23, num_y=23) <= 50_000
    edge = crossing(384, 384)
    assert (cheaper_form(edge, 384, 384), cheaper_form(edge + 1, 384, 384)) == ("gram", "features")
