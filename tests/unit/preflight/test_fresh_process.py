"""A process for each call: values come back, and so do errors, crashes, and the memory that was held."""

from __future__ import annotations

import math
import os
import sys
import time

import pytest

from tunescope.errors import RunError
from tunescope.preflight.fresh_process import FreshProcesses

_HELPERS = """
import os, signal
from tunescope.errors import DataError

def hold(mebibytes):
    block = bytearray(os.urandom(1)) * (mebibytes * 2**20)
    return len(block)

def refuse(word):
    raise DataError(f"{word} is missing")

def pid(_):
    return os.getpid()

def end_by(number):
    os.kill(os.getpid(), number)

def end_server(_):
    os.kill(os.getppid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def helpers(tmp_path_factory):
    """Functions in a module that the server can import too."""
    folder = tmp_path_factory.mktemp("helpers")
    (folder / "fresh_process_helpers.py").write_text(_HELPERS, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        patch.syspath_prepend(str(folder))
        import fresh_process_helpers

        yield fresh_process_helpers
    del sys.modules["fresh_process_helpers"]


@pytest.fixture(scope="module")
def processes(helpers):
    with FreshProcesses() as processes:
        yield processes


def test_values_come_back_from_another_process_each_time(processes, helpers):
    assert processes.call(math.sqrt, 4.0)[0] == 2.0
    pids = {processes.call(helpers.pid, None)[0] for _ in range(2)}
    assert len(pids | {os.getpid()}) == 3


def test_the_peak_is_that_of_the_call_alone(processes, helpers):
    big = processes.call(helpers.hold, 300)[1]
    small = processes.call(helpers.hold, 1)[1]
    assert big - small == pytest.approx(299 / 1024, abs=0.02)
    assert 0.1 < small < 2.0, "the libraries are counted"


def test_what_a_user_can_mend_is_said_as_it_is(processes, helpers):
    with pytest.raises(RunError, match=r"^the data is missing$"):
        processes.call(helpers.refuse, "the data")


def test_other_errors_are_named_with_their_place(processes):
    with pytest.raises(RunError, match=r"^ValueError: .*\(fresh_process\.py, line \d+\)$"):
        processes.call(math.sqrt, -1.0)


def test_a_crash_is_told_and_the_next_call_works(processes, helpers):
    with pytest.raises(RunError, match="most likely because the machine's memory was used up"):
        processes.call(helpers.end_by, 9)
    with pytest.raises(RunError, match="ended by signal SIGSEGV"):
        processes.call(helpers.end_by, 11)
    with pytest.raises(RunError, match="ended with exit code 3"):
        processes.call(os._exit, 3)
    assert processes.call(math.sqrt, 9.0)[0] == 3.0


def test_a_call_that_never_ends_is_ended(processes):
    with pytest.raises(RunError, match="not done after 1 s"):
        processes.call(time.sleep, 30.0, limit_s=1)


def test_a_server_that_dies_is_told_and_started_again(processes, helpers):
    with pytest.raises(RunError, match="ended before it answered"):
        processes.call(helpers.end_server, None)
    assert processes.call(math.sqrt, 16.0)[0] == 4.0
