"""Rows of drift -> the one number that methods are compared by."""

from __future__ import annotations

from collections.abc import Sequence

from tunescope.drift.row import DriftRow
from tunescope.study.drift import DRIFT_MEASURE


def mean_drift(rows: Sequence[DriftRow], compared: str, pooling: str) -> float | None:
    """One minus the debiased linear CKA with the base model, averaged over the blocks; embeddings and final norm left out.

    Args:
        rows: Of one job.
        compared: Whose drift.
        pooling: Of which pooled states.

    Returns:
        0 where nothing moved, about 1 for unrelated states (debiased: it can pass 1); None where a block's CKA is not
        defined.
    """
    values = [
        row.value
        for row in rows
        if (row.compared, row.pooling, row.measure) == (compared, pooling, DRIFT_MEASURE)
        and row.state == row.other_state
        and row.state.startswith("block_")
    ]
    known = [value for value in values if value is not None]
    return 1.0 - sum(known) / len(known) if known and len(known) == len(values) else None
