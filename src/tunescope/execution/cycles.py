"""Frees what a job left in cycles, as models do: without this the next job's peak memory holds this one's weights."""

from __future__ import annotations

import gc

_FULL_EVERY = 10


class CycleCollector:
    """Collects after every job, at little cost.

    Looking through the half million objects of the libraries takes a quarter of a second, as long as many a small job: what
    has outlived a full look is passed over until the next one, every tenth job.
    """

    def __init__(self) -> None:
        self._num_jobs = 0

    def collect(self) -> None:
        """To be called after a job."""
        is_full = self._num_jobs % _FULL_EVERY == 0
        self._num_jobs += 1
        if is_full:
            gc.unfreeze()
        gc.collect()
        if is_full:
            gc.freeze()

    def close(self) -> None:
        """Lets the interpreter look through everything again."""
        gc.unfreeze()
