"""`merge` as a function: the stores of machines that could not see each other, joined."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tunescope.store.merging import merge
from tunescope.store.merging.merge import Merged
from tunescope.study.configs import RepresentConfig

MADE_ON_EACH = frozenset({RepresentConfig.kind})
"""Kinds of job that every machine makes for itself (`is_made_where_needed`)."""


def merge_stores(stores: Sequence[Path], *, into: Path, prefer: Path | None = None) -> Merged:
    """Joins stores: every file is verified while it is copied, and nothing of the stores is changed.

    Args:
        stores: What to join.
        into: The store to join them in, which may be new.
        prefer: One of the stores: its copy is taken where two hold different files of one job.

    Raises:
        TunescopeError: If stores hold different files of one job, differ in what a study is, are damaged or in use, or do not
            fit on the disk; nothing has been copied then.
    """
    return merge.merge_stores(stores, into, prefer=prefer, may_differ=MADE_ON_EACH)
