"""What bytes were in fact read: one hash for the rows of a table, one for the weights of a model folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunescope.errors import ModelError

if TYPE_CHECKING:
    import pyarrow as pa

_BESIDE_WEIGHTS = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "tokenizer.model",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
)
"""Files that bear on what a model computes from a text, beside its weights; those that exist are hashed."""

_known: dict[tuple[str, int, int], str] = {}
"""SHA-256 by path, size and modification time: a file is read once per process."""


def table_fingerprint(table: pa.Table, columns: Sequence[str]) -> str:
    """SHA-256 (64 hex digits) of the rows of a table, as canonical JSON, one row a line, in order.

    The same rows give the same hash however the table is chunked, compressed or encoded, and whatever width its integers
    have. Order of rows, names and order of `columns` count; other columns do not.

    Raises:
        KeyError: If the table lacks one of the columns.
    """
    chosen = table.select(list(columns))
    digest = hashlib.sha256(json.dumps(list(columns), ensure_ascii=False).encode())
    for batch in chosen.to_batches(max_chunksize=4096):
        lists = [column.to_pylist() for column in batch.columns]
        for row in zip(*lists, strict=True):
            digest.update(b"\n")
            digest.update(_canonical(row).encode())
    return digest.hexdigest()


def weights_fingerprint(folder: Path) -> str:
    """SHA-256 (64 hex digits) over a model folder's safetensors files, its configuration and its tokenizer files.

    Names and contents count, the folder's own path does not. Files are streamed; a file is read once per process as long
    as its size and modification time stay the same.

    Raises:
        ModelError: If the folder holds no `config.json` or no safetensors file.
    """
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise ModelError(f"{folder}: expected weights in *.safetensors, found none. Only safetensors are read.")
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder}: expected a model folder, but it has no config.json.")
    beside = [folder / name for name in _BESIDE_WEIGHTS if (folder / name).is_file()]
    digest = hashlib.sha256()
    for path in [*weights, *beside]:
        digest.update(f"{path.name} {_file_hash(path)}\n".encode())
    return digest.hexdigest()


def _file_hash(path: Path) -> str:
    state = path.stat()
    key = (str(path.resolve()), state.st_size, state.st_mtime_ns)
    if key not in _known:
        with path.open("rb") as file:
            _known[key] = hashlib.file_digest(file, "sha256").hexdigest()
    return _known[key]


def _canonical(row: tuple[Any, ...]) -> str:
    return json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
