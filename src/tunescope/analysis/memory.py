"""What a training needed at its peak, where its record can tell that from what earlier jobs had left in the process."""

from __future__ import annotations

from tunescope.store import Record

_MOST_THERE_BEFORE = 0.5
"""Share of a process's peak that may have been there when the job began."""
NOT_ITS_OWN = (
    "the process held more than half of its peak before the training began, so the peak says little of the method"
)


def training_memory(record: Record) -> float | None:
    """GiB at the peak: allocated on the GPU where the training ran on one, else as `process_memory`."""
    return process_memory(record) if record.gpu_peak_allocated_gib is None else record.gpu_peak_allocated_gib


def process_memory(record: Record) -> float | None:
    """GiB that the training's process held at its peak.

    None where more than half of it was there before: one process runs job after job, and keeps libraries, data and freed memory of
    those before.
    """
    before = record.memory_at_start_gib
    if before is not None and before > _MOST_THERE_BEFORE * record.peak_memory_gib:
        return None
    return record.peak_memory_gib
