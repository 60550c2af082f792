"""Hashes follow content and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest

from tunescope.errors import ModelError
from tunescope.hub.fingerprint import table_fingerprint, weights_fingerprint

ROWS = pa.table({"text": ["a", "b", "c"], "label": pa.array([0, 1, 0], pa.int64()), "idx": [7, 8, 9]})


def test_chunks_widths_and_other_columns_do_not_count() -> None:
    chunked = pa.concat_tables([ROWS.slice(0, 1), ROWS.slice(1)])
    narrow = ROWS.set_column(1, "label", pa.array([0, 1, 0], pa.int8())).drop_columns("idx")
    encoded = ROWS.set_column(0, "text", ROWS["text"].dictionary_encode())

    prints = {table_fingerprint(table, ["text", "label"]) for table in (ROWS, chunked, narrow, encoded)}

    assert len(prints) == 1
    assert len(prints.pop()) == 64


def test_values_order_and_columns_count() -> None:
    changed = ROWS.set_column(1, "label", pa.array([0, 1, 1]))
    shuffled = ROWS.take([1, 0, 2])
    run_together = pa.table({"text": ["a", 'b\n["c",0]'], "label": [0, 1]})

    prints = [table_fingerprint(table, ["text", "label"]) for table in (ROWS, changed, shuffled, run_together)]

    assert len({*prints, table_fingerprint(ROWS, ["label", "text"])}) == 5


def test_an_unknown_column_is_refused() -> None:
    with pytest.raises(KeyError, match="nothing"):
        table_fingerprint(ROWS, ["nothing"])


def model(folder: Path, weights: bytes = b"weights", tokenizer: str = "{}") -> Path:
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer.json").write_text(tokenizer)
    return folder


def test_weights_config_and_tokenizer_count_the_path_does_not(tmp_path: Path) -> None:
    first = weights_fingerprint(model(tmp_path / "a"))

    assert weights_fingerprint(model(tmp_path / "b" / "c")) == first
    assert weights_fingerprint(model(tmp_path / "d", weights=b"Weights")) != first
    assert weights_fingerprint(model(tmp_path / "e", tokenizer="[]")) != first


def test_a_changed_file_is_read_again_an_unchanged_one_is_not(tmp_path: Path) -> None:
    folder = model(tmp_path / "a")
    first = weights_fingerprint(folder)
    weights = folder / "model.safetensors"
    state = weights.stat()
    weights.write_bytes(b"WEIGHTS")
    os.utime(weights, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert weights_fingerprint(folder) == first, "same size and time: not read again"

    os.utime(weights, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    assert weights_fingerprint(folder) != first


@pytest.mark.parametrize(
    "missing, message", [("model.safetensors", "Only safetensors"), ("config.json", "no config.json")]
)
def test_a_folder_that_is_no_model_is_refused(tmp_path: Path, missing: str, message: str) -> None:
    folder = model(tmp_path / "a")
    (folder / missing).unlink()

    with pytest.raises(ModelError, match=message):
        weights_fingerprint(folder)
