"""Encoded examples: rows of token ids, what to predict on each, and how much of the text did not fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Truncation:
    """How much text did not fit."""

    num_examples: int
    num_truncated: int
    """Examples that lost at least one token; a long context that is cut into windows loses none."""
    num_tokens_lost: int

    @property
    def share(self) -> float:
        """Share of examples that lost text, 0 to 1."""
        return self.num_truncated / self.num_examples if self.num_examples else 0.0


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Where the context lies in each row of a question-answering task, and how well tokens can say its answers."""

    context_start: np.ndarray
    """(r,) int64, position of the row's first context token."""
    context_end: np.ndarray
    """(r,) int64, position of its last context token, inclusive."""
    null_position: np.ndarray
    """(r,) int64, the position that stands for "no answer": 0 for encoders, the final token for decoders."""
    offsets: Sequence[np.ndarray]
    """r arrays (context tokens of the row, 2): first character of each token in the whole context, and one past its last,
    white space at either end left out; both are equal for a token of white space only."""
    num_answerable: int
    """Examples with a gold answer."""
    num_inexact: int
    """Of these, how many have a first gold answer that no span of tokens says exactly, only with characters more."""
    num_unreachable: int
    """Of these, how many have a first gold answer that no window holds whole, so that none trains on it."""


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """r rows of token ids of n examples, unpadded; r > n only where long contexts are cut into windows."""

    input_ids: Sequence[Sequence[int]]
    token_types: Sequence[Sequence[int]] | None
    """As `input_ids`, for encoders that have token types."""
    example_index: np.ndarray
    """(r,) int64, the example each row belongs to; ascending, every example at least once."""
    targets: np.ndarray
    """(r,) label ids (int64) or scores (float64); question answering: (r, 2) int64, first and last token of the answer,
    both the null position where the row does not hold the whole answer."""
    windows: Windows | None
    """For question answering only."""
    truncation: Truncation

    def __len__(self) -> int:
        return len(self.input_ids)

    @property
    def lengths(self) -> np.ndarray:
        """(r,) int64, tokens of each row."""
        return np.array([len(row) for row in self.input_ids], dtype=np.int64)

    def share_of(self, token_id: int | None) -> float:
        """Share of all tokens that are this one, 0 to 1; 0 where there is no such token."""
        num_tokens = int(self.lengths.sum())
        return 0.0 if token_id is None else sum(list(row).count(token_id) for row in self.input_ids) / num_tokens
