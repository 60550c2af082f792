"""Order, reuse, failures, blocked jobs and interrupts of a run."""

from __future__ import annotations

import itertools
import signal

import pytest

from fake_steps import ChoiceLike, TrialLike, WaveLike, fake_context, fake_job, fake_steps, inline, ran
from tunescope.errors import StoreError
from tunescope.execution import (
    InlineExecutor,
    JobBlocked,
    JobEnded,
    JobProgress,
    JobStarted,
    PlanSkipped,
    Summary,
    run_plan,
)
from tunescope.execution.runner import in_order
from tunescope.store import Store


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "store", create=True)


@pytest.fixture
def counts(tmp_path):
    return tmp_path / "ran"


def _labels(jobs):
    return [job.label for job in jobs]


def test_inputs_run_first_and_the_given_order_is_otherwise_kept(store, counts):
    base_a, base_b = fake_job("base-a"), fake_job("base-b")
    jobs = [base_a, fake_job("tuned-a", base_a), fake_job("tuned-b", base_b), base_b, fake_job("last")]
    summary = run_plan(jobs, store, inline(store, counts))
    assert ran(counts) == ["base-a", "tuned-a", "base-b", "tuned-b", "last"]
    assert _labels(summary.done) == ran(counts)
    assert (summary.reused, summary.failed, summary.blocked, summary.left) == ((), (), (), ())
    assert summary.exit_code == 0


def test_the_same_job_twice_runs_once(store, counts):
    summary = run_plan([fake_job("a"), fake_job("a"), fake_job("b", fake_job("a"))], store, inline(store, counts))
    assert ran(counts) == ["a", "b"]
    assert len(summary.done) == 2


def test_inputs_that_the_plan_does_not_list_run_too(store, counts):
    run_plan([fake_job("b", fake_job("a"))], store, inline(store, counts))
    assert ran(counts) == ["a", "b"]


def test_a_cycle_is_our_own_fault():
    job = fake_job("a")
    object.__setattr__(job, "inputs", {"self": fake_job("b", job)})
    with pytest.raises(AssertionError, match="inputs of job a lead back to itself"):
        in_order([job])


def test_a_second_run_starts_no_job(store, counts):
    jobs = [fake_job("a"), fake_job("b", fake_job("a"))]
    run_plan(jobs, store, inline(store, counts))
    summary = run_plan(jobs, store, inline(store, counts))
    assert ran(counts) == ["a", "b"]
    assert _labels(summary.reused) == ["a", "b"]
    assert summary.done == ()


def test_a_changed_setting_runs_exactly_the_jobs_below_it(store, counts):
    def plan(num_files):
        base = fake_job("base")
        tuned = fake_job("tuned", base, num_files=num_files)
        return [base, tuned, fake_job("scores", tuned), fake_job("other", base)]

    run_plan(plan(1), store, inline(store, counts))
    run_plan(plan(2), store, inline(store, counts))
    assert ran(counts) == ["base", "tuned", "scores", "other", "tuned", "scores"]


def test_what_was_forgotten_runs_again(store, counts):
    jobs = [fake_job("a"), fake_job("b")]
    run_plan(jobs, store, inline(store, counts))
    store.forget(jobs[0].id)
    run_plan(jobs, store, inline(store, counts))
    assert ran(counts) == ["a", "b", "a"]


def test_a_failed_job_blocks_what_needs_it_and_nothing_else(store, counts):
    bad_1, bad_2, good = fake_job("bad1", does="raise"), fake_job("bad2", does="raise"), fake_job("good")
    one, both, far = fake_job("one", bad_1), fake_job("both", bad_1, bad_2), fake_job("fine", good)
    end = fake_job("end", both, far)
    summary = run_plan([bad_1, bad_2, good, one, both, far, end], store, inline(store, counts))
    assert ran(counts) == ["bad1", "bad2", "good", "fine"]
    assert [outcome.job.label for outcome in summary.failed] == ["bad1", "bad2"]
    assert {blocked.job.label: _labels(blocked.on) for blocked in summary.blocked} == {
        "one": ["bad1"],
        "both": ["bad1", "bad2"],
        "end": ["bad1", "bad2"],
    }
    assert _labels(summary.done) == ["good", "fine"]
    assert summary.left == ()
    assert summary.exit_code == 1


def test_a_failed_job_is_tried_again_by_the_next_run(store, counts):
    shaky = fake_job("shaky", does="raise once")
    jobs = [shaky, fake_job("after", shaky)]
    first = run_plan(jobs, store, inline(store, counts))
    assert (len(first.failed), len(first.blocked), first.exit_code) == (1, 1, 1)
    second = run_plan(jobs, store, inline(store, counts))
    assert (len(second.done), second.exit_code) == (2, 0)
    assert ran(counts) == ["shaky", "shaky", "after"]


