"""Whose memory a record tells of: the training's, or that of all that ran before it in the process."""

from __future__ import annotations

import pytest

from made_study import MadeStudy
from tunescope.analysis.memory import training_memory


@pytest.fixture
def record(tmp_path):
    made = MadeStudy(tmp_path / "store")
    made.run("full", 0.7, seeds=[1])
    train = made.plan.runs[0].train
    return made.store.record(train.kind, train.id)


@pytest.mark.parametrize(
    "at_start, peak, gpu, told",
    [
        (0.5, 1.9, None, 1.9),
        (None, 1.9, None, 1.9),  # records of before it was kept
        (2.28, 2.37, None, None),  # an earlier job's memory
        (2.28, 2.37, 0.8, 0.8),  # on a GPU, what was allocated there
    ],
)
def test_a_peak_counts_where_it_is_mostly_the_trainings_own(record, at_start, peak, gpu, told):
    changed = record.model_copy(
        update={"memory_at_start_gib": at_start, "peak_memory_gib": peak, "gpu_peak_allocated_gib": gpu}
    )
    assert training_memory(changed) == told
