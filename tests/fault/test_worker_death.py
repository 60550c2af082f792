"""Workers that die, hang, grow and outlive their command: what becomes of their jobs, and of the store."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from fake_steps import fake_job, fake_training, local, ran
from tunescope.execution import JobRetried, WorkerSeen, run_plan
from tunescope.execution.local.machine_memory import MachineMemory
from tunescope.store import Store

_HERE = Path(__file__).resolve().parent
_PLENTY = MachineMemory(total_gib=8.0, available_gib=4.0, num_killed=0)


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "store", create=True)


@pytest.fixture
def counts(tmp_path):
    return tmp_path / "ran"


@pytest.fixture
def run(store, counts):
    """Runs jobs in local workers; returns the summary and the events."""

    def one(*jobs, num_workers=1, **limits):
        events = []
        executor = local(store, counts, num_workers, **({"read_memory": lambda: _PLENTY} | limits))
        try:
            return run_plan(list(jobs), store, executor, events.append), events
        finally:
            executor.stop()

    return one


def _attempts(store, job):
    return [(attempt.cause, attempt.worker) for attempt in store.record(job.kind, job.id).attempts]


# A worker dies


def test_a_job_whose_worker_is_killed_goes_on_in_another_and_the_rest_is_undisturbed(run, store, counts):
    job = fake_training("a", num_steps=30, does="kill at 10")
    others = [fake_job(f"job{index}") for index in range(3)]
    summary, events = run(job, *others, num_workers=2)
    assert (len(summary.done), summary.num_retried, summary.exit_code) == (4, 1, 0)
    record = store.record(job.kind, job.id)
    assert record.facts["first_step"] == 10
    assert _attempts(store, job) == [("lost", "worker 1")]
    (retried,) = (event for event in events if isinstance(event, JobRetried))
    assert "worker 1 (process " in retried.attempt.reason
    assert "ended by signal SIGKILL in the middle of it" in retried.attempt.reason
    lost = [event.worker for event in events if isinstance(event, WorkerSeen) and event.worker.state == "lost"]
    assert [(worker.name, worker.job_id) for worker in lost] == [("worker 1", job.id)]
    assert sorted(ran(counts)) == ["a", "a", "job0", "job1", "job2"]
    assert store.failure(job.kind, job.id) is None


def test_a_job_that_ends_every_worker_fails_after_three_tries_and_the_rest_goes_on(run, store, counts):
    bad, good = fake_job("bad", does="exit"), fake_job("good")
    summary, _ = run(bad, good)
    (failed,) = summary.failed
    assert summary.done == (good,)
    assert ran(counts) == ["bad", "bad", "bad", "good"]
    assert failed.error == store.failure(bad.kind, bad.id)
    assert (failed.error.cause, len(failed.error.attempts)) == ("lost", 2)
    assert re.search(
        r"job fake/\w{8} \(bad\): worker 1 \(process \d+\) ended by exit code 3 in the middle of it\. "
        r"Its last words: the library gave up Its log: .*/worker-1\.log",
        failed.error.reason,
    )


def test_a_job_that_was_whole_when_its_worker_died_is_done_and_does_not_run_again(run, store, counts):
    job = fake_job("a", does="be killed when done")
    summary, _ = run(job, fake_job("b", job))
    assert (summary.exit_code, summary.num_retried) == (0, 0)
    assert ran(counts) == ["a", "b"]
    store.verify(job.kind, job.id)
    assert not (store.path / "work" / f"fake-{job.id}").exists()


def test_a_worker_that_dies_while_it_starts_costs_its_job_no_try(run, store, counts, monkeypatch, tmp_path):
    broken = tmp_path / "python"
    broken.write_text(
        f'#!/bin/sh\nif mkdir {tmp_path}/once 2>/dev/null; then kill -9 $$; fi\nexec {sys.executable} "$@"\n'
    )
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    summary, _ = run(fake_job("a"))
    assert (tmp_path / "once").exists()
    assert (len(summary.done), summary.num_retried) == (1, 0)
    assert ran(counts) == ["a"]


# A worker hangs


def test_a_worker_without_a_sign_of_life_is_replaced(run, store):
    job = fake_job("a", does="freeze once")
    summary, _ = run(job, hung_after_s=1.0)
    assert summary.exit_code == 0
    assert _attempts(store, job) == [("timeout", "worker 1")]
    assert "gave no sign of life for 1 s" in store.record(job.kind, job.id).attempts[0].reason


def test_a_job_past_its_deadline_is_ended_and_tried_again(run, store):
    job = fake_job("a", does="hang once")
    summary, _ = run(job, job_timeout_s=1.0)
    assert summary.exit_code == 0
    assert _attempts(store, job) == [("timeout", "worker 1")]
    assert (
        "not done after 1 s, its deadline. Raise compute.job_timeout_s"
        in store.record(job.kind, job.id).attempts[0].reason
    )


def test_a_job_that_passes_every_deadline_fails(run, store):
    job = fake_job("a", does="hang for good")
    summary, _ = run(job, fake_job("b"), job_timeout_s=0.6)
    assert [outcome.error.cause for outcome in summary.failed] == ["timeout"]
    assert len(summary.done) == 1


# Memory


def test_a_worker_that_holds_too_much_is_ended_and_its_job_computes_half_at_once(run, store):
    job = fake_job("a", does="hold memory")  # 400 MiB, and half of it with half of the tokens
    summary, _ = run(job, memory_limit_gib=0.35)
    assert summary.exit_code == 0
    assert _attempts(store, job) == [("out_of_memory", "worker 1")]
    assert re.search(r"held 0\.\d\d GiB, more than its 0\.35 GiB", store.record(job.kind, job.id).attempts[0].reason)


def test_where_the_machines_memory_runs_out_the_largest_worker_is_ended_before_the_kernel_ends_something(
    run, store, counts
):
    large, small = fake_job("large", does="hold memory"), fake_job("small", sleep_s=2.0)

    def read_memory():
        # Used up while the first try of the large one holds its memory.
        time_is_up = ran(counts).count("large") == 1 and len(ran(counts)) == 2
        return MachineMemory(total_gib=3.0, available_gib=0.01 if time_is_up else 1.0, num_killed=0)

    summary, _ = run(large, small, num_workers=2, read_memory=read_memory)
    assert summary.exit_code == 0
    assert _attempts(store, small) == []
    assert _attempts(store, large) == [("out_of_memory", "worker 1")]
    assert "was ended before the kernel ended something" in store.record("fake", large.id).attempts[0].reason


def test_a_kill_by_the_kernel_for_memory_is_told_from_others_by_its_own_count(run, store, counts):
    job = fake_job("a", does="be killed once")

    def read_memory():
        return MachineMemory(total_gib=8.0, available_gib=4.0, num_killed=3 + len(ran(counts)))

    run(job, read_memory=read_memory)
    assert _attempts(store, job) == [("out_of_memory", "worker 1")]


# The command dies


def _start(store, counts, num_workers, *names):
    command = [sys.executable, str(_HERE / "local_run.py"), str(store), str(counts), str(num_workers), *names]
    paths = [str(_HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def _until_begun(process, counts, *names):
    until = time.monotonic() + 60.0
    while not set(names) <= set(ran(counts)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until, f"{names} did not begin"
        time.sleep(0.02)
    return psutil.Process(process.pid).children()


def test_workers_go_with_their_command_however_it_dies_and_a_second_run_goes_on(tmp_path, counts):
    names = ("a", "b=train", "c=hang once", "d=freeze once")
    first = _start(tmp_path / "store", counts, 3, *names)
    workers = _until_begun(first, counts, "a", "b", "c", "d")
    assert len(workers) == 3
    time.sleep(0.3)
    first.send_signal(signal.SIGKILL)
    second = _start(tmp_path / "store", counts, 3, *names)  # at once: the workers of the first may still live
    gone, alive = psutil.wait_procs(workers, timeout=5.0)
    assert (len(gone), alive) == (3, [])
    assert second.communicate(timeout=60) == ("done 3 reused 1 left 0\n", "")
    assert second.returncode == 0
    assert sorted(ran(counts)) == ["a", "b", "b", "c", "c", "d", "d"]
    store = Store.open(tmp_path / "store", create=False)
    assert store.record("fake_training", fake_training("b", num_steps=200, does="train").id).facts["first_step"] > 0
    first.communicate()


def test_while_a_worker_lives_nobody_else_gets_the_store(tmp_path, counts):
    store = Store.open(tmp_path / "store", create=True)
    first = _start(store.path, counts, 1, "a=hang once")
    (worker,) = _until_begun(first, counts, "a")
    held = {os.readlink(f"/proc/{worker.pid}/fd/{name}") for name in os.listdir(f"/proc/{worker.pid}/fd")}
    assert str(store.path / "lock") in held
    first.kill()
    first.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_a_training_writes_its_checkpoint_and_others_are_interrupted(tmp_path, counts, number):
    names = ("a=train", "b=hang once")
    process = _start(tmp_path / "store", counts, 2, *names)
    workers = _until_begun(process, counts, "a", "b")
    time.sleep(0.3)
    began = time.monotonic()
    for one in (*workers, process):  # as a service manager does, or `kill` of all that looks like it
        one.send_signal(number)
    assert process.communicate(timeout=60) == ("done 0 reused 0 left 2\n", "")
    assert (process.returncode, time.monotonic() - began < 10.0) == (130, True)
    again = _start(tmp_path / "store", counts, 2, *names)
    assert again.communicate(timeout=60) == ("done 2 reused 0 left 0\n", "")
    store = Store.open(tmp_path / "store", create=False)
    assert store.record("fake_training", fake_training("a", num_steps=200, does="train").id).facts["first_step"] > 0
