"""What is known of a base model gives the numbers that reading it again would give, and survives its file."""

from __future__ import annotations

import math

import numpy as np
import pytest
from safetensors.numpy import save_file

from drift_states import batches, moved, some_states
from tunescope.drift import base_statistics as module
from tunescope.drift import compare_states as compared
from tunescope.drift.base_statistics import BaseStatistics, base_statistics, load_statistics, save_statistics
from tunescope.drift.compare_states import compare_states
from tunescope.drift.pair import Pair
from tunescope.errors import ModelError, StoreError
from tunescope.similarity import jackknife, streaming
from tunescope.similarity.base_terms import BaseTerms
from tunescope.similarity.streaming import SelfTerms
from tunescope.similarity.tokens import TokenTerms

MEASURES = ("debiased_linear_cka", "linear_cka", "relative_change", "procrustes_distance")
PAIRS = [Pair(compared="tuned"), Pair(compared="moved", other=2)]


def _tokens(seed, num=12, d=5):
    rng = np.random.default_rng(seed)
    return {
        name: [(rng.normal(size=(1 + place % 4, d)) + 3.0).astype(np.float32) for place in range(num)]
        for name in ("block_01", "block_02")
    }


def _statistics(states, read="mean", *, are_held=True, **how):
    n = len(next(iter(states.values())))
    return base_statistics(batches(states, read=read, **how), num_examples=n, are_held=are_held)


def _rows(*models, read="mean", base=None, **how):
    n = len(next(iter(models[0].values())))
    return compare_states(
        batches(*models, read=read), PAIRS, num_examples=n, num_features=6, measures=MEASURES, base=base, **how
    )


@pytest.mark.parametrize("read, limit", [("mean", 2048), ("mean", 10), ("all_tokens", 2048)])
def test_rows_are_those_of_reading_the_base_again(read, limit, monkeypatch):
    monkeypatch.setattr(compared, "_HELD_AT_LEAST", limit)
    if read == "mean":
        X = some_states(0)
        models = X, moved(X, 0.3), moved(X, 1.0, seed=4)
    else:
        models = tuple(_tokens(seed) for seed in range(3))
    known = _statistics(models[0], read, are_held=limit > 40)
    again, shared = _rows(*models, read=read), _rows(*models, read=read, base=known)
    assert len(again) == len(shared)
    for one, other in zip(again, shared, strict=True):
        for name, value in vars(one).items():
            assert getattr(other, name) == (pytest.approx(value, abs=1e-12) if isinstance(value, float) else value)
    assert any(row.value is not None for row in shared)


def test_what_is_known_is_not_computed_again(monkeypatch):
    X = some_states(0)
    models = X, moved(X, 0.3), moved(X, 1.0)
    held, summed = (_statistics(X, are_held=are_held) for are_held in (True, False))
    asked, made = [], jackknife._traces_and_rows

    def noted(sides, pairs):
        asked.extend(pairs)
        return made(sides, pairs)

    monkeypatch.setattr(jackknife, "_traces_and_rows", noted)
    _rows(*models, base=held)
    assert asked
    assert (0, 0) not in asked
    monkeypatch.setattr(compared, "_HELD_AT_LEAST", 10)
    monkeypatch.setattr(streaming.SelfSums, "update", lambda *_: pytest.fail("the base is not summed again"))
    assert all(row.value is not None for row in _rows(*models, base=summed) if row.measure == MEASURES[0])


@pytest.mark.parametrize("are_held, kind", [(True, BaseTerms), (False, SelfTerms)])
def test_terms_survive_their_file(tmp_path, are_held, kind):
    X = some_states(0)
    X["embeddings"][:] = 2.0
    statistics = _statistics(X, are_held=are_held)
    assert statistics.of(kind, "embeddings", "mean") is None
    path = tmp_path / "statistics.safetensors"
    save_statistics(statistics, path, {"about": "us"})
    found, about = load_statistics(path)
    assert about == {"about": "us"}
    assert list(found.terms) == list(statistics.terms) == [(name, "mean") for name in X]
    assert found.of(kind, "embeddings", "mean") is None
    for name in ("block_01", "block_02"):
        one, other = statistics.of(kind, name, "mean"), found.of(kind, name, "mean")
        for field, value in vars(one).items():
            np.testing.assert_array_equal(getattr(other, field), value)


def test_terms_of_tokens_survive_their_file_beside_pooled_ones(tmp_path):
    both = BaseStatistics(terms={**_statistics(_tokens(0), "all_tokens").terms, **_statistics(some_states(0)).terms})
    save_statistics(both, tmp_path / "a", {})
    found, _ = load_statistics(tmp_path / "a")
    assert list(found.terms) == list(both.terms)
    assert found.of(TokenTerms, "block_01", "all_tokens") == both.of(TokenTerms, "block_01", "all_tokens")


def test_other_batches_change_the_rounding_alone():
    one, other = (_statistics(some_states(0), are_held=False, size=size, order_seed=size) for size in (3, 40))
    for name in some_states(0):
        a, b = (vars(statistics.of(SelfTerms, name, "mean")) for statistics in (one, other))
        assert a == pytest.approx(b, rel=1e-9)


@pytest.mark.parametrize("limit", [2048, 10])
def test_statistics_of_another_model_give_no_number(limit, monkeypatch):
    monkeypatch.setattr(compared, "_HELD_AT_LEAST", limit)
    X, other = some_states(0), some_states(1)
    rows = _rows(X, moved(X, 0.3), moved(X, 1.0), base=_statistics(other, are_held=limit > 40))
    of_cka = [row for row in rows if row.measure == "debiased_linear_cka"]
    assert len(of_cka) == 6
    assert all(row.value is None and "must be of the same examples" in row.note for row in of_cka)
    assert all(row.value is not None for row in rows if row.measure == "relative_change")


def test_statistics_of_other_states_are_refused():
    X = some_states(0)
    less = {name: rows for name, rows in X.items() if name != "block_02"}
    with pytest.raises(
        ModelError, match=r"is of the states embeddings \(mean\), block_01 \(mean\), and those read are"
    ):
        _rows(X, X, X, base=_statistics(less))


@pytest.mark.parametrize("harm", ["cut", "gone", "plain", "field", "kind"])
def test_a_file_that_is_not_whole_is_refused(tmp_path, harm):
    path = tmp_path / "a"
    save_statistics(_statistics(some_states(0)), path, {})
    if harm == "cut":
        path.write_bytes(path.read_bytes()[:-8])
    elif harm == "gone":
        path.unlink()
    elif harm == "plain":
        save_file({"a": np.ones(2)}, path)
    elif harm == "field":
        save_file({"a/mean/q": np.ones(2)}, path, metadata={"kinds": '{"a/mean": "BaseTerms"}'})
    else:
        save_file({"a/mean/q": np.ones(2)}, path, metadata={"kinds": '{"a/mean": "Terms"}'})
    with pytest.raises(StoreError, match=r"a: not a whole file of a base model's statistics .*Run its job again"):
        load_statistics(path)


def test_every_kind_of_terms_has_its_fields_written_down():
    made = {
        "BaseTerms": BaseTerms(q=np.ones(2), trace=1.0, r=np.ones(2)),
        "SelfTerms": SelfTerms(num_examples=1, scatter=1.0, biased=1.0, debiased=math.pi),
        "TokenTerms": TokenTerms(num_examples=1, scatter=1.0, debiased=1.0),
    }
    assert {kind: tuple(vars(terms)) for kind, terms in made.items()} | {"": ()} == module._FIELDS
