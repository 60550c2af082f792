from __future__ import annotations

import gc
import weakref

import pytest

from tunescope.execution.cycles import CycleCollector


class _Model:
    def __init__(self):
        self.itself = self


@pytest.fixture(autouse=True)
def _unfrozen():
    yield
    gc.unfreeze()


@pytest.mark.parametrize("num_jobs_before", [0, 1, 9, 10])
def test_what_a_job_left_in_a_cycle_is_freed_after_it(num_jobs_before):
    cycles = CycleCollector()
    for _ in range(num_jobs_before):
        cycles.collect()
    left = weakref.ref(_Model())
    cycles.collect()
    assert left() is None


def test_what_was_kept_from_job_to_job_and_dropped_is_freed_by_a_full_look():
    cycles = CycleCollector()
    base = _Model()
    cycles.collect()
    kept = weakref.ref(base)
    del base
    for _ in range(10):
        cycles.collect()
    assert kept() is None


def test_nothing_is_passed_over_once_closed():
    cycles = CycleCollector()
    cycles.collect()
    assert gc.get_freeze_count() > 0
    cycles.close()
    assert gc.get_freeze_count() == 0