def test_an_interrupt_says_what_is_left_and_the_next_run_does_only_that(store, counts):
    jobs = [fake_job("a"), fake_job("b", does="interrupt"), fake_job("c")]
    summary = run_plan(jobs, store, inline(store, counts))
    assert summary.interrupted
    assert (_labels(summary.done), _labels(summary.left)) == (["a"], ["b", "c"])
    assert summary.exit_code == 130
    assert run_plan(jobs, store, inline(store, counts)).exit_code == 0
    assert ran(counts) == ["a", "b", "b", "c"]
    assert store.record("fake", jobs[1].id).facts["resumed"] is True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_a_callback_swallows_still_stops_the_run(store, counts, number):
    def swallow(event):
        if isinstance(event, JobProgress) and event.job.label == "a":
            try:
                signal.raise_signal(number)
            except KeyboardInterrupt:
                return

    before = signal.getsignal(number)
    summary = run_plan([fake_job("a"), fake_job("b")], store, inline(store, counts), swallow)
    assert (_labels(summary.done), _labels(summary.left), summary.interrupted) == (["a"], ["b"], True)
    assert signal.getsignal(number) is before


def test_a_job_committed_just_before_the_interrupt_is_done(store, counts):
    class Late(InlineExecutor):
        def wait(self, on_event):
            super().wait(on_event)
            raise KeyboardInterrupt

    summary = run_plan([fake_job("a"), fake_job("b")], store, Late(store, fake_steps(counts), fake_context()))
    assert (_labels(summary.done), _labels(summary.left)) == (["a"], ["b"])


def test_what_a_crash_after_the_commit_left_is_cleared(store, counts):
    job = fake_job("a")
    (failed,) = run_plan([fake_job("bad", does="raise")], store, inline(store, counts)).failed
    run_plan([job], store, inline(store, counts))
    work = store.begin(job.kind, job.id)
    store.fail(job.kind, job.id, failed.error)
    run_plan([job], store, inline(store, counts))
    assert not work.scratch.exists()
    assert store.failure(job.kind, job.id) is None


def test_artifacts_that_are_not_whole_are_all_named_before_anything_runs(store, counts):
    jobs = [fake_job("a"), fake_job("b"), fake_job("new")]
    run_plan(jobs[:2], store, inline(store, counts))
    for job in jobs[:2]:
        (store.artifact(job.kind, job.id) / "file0.txt").unlink()
    with pytest.raises(StoreError) as error:
        run_plan(jobs, store, inline(store, counts))
    lines = str(error.value).splitlines()
    assert lines[0] == (
        f"artifact fake/{jobs[0].id[:8]} (a) is not whole: file0.txt is missing. "
        f"Rebuild: tunescope forget {jobs[0].id[:8]} --store {store.path}"
    )
    assert "(b) is not whole" in lines[1]
    assert ran(counts) == ["a", "b"]


def test_events_tell_the_whole_story_in_order(store, counts):
    events = []
    bad = fake_job("bad", does="raise")
    run_plan([fake_job("a")], store, inline(store, counts))
    run_plan([fake_job("a"), bad, fake_job("after", bad), fake_job("b")], store, inline(store, counts), events.append)
    kinds = [type(event) for event in events]
    assert kinds == [
        PlanSkipped,
        *(JobStarted, JobProgress, JobEnded, JobBlocked),
        *(JobStarted, JobProgress, JobEnded),
    ]
    assert (_labels(events[0].reused), events[0].num_jobs) == (["a"], 4)
    assert events[2].progress.num_steps == 2
    assert (events[3].outcome.status, events[6 + 1].outcome.status) == ("failed", "done")
    assert (events[4].job.label, _labels(events[4].on)) == ("after", ["bad"])


def test_a_fault_of_the_executor_is_not_hidden(store, counts):
    stopped = []

    class Broken(InlineExecutor):
        def wait(self, on_event):
            raise OSError("the cluster is gone")

        def stop(self):
            stopped.append(True)

    with pytest.raises(OSError, match="the cluster is gone"):
        run_plan([fake_job("a")], store, Broken(store, fake_steps(counts), fake_context()))
    assert stopped == [True]


def test_an_executor_that_takes_nothing_is_a_fault(store, counts):
    class Full(InlineExecutor):
        def accepts(self, job):
            return False

    with pytest.raises(AssertionError, match="accepts no job although none is under way"):
        run_plan([fake_job("a")], store, Full(store, fake_steps(counts), fake_context()))


def test_duration_is_taken_from_the_clock(store, counts):
    ticks = itertools.count(100.0, 2.5)
    assert run_plan([], store, inline(store, counts), clock=lambda: next(ticks)).duration_s == 2.5


