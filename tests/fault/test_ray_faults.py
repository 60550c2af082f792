"""A Ray cluster that loses workers, nodes, its head or its command: what was done stays, and the rest is done elsewhere or later."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from fake_steps import fake_context, fake_job, fake_training, ran
from tunescope.execution import JobRetried, JobStarted, WorkerSeen, run_plan
from tunescope.store import Store
from tunescope.store.remote.storage import RemoteStore

pytest.importorskip("ray", reason="needs Ray: pip install 'tunescope[ray]'")
pytestmark = pytest.mark.slow  # starting a cluster takes seven seconds, each test three more

from ray_cluster import ThreeNodes, ray_executor  # noqa: E402

_HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A cluster whose head survives the test; nodes that a test kills are replaced."""
    three = ThreeNodes(caches=tmp_path_factory.mktemp("caches"))
    yield three
    three.end()


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "store", create=True)


@pytest.fixture
def counts(tmp_path):
    return tmp_path / "ran"


def _driver(address, store, counts, *jobs):
    """The command in a process of its own, so that it can be killed."""
    words = [sys.executable, _HERE / "fake_ray_run.py", address, store.path, counts, *jobs]
    environment = os.environ | {"PYTHONPATH": str(_HERE.parent), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def _until(holds, within_s):
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"did not happen within {within_s:.0f} s"
        time.sleep(0.1)


def _steps_done(store, *jobs):
    files = [store.path / "work" / f"{job.kind}-{job.id}" / "scratch" / "step" for job in jobs]
    return min(int(file.read_text() or 0) if file.exists() else 0 for file in files)


def _workers():
    """Ray workers of ours that are alive on this machine."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = " ".join(process.info["cmdline"] or ())
        if line.startswith("ray::_Actor") and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process.pid)
    return found


def _kill_node_when(nodes, begun, pid_of_job):
    """Kills the node of the worker that does a job, once it has begun; in a thread, as faults come."""

    def kill():
        _until(begun, 60.0)
        process = psutil.Process(pid_of_job())
        raylet = process.ppid()
        node = next(node for node in nodes.others if raylet in _pids(node))
        nodes.kill(node)

    thread = threading.Thread(target=kill)
    thread.start()
    return thread


def _pids(node):
    return [one.process.pid for processes in node.all_processes.values() for one in processes]


@pytest.mark.parametrize("is_remote", [False, True], ids=["shared folder", "object storage"])
def test_a_node_that_dies_mid_job_costs_the_work_since_the_last_checkpoint(shared, store, counts, tmp_path, is_remote):
    remote = RemoteStore.open(f"file://{tmp_path}/bucket", create=True) if is_remote else None
    jobs = [fake_training(f"t{index}", num_steps=250, step_s=0.04) for index in range(3)]
    events, running = [], {}
    head = set(_pids(shared.cluster.head_node))

    def see(event):
        events.append(event)
        if (
            isinstance(event, WorkerSeen)
            and event.worker.job_id
            and psutil.Process(event.worker.pid).ppid() not in head
        ):
            running[event.worker.job_id] = event.worker.pid

    def begun():
        return (
            running and any(isinstance(event, JobStarted) for event in events) and time.monotonic() - began > 9.0
        )  # some seconds of steps, and time to send a checkpoint

    executor = ray_executor(store, counts, shared.address, remote=remote)
    began = time.monotonic()
    thread = _kill_node_when(shared, begun, lambda: next(iter(running.values())))
    summary = run_plan(jobs, store, executor, see)
    thread.join()
    shared.add()
    assert (summary.exit_code, len(summary.done)) == (0, 3)
    (retried,) = [event for event in events if isinstance(event, JobRetried)]
    assert retried.attempt.cause == "lost"
    record = store.record(retried.job.kind, retried.job.id)
    assert [attempt.cause for attempt in record.attempts] == ["lost"]
    assert record.attempts[0].worker != record.worker
    assert record.facts["first_step"] > 20
    assert sorted(ran(counts)) == sorted([job.label for job in jobs] + [retried.job.label])


def test_a_worker_that_is_killed_or_leaves_is_replaced(shared, store, counts):
    jobs = [fake_job("killed", does="be killed once"), fake_job("exits", does="exit once"), fake_job("good")]
    events = []
    summary = run_plan(jobs, store, ray_executor(store, counts, shared.address), events.append)
    assert summary.exit_code == 0
    retried = {event.job.label: event.attempt for event in events if isinstance(event, JobRetried)}
    assert {label: attempt.cause for label, attempt in retried.items()} == {"killed": "lost", "exits": "lost"}
    assert "was lost" in retried["killed"].reason


def test_a_deadline_and_a_limit_of_memory_end_a_job(shared, store, counts):
    from dataclasses import replace

    from tunescope.execution.ray.executor import RayExecutor
    from tunescope.study.spec import Compute

    context = replace(fake_context(), compute=Compute(job_timeout_s=4.0, worker_memory_gib=0.4))
    executor = RayExecutor(
        store, context, steps="fake_steps:fake_steps", steps_arguments=(counts,), address=shared.address
    )
    hangs, grows, events = fake_job("hangs", does="hang"), fake_job("grows", does="hold memory"), []
    summary = run_plan([hangs, grows], store, executor, events.append)
    assert store.failure(hangs.kind, hangs.id).cause == "timeout"
    assert "compute.job_timeout_s, 4 s" in store.failure(hangs.kind, hangs.id).reason
    assert [job.label for job in summary.done] == ["grows"]  # with half as many tokens at once, and so half the memory
    (attempt,) = store.record(grows.kind, grows.id).attempts
    assert attempt.cause == "out_of_memory"
    assert "more than compute.worker_memory_gib, 0.4" in attempt.reason


def test_a_command_that_is_killed_leaves_no_worker_and_is_gone_on_with(shared, store, counts):
    jobs = [fake_training(f"t{index}", num_steps=200) for index in range(3)]
    first = _driver(shared.address, store, counts, *(f"{job.label}=200" for job in jobs))
    _until(lambda: _steps_done(store, *jobs) > 20, 60.0)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    _until(lambda: not _workers(), 20.0)
    second = _driver(shared.address, store, counts, *(f"{job.label}=200" for job in jobs))
    out, err = second.communicate(timeout=120.0)
    assert (second.returncode, out, err) == (0, "done 3 reused 0 left 0\n", "")
    assert all(store.record(job.kind, job.id).facts["first_step"] > 20 for job in jobs)
    third = _driver(shared.address, store, counts, *(f"{job.label}=200" for job in jobs))
    out, err = third.communicate(timeout=120.0)
    assert (third.returncode, out, err) == (0, "done 0 reused 3 left 0\n", "")


def test_a_command_that_is_asked_to_end_lets_trainings_write_their_checkpoints(shared, store, counts):
    jobs = [fake_training(f"t{index}", num_steps=400) for index in range(3)]
    command = _driver(shared.address, store, counts, *(f"{job.label}=400" for job in jobs))
    _until(lambda: _steps_done(store, *jobs) > 20, 60.0)
    asked = time.monotonic()
    command.send_signal(signal.SIGTERM)
    out, err = command.communicate(timeout=60.0)
    assert (command.returncode, out, err) == (130, "done 0 reused 0 left 3\n", "")
    assert time.monotonic() - asked < 10.0
    _until(lambda: not _workers(), 20.0)
    assert "stopped on request" in store.log_file(jobs[0].kind, jobs[0].id).read_text()


def test_a_second_command_on_the_store_is_told_who_is_there(shared, store, counts):
    first = _driver(shared.address, store, counts, "t0=200")
    _until(lambda: _steps_done(store, fake_training("t0", num_steps=200)) > 5, 60.0)
    second = _driver(shared.address, store, counts, "t0=200")
    _, err = second.communicate(timeout=60.0)
    assert second.returncode == 2
    assert f"in use by process {first.pid} on " in err
    assert first.communicate(timeout=60.0)[0] == "done 1 reused 0 left 0\n"


def test_a_head_that_dies_is_told_and_the_study_goes_on_on_a_new_cluster(store, counts):
    jobs = [fake_training(f"t{index}", num_steps=1000) for index in range(3)]
    words = [f"{job.label}=1000" for job in jobs]
    cluster = ThreeNodes()
    try:
        first = _driver(cluster.address, store, counts, *words)
        _until(lambda: _steps_done(store, *jobs) > 20, 60.0)
        cluster.kill_head()
        out, err = first.communicate(timeout=58.0)  # Ray would end the command, without a word, after 60 s
        assert (first.returncode, out) == (2, "")
        assert err.startswith(f"the head of the Ray cluster at {cluster.address} has not answered for 15 s")
        assert "run the same command" in err
    finally:
        cluster.end()
    again = ThreeNodes()
    try:
        second = _driver(again.address, store, counts, *words)
        out, err = second.communicate(timeout=200.0)
        assert (second.returncode, err) == (0, "")
    finally:
        again.end()
    # A worker that Ray left behind may have finished its job before the new cluster was there: not again, then.
    resumed = [job for job in jobs if ran(counts).count(job.label) == 2]
    assert resumed
    assert len(ran(counts)) == 3 + len(resumed)
    assert all(store.record(job.kind, job.id).facts["first_step"] > 20 for job in resumed)
    assert out == f"done {len(resumed)} reused {3 - len(resumed)} left 0\n"
