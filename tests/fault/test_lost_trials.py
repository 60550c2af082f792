"""A sweep whose trials meet a dead worker or a full disk chooses what it would have chosen: that says nothing of their values."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fake_steps import ChoiceLike, TrialLike, WaveLike, fake_job, inline, ran
from tunescope.execution import run_plan
from tunescope.execution.outcome import Outcome
from tunescope.store import Failure, Store


class Failing:
    """An executor under which some jobs fail for a cause, without being done."""

    num_workers = 1

    def __init__(self, within, store, causes):
        self._within, self._store, self._causes, self._failing = within, store, causes, None

    def accepts(self, job):
        return self._failing is None and self._within.accepts(job)

    def start(self, job, attempts=()):
        if job.label in self._causes:
            self._failing = job
            return ""
        return self._within.start(job, attempts)

    def wait(self, on_event):
        if self._failing is None:
            return self._within.wait(on_event)
        job, self._failing = self._failing, None
        failure = Failure(
            label=job.label,
            reason="a reason",
            error="an error",
            traceback="",
            log="logs/x.log",
            failed_at=datetime.now(UTC),
            cause=self._causes[job.label],
        )
        self._store.fail(job.kind, job.id, failure)
        return Outcome(job=job, status="failed", duration_s=0.0, error=failure)

    def on_stop_asked(self):
        return self._within.on_stop_asked()

    def stop(self):
        self._within.stop()

    def close(self):
        self._within.close()


@pytest.fixture
def sweep():
    """Two waves of a trial each, and a choice that a training needs."""
    first = fake_job("wave0", kind=WaveLike)
    one = fake_job("trial0", first, kind=TrialLike)
    second = fake_job("wave1", one, kind=WaveLike)
    other = fake_job("trial1", second, kind=TrialLike)
    choice = fake_job("choice", one, other, kind=ChoiceLike)
    return [first, one, second, other, choice, fake_job("train", choice)]


@pytest.mark.parametrize("cause", ["lost", "timeout", "disk"])
def test_a_trial_that_a_machine_failed_blocks_the_sweep_until_it_has_run(tmp_path, sweep, cause):
    store, counts = Store.open(tmp_path / "store", create=True), tmp_path / "ran"
    summary = run_plan(sweep, store, Failing(inline(store, counts), store, {"trial0": cause}))
    assert ([one.job.label for one in summary.failed], summary.tolerated) == (["trial0"], ())
    assert {one.job.label for one in summary.blocked} == {"wave1", "trial1", "choice", "train"}
    assert summary.exit_code == 1
    again = run_plan(sweep, store, inline(store, counts))
    assert again.exit_code == 0
    assert ran(counts) == ["wave0", "trial0", "wave1", "trial1", "choice", "train"]
    assert set(store.record("fake_choice", sweep[4].id).facts["read"]) == {"input0", "input1"}


@pytest.mark.parametrize("cause", ["code", "not_finite", "out_of_memory"])
def test_a_trial_that_failed_by_itself_counts_as_failed(tmp_path, sweep, cause):
    store, counts = Store.open(tmp_path / "store", create=True), tmp_path / "ran"
    causes = {"trial0": cause}
    summary = run_plan(sweep, store, Failing(inline(store, counts), store, causes))
    assert ([one.job.label for one in summary.tolerated], summary.exit_code) == (["trial0"], 0)
    assert set(store.record("fake_choice", sweep[4].id).facts["read"]) == {"input1"}
