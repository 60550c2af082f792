"""States of single tokens: one number per layer with its interval over texts, pairs of tokens of one text left out, none of the other
measures."""

from __future__ import annotations

import numpy as np
import pytest

from drift_states import batches, moved, some_states
from tunescope.drift.pair import Pair
from tunescope.drift.sequence_sample import SequenceSample
from tunescope.drift.tokens import FEWEST_SAMPLED, TokenStates, interval_of_sample
from tunescope.similarity.cka import debiased_linear_cka
from tunescope.similarity.jackknife import debiased_cka_jackknife, interval, token_jackknife
from tunescope.similarity.tokens import TokenPairSums, TokenSelfSums

CKA = "debiased_linear_cka"
PAIR = (Pair(compared="tuned"),)


def _texts(seed, lengths, d=5):
    rng = np.random.default_rng(seed)
    return {
        name: [(rng.normal(size=(n, d)) + 3.0).astype(np.float32) for n in lengths] for name in ("block_01", "block_02")
    }


def _moved(texts, by=0.5, seed=7):
    rng = np.random.default_rng(seed)
    return {
        name: [(rows + by * rng.normal(size=rows.shape)).astype(np.float32) for rows in sequences]
        for name, sequences in texts.items()
    }


def _many(seed=0, n=300):
    """Texts of 1 to 8 tokens that share a vector."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 9, size=n)
    X = {"block_01": [(rng.normal(size=4) + rng.normal(size=(T, 4))).astype(np.float32) for T in lengths]}
    return X, _moved(X)


def _rows(*models, pairs=PAIR, measures=(CKA,), sample=None, **how):
    states = TokenStates(pairs, sample=sample)
    for batch in batches(*models, read="all_tokens", **how):
        states.add(batch)
    return list(states.rows(measures))


@pytest.mark.parametrize("size", [1, 3, 20])
def test_the_number_is_the_accumulators_however_texts_come(size):
    lengths = [1, 4, 2, 7, 3, 5, 2, 6, 1, 3]
    X, Y = _texts(0, lengths), _texts(1, lengths)
    for row in _rows(X, Y, size=size):
        sums = TokenPairSums(5, 5, dtype=np.float64)
        sums.update(X[row.state], Y[row.state])
        assert row.value == pytest.approx(sums.debiased_linear_cka(), abs=1e-12)
        assert (row.pooling, row.num_examples) == ("all_tokens", 10)
        assert "few examples" in row.note


@pytest.mark.parametrize("size", [1, 3, 40])
@pytest.mark.parametrize("by", [0.5, 4.0])  # on the log scale, and on the plain one
def test_of_texts_that_are_all_held_it_is_the_jackknife_over_texts(by, size):
    X = _texts(0, np.random.default_rng(0).integers(1, 9, size=40))
    Y = _moved(X, by)
    for row in _rows(X, Y, size=size):
        found = token_jackknife(X[row.state], Y[row.state])
        assert ("log" in found.method) == (by == 0.5)
        expected = (found.estimate, found.standard_error, found.ci_low, found.ci_high)
        assert (row.value, row.standard_error, row.ci_low, row.ci_high) == pytest.approx(expected, abs=1e-9)
        assert row.ci_low < row.value < row.ci_high
        assert "interval" not in row.note


def test_the_interval_of_a_sample_is_about_the_value_of_all_and_scaled():
    X, Y = _many()
    sample = SequenceSample(most_sequences=100)
    (row,) = _rows(X, Y, sample=sample)
    whole = token_jackknife(X["block_01"], Y["block_01"])
    assert row.note == "interval by jackknife over 100 of 300 sequences, scaled"
    assert row.value == pytest.approx(whole.estimate, abs=1e-6)
    held = [sample.of(model, "block_01", "all_tokens") for model in (0, 1)]
    left_out = token_jackknife(*held).leave_one_out
    found = interval(row.value, left_out, at_most_one=True, num_examples=300)
    assert (row.ci_low, row.ci_high, row.standard_error) == (found.ci_low, found.ci_high, found.standard_error)
    assert row.ci_high - row.ci_low == pytest.approx(whole.ci_high - whole.ci_low, rel=0.3)  # and not 1.7 times as wide


@pytest.mark.parametrize("most_tokens", [10_000, 240])
def test_any_batches_in_any_order_give_the_same(most_tokens):
    X, Y = _many()

    def row(size, order):
        sample = SequenceSample(most_sequences=100, most_tokens=most_tokens)
        return _rows(X, Y, sample=sample, size=size, order_seed=order)[0]

    once = row(300, 0)
    assert ("over 100 of" in once.note) == (most_tokens == 10_000)
    for size, order in ((300, 1), (7, 0), (1, 5), (64, 6)):
        again = row(size, order)
        assert again.note == once.note
        assert (again.value, again.ci_low, again.ci_high) == pytest.approx(
            (once.value, once.ci_low, once.ci_high), abs=1e-7
        )


def test_the_interval_of_a_sample_holds_the_population_s_value():
    """Tokens of a text share half their variance; 20 of 60 texts are held."""
    rng = np.random.default_rng(0)
    scale = np.array([1.0, 0.7, 0.5])
    truth = np.sum(scale**4) / np.sqrt(np.sum(scale**4) * np.sum((scale**2 + 0.25) ** 2))
    lengths = np.tile([1, 3, 6, 10], 15)

    def latent():
        own, shared = rng.normal(size=(lengths.sum(), 3)), rng.normal(size=(len(lengths), 3))
        return np.sqrt(0.5) * (own + np.repeat(shared, lengths, axis=0))

    held = naive = 0
    for _ in range(150):
        x = scale * latent()
        y = x + 0.5 * latent()
        X, Y = (np.split(rows, np.cumsum(lengths)[:-1]) for rows in (x, y))
        sums = TokenPairSums(3, 3)
        sums.update(X, Y)
        value = sums.debiased_linear_cka()
        found, _ = interval_of_sample(value, X[:20], Y[:20], len(X))
        held += found.ci_low <= truth <= found.ci_high
        naive += abs(value - truth) <= 1.96 * debiased_cka_jackknife(x, y).standard_error
    assert 135 <= held <= 149  # 95% of 150, within three standard deviations
    assert naive < 125  # tokens for texts: 95% that are not


def test_a_sample_that_long_texts_leave_too_small_has_no_interval_and_says_so():
    X, Y = _many()
    sample = SequenceSample(most_tokens=40)
    (row,) = _rows(X, Y, sample=sample)
    assert row.value is not None
    assert (row.standard_error, row.ci_low, row.ci_high) == (None, None, None)
    held = len(sample.of(0, "block_01", "all_tokens"))
    assert 5 <= held < FEWEST_SAMPLED == 16
    assert row.note == f"no interval: {held} of 300 sequences, long as they are, can be held, and a sample needs 16"


def test_four_texts_have_a_value_and_no_interval():
    lengths = [2, 5, 3, 4]
    X = _texts(0, lengths)
    for row in _rows(X, _moved(X)):
        assert row.value is not None
        assert row.ci_low is None
        assert row.note.endswith("no interval: token_jackknife: needs at least 5 sequences, got 4.")


def test_a_base_that_is_known_changes_no_interval():
    X, Y = _many()
    own = TokenSelfSums(4)
    own.update(X["block_01"])
    states = TokenStates(PAIR, lambda state, read: own.terms(), sample=SequenceSample(most_sequences=100))
    for batch in batches(X, Y, read="all_tokens"):
        states.add(batch)
    (known,), (row,) = states.rows((CKA,)), _rows(X, Y, sample=SequenceSample(most_sequences=100))
    assert (known.ci_low, known.ci_high) == pytest.approx((row.ci_low, row.ci_high), abs=1e-7)


def test_of_one_token_each_it_is_the_plain_debiased_cka():
    X = some_states(0)
    Y = moved(X, 1.0)
    alone = [{name: [row[None] for row in rows] for name, rows in states.items()} for states in (X, Y)]
    for row in _rows(*alone):
        assert row.value == pytest.approx(debiased_linear_cka(X[row.state], Y[row.state]), abs=1e-6)


def test_a_base_shared_by_two_pairs_gives_each_pair_its_own_number():
    lengths = [2, 5, 3, 4, 6, 2]
    X, Y, Z = (_texts(seed, lengths) for seed in range(3))
    both = _rows(X, Y, Z, pairs=(Pair(compared="a"), Pair(compared="b", other=2)))
    for compared, other in (("a", Y), ("b", Z)):
        for field in ("value", "ci_low", "ci_high"):
            alone = {row.state: getattr(row, field) for row in _rows(X, other)}
            found = {row.state: getattr(row, field) for row in both if row.compared == compared}
            assert found == pytest.approx(alone, abs=1e-12)


def test_other_measures_say_that_they_need_pooled_states():
    lengths = [2, 5, 3, 4]
    rows = _rows(_texts(0, lengths), _texts(1, lengths), measures=("cosine", "mutual_knn"))
    assert len(rows) == 4
    assert all(row.value is None for row in rows)
    assert rows[0].note == "cosine needs pooled states, one vector per text: not of all_tokens"


def test_tokens_that_are_all_alike_and_too_few_texts_are_told():
    lengths = [2, 3, 4, 2]
    X, Y = _texts(0, lengths), _texts(1, lengths)
    X["block_01"] = [np.ones_like(rows) for rows in X["block_01"]]
    first, second = _rows(X, Y)
    assert first.value is None
    assert "base model's states are the same" in first.note
    assert second.value is not None
    (row, _) = _rows(_texts(0, [2, 3]), _texts(1, [2, 3]))
    assert row.value is None
    assert "needs at least 4 sequences, got 2" in row.note


def test_pooled_states_are_left_alone():
    states = TokenStates([Pair(compared="tuned")])
    for batch in batches(some_states(0), some_states(1), read="mean"):
        states.add(batch)
    assert list(states.rows((CKA,))) == []
