"""One worker process: what crosses, how it ends, and where its output goes."""

from __future__ import annotations

import os
import queue
import signal
import sys
import time

import psutil
import pytest

from fake_steps import fake_context, fake_job
from tunescope.errors import TunescopeError
from tunescope.execution.local.devices import worker_devices
from tunescope.execution.local.messages import Alive, Ended, Progressed, Quit, Ready, Setup, Stop, Work
from tunescope.execution.local.worker_process import WorkerProcess
from tunescope.execution.order import order_of
from tunescope.store import Store


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "store", create=True)


@pytest.fixture
def start(tmp_path, store):
    """Starts a worker over the fake steps; all are ended afterwards."""
    started = []

    def one(**changes):
        context = fake_context()
        setup = {
            "worker": "worker 1",
            "store": store.path,
            "steps": "fake_steps:fake_steps",
            "steps_arguments": (tmp_path / "ran",),
            "source": context.source,
            "compute": context.compute,
            "device": "cpu",
            "num_threads": 1,
            "driver_pid": os.getpid(),
            "lock_descriptor": None,
            "logs": None,
            "beat_s": 0.1,
        }
        (device,) = worker_devices(1, "cpu", num_threads=1)
        inbox = queue.SimpleQueue()
        started.append(WorkerProcess(device, Setup(**(setup | changes)), inbox, tmp_path / "logs" / "worker-1.log"))
        return started[-1], inbox

    yield one
    for process in started:
        process.kill()


def _next(inbox, kind):
    """The next message of a kind."""
    until = time.monotonic() + 30.0
    while time.monotonic() < until:
        _, message = inbox.get(timeout=30.0)
        if isinstance(message, kind):
            return message
        assert message is not None, f"the worker died before it sent {kind.__name__}"
    raise AssertionError(f"no {kind.__name__}")


def _until_gone(inbox):
    while inbox.get(timeout=30.0)[1] is not None:
        pass


def test_a_job_crosses_and_its_progress_and_result_come_back(start, store):
    process, inbox = start()
    assert _next(inbox, Ready).host == process.host
    job = fake_job("a")
    process.send(Work(order=order_of(job)))
    assert _next(inbox, Progressed).progress.step == 1
    ended = _next(inbox, Ended)
    assert (ended.job_id, ended.result.status) == (job.id, "done")
    assert store.record(job.kind, job.id).worker == "worker 1"
    process.send(Quit())
    _until_gone(inbox)
    assert process.end() == 0
    assert not process.is_running


def test_it_gives_signs_of_life_in_the_middle_of_a_job_and_its_memory_can_be_seen(start):
    process, inbox = start()
    process.send(Work(order=order_of(fake_job("a", does="hang"))))
    _next(inbox, Progressed)
    before = process.heard_s
    for _ in range(3):
        assert _next(inbox, Alive).gpu_memory_gib is None
    assert process.heard_s > before
    process.sample()
    assert 0.01 < process.rss_gib < 4.0


def test_a_stop_interrupts_a_job_without_checkpoints(start, store):
    process, inbox = start()
    job = fake_job("a", does="hang")
    process.send(Work(order=order_of(job)))
    _next(inbox, Progressed)
    process.send(Stop())
    assert _next(inbox, Ended).result.status == "stopped"
    assert store.failure(job.kind, job.id) is None
    assert (store.path / "work" / f"fake-{job.id}" / "scratch" / "checkpoint").exists()


def test_a_stop_that_comes_before_the_job_keeps_it_from_beginning(start, tmp_path):
    process, inbox = start()
    process.send(Stop())
    process.send(Work(order=order_of(fake_job("a"))))
    assert _next(inbox, Ended).result.status == "stopped"
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_that_ask_a_command_to_stop_are_left_to_the_command(start, number):
    process, inbox = start()
    _next(inbox, Ready)
    process.send(Work(order=order_of(fake_job("a", sleep_s=0.5))))
    _next(inbox, Progressed)
    os.kill(process.pid, number)
    assert _next(inbox, Ended).result.status == "done"


def test_its_output_goes_to_its_log_alone(start, capfd):
    process, inbox = start()
    process.send(Work(order=order_of(fake_job("a", does="print"))))
    _next(inbox, Ended)
    assert process.last_words().splitlines()[-1] == "a library says hello"
    assert "worker 1 starts on cpu\n" in process.log.read_text()
    assert capfd.readouterr() == ("", "")


def test_last_words_are_those_of_this_process_alone(start):
    process, inbox = start(steps="fake_steps:no_such_steps")
    _until_gone(inbox)
    assert process.end() == 1
    assert "TunescopeError: steps 'fake_steps:no_such_steps': expected 'module:attribute'" in process.last_words()
    second, inbox = start()
    _next(inbox, Ready)
    assert second.last_words() == ""


def test_a_process_that_was_stopped_can_be_ended(start):
    process, inbox = start()
    process.send(Work(order=order_of(fake_job("a", does="freeze"))))
    _next(inbox, Progressed)
    began = time.monotonic()
    assert process.end() == -signal.SIGKILL
    assert time.monotonic() - began < 5.0
    _until_gone(inbox)
    process.send(Quit())  # to one that is gone: nothing


def test_it_has_a_session_of_its_own_and_threads_as_told(start):
    process, inbox = start()
    _next(inbox, Ready)
    assert os.getsid(process.pid) == process.pid
    assert psutil.Process(process.pid).environ()["OMP_NUM_THREADS"] == "1"


def test_without_an_interpreter_it_says_what_to_check(start, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(TunescopeError, match=r"worker 1 cannot be started with /nowhere/python: .*still installed"):
        start()
