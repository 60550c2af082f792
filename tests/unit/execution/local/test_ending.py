"""What a dead worker died of, as far as can be told, and in which words."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from tunescope.execution.local.ending import why_it_died
from tunescope.execution.local.machine_memory import MachineMemory

WORKER = SimpleNamespace(
    name="worker 2",
    pid=71,
    rss_gib=6.5,
    log=Path("store/logs/workers/worker-2.log"),
    last_words=lambda: "first line\nterminate called after throwing 'c10::Error'",
)


def _reading(available_gib, num_killed):
    return MachineMemory(total_gib=8.0, available_gib=available_gib, num_killed=num_killed)


def test_a_kill_that_the_kernel_counts_is_its_own_for_memory():
    verdict = why_it_died(WORKER, -9, [_reading(0.1, 4), _reading(6.0, 5)])
    assert verdict.cause == "out_of_memory"
    assert verdict.reason.startswith(
        "worker 2 (process 71) was ended by SIGKILL with 6.50 GiB, and the kernel counts 1 more process killed for memory."
    )


def test_a_kill_that_the_kernel_does_not_count_is_somebodys_however_little_memory_was_left():
    assert why_it_died(WORKER, -9, [_reading(0.1, 4), _reading(6.0, 4)]).cause == "lost"


def test_where_the_kernel_does_not_count_the_memory_left_tells():
    verdict = why_it_died(WORKER, -9, [_reading(3.0, None), _reading(0.3, None), _reading(6.0, None)])
    assert verdict.cause == "out_of_memory"
    assert "0.30 of the machine's 8.00 GiB were left" in verdict.reason
    assert why_it_died(WORKER, -9, [_reading(0.5, None)]).cause == "lost"
    assert why_it_died(WORKER, -9, []).cause == "lost"


@pytest.mark.parametrize(
    "exit_code,how", [(-9, "signal SIGKILL"), (-11, "signal SIGSEGV"), (-63, "signal 63"), (3, "exit code 3")]
)
def test_any_other_end_is_told_with_the_workers_last_words(exit_code, how):
    verdict = why_it_died(WORKER, exit_code, [_reading(6.0, 0), _reading(6.0, 0)])
    assert verdict.cause == "lost"
    assert verdict.reason == (
        f"worker 2 (process 71) ended by {how} in the middle of it. Its last words: terminate called after throwing "
        "'c10::Error' Its log: store/logs/workers/worker-2.log"
    )


def test_only_a_sigkill_can_be_the_kernels_for_memory():
    assert why_it_died(WORKER, -11, [_reading(0.1, 4), _reading(6.0, 5)]).cause == "lost"