@pytest.mark.parametrize("interrupted,code", [(False, 0), (True, 130)])
def test_exit_code_of_nothing_done(interrupted, code):
    summary = Summary(
        done=(), reused=(), failed=(), tolerated=(), blocked=(), left=(), interrupted=interrupted, duration_s=0.0
    )
    assert summary.exit_code == code


def _sweep(first="write", second="write", wave="write", last="write"):
    """Two waves of trials and the choice that a run needs, as a sweep has them."""
    wave_0 = fake_job("wave0", kind=WaveLike)
    trials = [
        fake_job("trial0", wave_0, kind=TrialLike, does=first),
        fake_job("trial1", wave_0, kind=TrialLike, does=second),
    ]
    wave_1 = fake_job("wave1", wave_0, *trials, kind=WaveLike, does=wave)
    trial_2 = fake_job("trial2", wave_1, kind=TrialLike, does=last)
    choice = fake_job("choice", wave_1, trial_2, kind=ChoiceLike)
    return [wave_0, *trials, wave_1, trial_2, choice, fake_job("run", choice)]


def test_a_failed_trial_is_left_out_of_what_its_wave_reads_and_blocks_nothing(store, counts):
    jobs = _sweep(second="raise", last="raise")
    summary = run_plan(jobs, store, inline(store, counts))
    assert ran(counts) == ["wave0", "trial0", "trial1", "wave1", "trial2", "choice", "run"]
    assert [outcome.job.label for outcome in summary.tolerated] == ["trial1", "trial2"]
    assert (summary.failed, summary.blocked, summary.left, summary.exit_code) == ((), (), (), 0)
    wave_1 = jobs[3]
    assert set(store.record(wave_1.kind, wave_1.id).facts["read"]) == {"input0", "input1"}
    assert set(store.record(wave_1.kind, wave_1.id).inputs) == {"input0", "input1", "input2"}


def test_a_failed_trial_is_not_run_again_once_its_wave_has_counted_it(store, counts):
    jobs = _sweep(second="raise")
    run_plan(jobs, store, inline(store, counts))
    before = ran(counts)
    summary = run_plan(jobs, store, inline(store, counts))
    assert ran(counts) == before
    assert (_labels(summary.done), summary.exit_code) == ([], 0)
    assert len(summary.reused) == len(jobs)


def test_a_failed_trial_is_run_again_where_its_wave_has_not_counted_it(store, counts):
    jobs = _sweep(second="raise once", wave="interrupt")
    assert run_plan(jobs, store, inline(store, counts)).exit_code == 130
    summary = run_plan(jobs, store, inline(store, counts))
    assert ran(counts) == ["wave0", "trial0", "trial1", "wave1", "trial1", "wave1", "trial2", "choice", "run"]
    assert summary.exit_code == 0
    assert len(store.record(jobs[3].kind, jobs[3].id).facts["read"]) == 3


def test_a_wave_that_fails_blocks_all_that_comes_after_it(store, counts):
    summary = run_plan(_sweep(wave="raise"), store, inline(store, counts))
    assert [outcome.job.label for outcome in summary.failed] == ["wave1"]
    assert {blocked.job.label for blocked in summary.blocked} == {"trial2", "choice", "run"}
    assert summary.exit_code == 1


def test_a_wave_that_fails_is_never_left_out_even_where_its_trials_are_whole(store, counts):
    """What comes after would take itself for the first wave."""
    jobs = _sweep(wave="raise")
    wave_1 = jobs[3]
    later = fake_job("wave2", wave_1, kind=WaveLike)
    end = fake_job("choice", later, kind=ChoiceLike)
    summary = run_plan([*jobs[:4], later, end], store, inline(store, counts))
    assert [outcome.job.label for outcome in summary.failed] == ["wave1"]
    assert {blocked.job.label for blocked in summary.blocked} == {"wave2", "choice"}


def test_what_is_wanted_for_others_alone_is_not_made_again_for_nobody(store, counts):
    jobs = _sweep()
    run_plan(jobs, store, inline(store, counts))
    before = ran(counts)
    for job in jobs[:5]:
        store.forget(job.id)
    assert _labels(run_plan(jobs, store, inline(store, counts)).done) == []
    assert ran(counts) == before
    store.forget(jobs[5].id)
    assert _labels(run_plan(jobs, store, inline(store, counts)).done) == _labels(jobs[:6])


def test_a_trial_that_failed_for_a_run_that_needs_it_itself_is_a_failure(store, counts):
    trial = fake_job("trial", kind=TrialLike, does="raise")
    summary = run_plan(
        [trial, fake_job("wave", trial, kind=ChoiceLike), fake_job("strict", trial)], store, inline(store, counts)
    )
    assert [outcome.job.label for outcome in summary.failed] == ["trial"]
    assert _labels(summary.done) == ["wave"]
    assert _labels(blocked.job for blocked in summary.blocked) == ["strict"]
    assert summary.exit_code == 1
