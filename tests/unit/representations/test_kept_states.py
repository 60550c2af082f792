"""States that are kept come back bit for bit, a few rows at a time, from a file that others can read too."""

from __future__ import annotations

import numpy as np
import psutil
import pytest
from safetensors.numpy import load_file, save_file

from drift_states import batches, some_states
from tunescope.errors import StoreError
from tunescope.representations.kept_states import KeptStates, StateWriter, beside_kept, kept_on_the_way

STATES = some_states(0, n=23, d=5)


def _written(path, *, size=7, **how):
    with StateWriter(path, 23) as writer:
        for batch in batches(STATES, size=size, **how):
            writer.add(batch.places, batch.states[0])
    assert writer.num_bytes == path.stat().st_size
    return path


@pytest.mark.parametrize("size", [1, 7, 23])
def test_rows_come_back_bit_for_bit_however_they_were_cut(tmp_path, size):
    path = _written(tmp_path / "states.safetensors", size=size)
    kept = KeptStates(path)
    assert kept.num_examples == 23
    assert kept.names == tuple((name, "mean") for name in STATES)
    for batch in batches(STATES, size=4, order_seed=8):
        for key, rows in kept.rows(batch.places).items():
            assert rows.dtype == np.float32
            assert np.array_equal(rows, batch.states[0][key])
    plain = load_file(path)
    assert all(np.array_equal(plain[f"{name}/mean"], rows) for name, rows in STATES.items())


def test_states_keep_their_order_and_tokens_are_left_out(tmp_path):
    states = {("embeddings", "mean"): np.ones((2, 3)), ("block_01", "mean"): np.zeros((2, 4))}
    tokens = {("embeddings", "all_tokens"): [np.ones((1, 3)), np.ones((2, 3))]}
    with StateWriter(tmp_path / "a", 2) as writer:
        writer.add(np.array([1, 0]), states | tokens)
    kept = KeptStates(tmp_path / "a")
    assert kept.names == (("embeddings", "mean"), ("block_01", "mean"))
    assert [rows.shape for rows in kept.rows(np.array([0])).values()] == [(1, 3), (1, 4)]


def test_batches_pass_by_and_stand_beside_what_was_kept(tmp_path):
    with StateWriter(tmp_path / "a", 23) as writer:
        passed = list(kept_on_the_way(batches(STATES, some_states(1, n=23, d=5)), 1, writer))
    beside = list(beside_kept(KeptStates(tmp_path / "a"), passed))
    for one, other in zip(passed, beside, strict=True):
        assert other.places is one.places
        assert len(other.states) == 3
        assert all(np.array_equal(rows, one.states[1][key]) for key, rows in other.states[0].items())


def test_an_example_that_is_missing_or_comes_twice_is_our_own_fault(tmp_path):
    first, *_ = batches(STATES)
    with pytest.raises(AssertionError, match="7 examples were not written"), StateWriter(tmp_path / "a", 23) as writer:
        writer.add(first.places, first.states[0])
    writer = StateWriter(tmp_path / "a", 23)
    writer.add(first.places, first.states[0])
    with pytest.raises(AssertionError, match="comes once"):
        writer.add(first.places, first.states[0])


def test_opening_reads_no_state(tmp_path):
    n, d = 40_000, 500  # 80 MB, a hole in the file system but for its last row
    with StateWriter(tmp_path / "a", n) as writer:
        writer._is_written[:-1] = True
        writer.add(np.array([n - 1]), {("block_01", "mean"): np.ones((1, d), dtype=np.float32)})
    before = psutil.Process().memory_info().rss
    (rows,) = KeptStates(tmp_path / "a").rows(np.array([0, n - 1])).values()
    assert rows[:, 0].tolist() == [0.0, 1.0]
    assert psutil.Process().memory_info().rss - before < 20e6


@pytest.mark.parametrize("harm", ["cut", "noise", "gone", "plain", "widths"])
def test_a_file_that_is_not_whole_is_refused(tmp_path, harm):
    path = _written(tmp_path / "a")
    if harm == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    elif harm == "noise":
        path.write_bytes(b"\xff" * 100)
    elif harm == "gone":
        path.unlink()
    elif harm == "plain":
        save_file(STATES, path)
    else:
        said = {"states": '["a", "b"]', "poolings": '["mean"]'}
        save_file({"a/mean": np.ones((2, 2)), "b/mean": np.ones((3, 2))}, path, metadata=said)
    with pytest.raises(StoreError, match=r"a: not a .*Run its job again"):
        KeptStates(path)
