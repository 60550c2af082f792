"""Plain texts, without labels or prompts, for what a language model makes of them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from tunescope.errors import DataError, did_you_mean
from tunescope.fields import Count, Frozen, Slug
from tunescope.hub.source import Source
from tunescope.tasks.spec import RepoId

if TYPE_CHECKING:
    import pyarrow as pa

PLAIN = ".txt"
"""The ending of a file that is all text; every other ending means rows and columns."""


class TextSource(Frozen):
    """Where plain texts lie: a hub id, or one file."""

    name: Slug
    """What results on these texts are called."""
    hub: RepoId | None = None
    """Hub id, such as `Salesforce/wikitext`; read from the mirror folder where one is given."""
    config: Slug | None = None
    """The hub data set's configuration, such as `wikitext-2-raw-v1`."""
    revision: str | None = None
    """Commit of the hub data set."""
    split: Slug = "test"
    """The hub data set's split: one that the base model was not trained on, if there is any."""
    file: str | None = Field(default=None, min_length=1)
    """A text file (`.txt`: texts are separated by blank lines), or a CSV, TSV, JSONL or Parquet file of one text a row,
    relative to the study file."""
    column: str = Field(default="text", min_length=1)
    """Which column holds the texts; a `.txt` file has none."""
    max_texts: Count | None = None
    """At most so many texts, chosen by their hash; all where absent."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.hub is None) == (self.file is None):
            raise ValueError("give either 'hub' or 'file', not both and not neither")
        if self.file is not None and (self.config, self.revision, self.split) != (None, None, "test"):
            raise ValueError("'config', 'revision' and 'split' belong to 'hub'; a file has none of them")
        if self._is_plain and self.column != "text":
            raise ValueError(f"a {PLAIN} file has no columns; leave 'column' out")
        return self

    @property
    def _is_plain(self) -> bool:
        return self.file is not None and Path(self.file).suffix.lower() == PLAIN


def read_texts(texts: TextSource, source: Source) -> list[str]:
    """The texts, in the order of their source; those of nothing but white space are left out.

    With `max_texts`, those with the lowest SHA-256 are taken, so the choice depends on no order and no seed.

    Args:
        texts: Where they lie.
        source: Finds data sets and files.

    Returns:
        One text or more, none of them blank, each as it stands in the source.

    Raises:
        DataError: If data set, file or column is missing, the text is not UTF-8, a row has no text or something else in
            its place, or no text is left.
    """
    if texts._is_plain:
        assert texts.file is not None
        found = _paragraphs(_read_plain(texts.file, source))
    else:
        table = source.table(
            hub=texts.hub, config=texts.config, revision=texts.revision, split=texts.split, file=texts.file
        )
        found = _column(texts, table)
    kept = [text for text in found if text.strip()]
    if not kept:
        raise DataError(
            f"texts {texts.name}: {texts.file or texts.hub} is empty: it holds {len(found)} texts, none with a word."
        )
    if texts.max_texts is not None and texts.max_texts < len(kept):
        hashes = [hashlib.sha256(text.encode()).digest() for text in kept]
        lowest = sorted(range(len(kept)), key=lambda row: (hashes[row], row))[: texts.max_texts]
        kept = [kept[row] for row in sorted(lowest)]
    return kept


def _column(texts: TextSource, table: pa.Table) -> list[str]:
    import pyarrow as pa

    where = f"texts {texts.name}: {texts.file or texts.hub}"
    if texts.column not in table.column_names:
        raise DataError(f"{where} has no column '{texts.column}'. {did_you_mean(texts.column, table.column_names)}")
    column = table.column(texts.column)
    if pa.types.is_null(column.type) or len(column) == 0:
        return []
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise DataError(f"{where}: column '{texts.column}' should hold text, and holds {column.type}. Name another.")
    values: list[str | None] = column.to_pylist()
    found = [value for value in values if value is not None]
    if len(found) < len(values):
        raise DataError(
            f"{where}: row {values.index(None) + 1} has no text in column '{texts.column}' (it is null). Take such rows out."
        )
    return found


def _paragraphs(text: str) -> list[str]:
    """Blocks of lines between blank lines."""
    blocks: list[list[str]] = [[]]
    for line in text.split("\n"):
        if line.strip():
            blocks[-1].append(line)
        elif blocks[-1]:
            blocks.append([])
    return ["\n".join(block) for block in blocks if block]


def _read_plain(file: str, source: Source) -> str:
    """A file's text, with or without a byte order mark, its line ends as `\\n`."""
    where = f"text file '{file}'"
    try:
        data = (source.study_folder / Path(file).expanduser()).read_bytes()
    except (OSError, RuntimeError) as error:  # RuntimeError: '~name' of nobody
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{where}: cannot be read: {reason}. The path is relative to the study file.") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{where}: expected UTF-8, found byte 0x{data[error.start]:02x} at offset {error.start} (line {line}). "
            f"Convert it, for example: iconv -f latin1 -t utf-8 {Path(file).name}"
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")
