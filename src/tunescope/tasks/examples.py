"""Examples as a task sees them: ids, texts and what is to be predicted, checked and in one shape for every source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Answers:
    """The gold answers of one question; none at all for a question without an answer."""

    texts: tuple[str, ...] = ()
    starts: tuple[int, ...] = ()
    """First character of each answer in the context; the text stands there exactly."""

    @property
    def is_answerable(self) -> bool:
        return bool(self.texts)


@dataclass(frozen=True, kw_only=True)
class Examples:
    """n examples of one split, in the order of their rows."""

    ids: tuple[str, ...]
    """n ids, each once: the data set's own for question answering, else `<split>-<row>`, rows counted from 0."""
    texts: Mapping[str, tuple[str, ...]]
    """n texts by column, in the order in which the task names the columns."""
    targets: np.ndarray | tuple[Answers, ...]
    """n label ids (int64), n scores (float64), or n `Answers`."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def numbers(self) -> np.ndarray:
        """(n,) label ids (int64) or scores (float64); for text tasks only."""
        assert isinstance(self.targets, np.ndarray), "a question has answers, not a number"
        return self.targets

    @property
    def answers(self) -> tuple[Answers, ...]:
        """n gold answers; for question answering only."""
        assert isinstance(self.targets, tuple), "a text has a number, not answers"
        return self.targets

    def take(self, rows: Sequence[int] | np.ndarray) -> Examples:
        """The examples at these places, in this order."""
        places = [int(row) for row in rows]
        targets = self.targets
        return Examples(
            ids=tuple(self.ids[place] for place in places),
            texts={column: tuple(values[place] for place in places) for column, values in self.texts.items()},
            targets=targets[places] if isinstance(targets, np.ndarray) else tuple(targets[place] for place in places),
        )
