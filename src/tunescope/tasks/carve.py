"""Which rows go where: by hash of what a row says, so that the same rows are chosen in whatever order they come."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from tunescope.errors import DataError
from tunescope.tasks.examples import Examples
from tunescope.tasks.kin import kin_groups, normalised_rows
from tunescope.tasks.rows import text_columns
from tunescope.tasks.spec import Classification, QuestionAnswering, Regression, TaskSpec

_MAX_BINS = 10
_MOST_OF_SELECTION = 10
"""A group of pairs that share texts may be this part of the selection: one in so many."""
_MIN_TOGETHER = 2
"""Rows that may be together however small the selection is."""


def carve_selection(task: TaskSpec, train: Examples) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on and rows to select on, held out of the train split.

    Rows that say nearly the same are kept on one side (`kin.kin_groups`): those equal up to case, punctuation and white
    space, pairs also with their texts swapped; pairs that share a text, chains of them too; questions on one context. A text
    shared by so many pairs that the group would exceed a tenth of the selection does not bind them: `check` tells how many
    selection rows then share a text with a train row. Phrases cut out of longer ones (SST-2) are not kept together, for they
    would all be one group; `check` tells their share as well.

    Groups are taken in the order of their hash as long as no stratum (label; answerable or not; tenth of the scores)
    exceeds its part of `min(round(selection_share * n), max_selection)`, at least one of each label where there are two. So
    groups of several rows may leave the selection a little smaller, never larger; where not even one group fits, the
    smallest is taken.

    Returns:
        (n_train,) and (n_selection,) ascending row numbers, int64; together every row of `train` once.

    Raises:
        DataError: If the rows are one group, so that nothing can be held out.
    """
    size = min(max(round(task.selection_share * len(train)), 1), task.max_selection)
    columns = (task.context,) if isinstance(task, QuestionAnswering) else text_columns(task)
    groups = _groups(train, columns, max(_MIN_TOGETHER, size // _MOST_OF_SELECTION))
    if len(groups) < 2:
        raise DataError(
            f"task {task.name}: split '{task.train_split}': cannot hold out selection rows, because all {len(train)} rows "
            f"share their {' and '.join(columns)}. Add rows."
        )
    strata = _strata(task, train, size)
    counts = np.bincount(strata)
    if not isinstance(task, Regression):
        size = max(size, min(int((counts > 1).sum()), task.max_selection))
    quotas = _quotas(counts, size, counts - 1)
    taken = np.zeros_like(counts)
    chosen: list[int] = []
    for rows in groups:
        if (taken == quotas).all():
            break
        with_these = taken + np.bincount(strata[rows], minlength=len(counts))
        if (with_these <= quotas).all():
            taken = with_these
            chosen += rows
    if not chosen:
        chosen = min(groups, key=len)
    selection = np.array(sorted(chosen), dtype=np.int64)
    return np.setdiff1d(np.arange(len(train)), selection), selection


def subsample(task: TaskSpec, examples: Examples, size: int | None) -> Examples:
    """At most `size` examples, the first by row hash in each stratum, in the order of their rows; all where None."""
    if size is None or size >= len(examples):
        return examples
    strata = _strata(task, examples, size)
    counts = np.bincount(strata)
    quotas = _quotas(counts, size, counts)
    hashes = _hashes(examples, text_columns(task), with_ids=isinstance(task, QuestionAnswering) and task.id is not None)
    kept: list[int] = []
    for stratum, quota in enumerate(quotas):
        rows = sorted(np.flatnonzero(strata == stratum).tolist(), key=lambda row: (hashes[row], row))
        kept += rows[:quota]
    return examples.take(sorted(kept))


def _groups(examples: Examples, columns: tuple[str, ...], max_rows: int) -> list[list[int]]:
    """Rows that must stay together by their texts in `columns`, groups in the order of their lowest row hash."""
    hashes = _hashes(examples, columns, with_ids=False)
    groups = kin_groups(normalised_rows(examples, columns), max_rows)
    return sorted(groups, key=lambda rows: min(hashes[row] for row in rows))


def _hashes(examples: Examples, columns: tuple[str, ...], *, with_ids: bool) -> list[str]:
    parts = [examples.texts[column] for column in columns] + ([examples.ids] if with_ids else [])
    return [hashlib.sha256(json.dumps(row).encode()).hexdigest() for row in zip(*parts, strict=True)]


def _strata(task: TaskSpec, examples: Examples, size: int) -> np.ndarray:
    """(n,) int64: which of the strata a row belongs to; strata without rows may occur for labels."""
    if isinstance(task, Classification):
        return examples.numbers
    if isinstance(task, QuestionAnswering):
        return np.array([answers.is_answerable for answers in examples.answers], dtype=np.int64)
    scores = examples.numbers
    edges = np.quantile(scores, np.linspace(0.0, 1.0, min(_MAX_BINS, size) + 1)[1:-1])
    bins: np.ndarray = np.searchsorted(edges, scores, side="right")
    return bins


def _quotas(counts: np.ndarray, size: int, caps: np.ndarray) -> np.ndarray:
    """How many rows each stratum gives: in proportion to `counts`, at least one each where `size` allows, within `caps`.

    Largest remainder; ties go to the earlier stratum. The sum is `min(size, caps.sum())`.
    """
    caps = np.clip(caps, 0, None)
    ideal = size * counts / counts.sum()
    quotas: np.ndarray = np.minimum(np.maximum(np.floor(ideal).astype(np.int64), 1), caps)
    while quotas.sum() < min(size, int(caps.sum())):
        quotas[np.argmax(np.where(quotas < caps, ideal - quotas, -np.inf))] += 1
    while quotas.sum() > size:
        quotas[np.argmax(np.where(quotas > 0, quotas - ideal + (quotas > 1) * size, -np.inf))] -= 1
    return quotas
