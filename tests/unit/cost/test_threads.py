"""One rule for threads: jobs and predictions go by the same number."""

from __future__ import annotations

import psutil
import pytest

from tunescope.cost import devices
from tunescope.cost.threads import threads_of_a_job
from tunescope.steps.device import chosen_threads


def test_as_asked_else_as_the_environment_says_else_physical_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads_of_a_job(5) == 5
    assert threads_of_a_job(None) == chosen_threads(None) == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert threads_of_a_job(None) == chosen_threads(None) <= (psutil.cpu_count() or 1)


def test_predictions_are_for_the_threads_of_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_matmul_flops", lambda: 1e9)
    monkeypatch.setattr(devices, "_copy_bytes_per_s", lambda: 1e9)
    one, four = (devices.this_machine.__wrapped__(use_gpu=False, num_threads=threads) for threads in (1, 4))
    assert four.fp32_tflops == 4 * one.fp32_tflops
