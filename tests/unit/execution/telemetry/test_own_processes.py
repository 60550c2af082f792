"""Memory and processor time of this process and of those it started."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from tunescope.execution.telemetry.own_processes import OwnProcesses

_HOLDS = "import sys; held = bytearray(200 * 2**20); sys.stdout.write('.'); sys.stdout.flush(); input()"
_STARTS = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {_HOLDS!r}])"


def _waits_for(process):
    assert process.stdout.read(1) == b"."


@pytest.mark.parametrize("code", [_HOLDS, _STARTS], ids=["child", "grandchild"])
def test_children_count(code):
    before = OwnProcesses().rss_and_cpu()[0]
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        _waits_for(child)
        after = OwnProcesses().rss_and_cpu()[0]
    finally:
        child.communicate(b"\n")
    assert 200 / 1024 <= after - before < 300 / 1024


def test_a_child_that_ended_costs_nothing():
    processes = OwnProcesses()
    child = subprocess.Popen([sys.executable, "-c", _HOLDS], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    _waits_for(child)
    held = processes.rss_and_cpu()[0]
    child.communicate(b"\n")
    assert processes.rss_and_cpu()[0] < held - 100 / 1024


def test_processor_time_grows_with_work():
    processes = OwnProcesses()
    before = processes.rss_and_cpu()[1]
    until = time.process_time() + 0.2
    while time.process_time() < until:
        os.getpid()
    assert 0.1 <= processes.rss_and_cpu()[1] - before < 2.0


def test_a_job_of_a_few_milliseconds_is_not_counted_in_ticks():
    processes = OwnProcesses()
    grown = []
    for _ in range(20):
        before = processes.rss_and_cpu()[1]
        until = time.process_time() + 0.003
        while time.process_time() < until:
            os.getpid()
        grown.append(processes.rss_and_cpu()[1] - before)
    assert all(0.003 <= seconds < 0.05 for seconds in grown)


def test_it_costs_less_than_a_thousandth_of_a_processor():
    processes = OwnProcesses()
    began = time.thread_time()
    for _ in range(200):
        processes.rss_and_cpu()
    assert (time.thread_time() - began) / 200 < 1e-3  # once a second
