"""What a job's process and device do meanwhile: peaks, means, and nothing where nothing is known."""

from __future__ import annotations

import threading
import time

import pytest

from tunescope.execution.telemetry.energy import NoMeter, PowerMeter
from tunescope.execution.telemetry.sampling import Sampler, latest_reading, sampling


class FakeProcesses:
    """Memory and processor seconds from lists; the last of each again and again."""

    def __init__(self, rss, seconds):
        self._rss, self._seconds = list(rss), list(seconds)

    def rss_and_cpu(self):
        return tuple(values.pop(0) if len(values) > 1 else values[0] for values in (self._rss, self._seconds))


class FakeGpu:
    def __init__(self, utilisation, memory):
        self._utilisation, self._memory = list(utilisation), list(memory)

    def utilisation_percent(self):
        return self._utilisation.pop(0)

    def memory_used_gib(self):
        return self._memory.pop(0)


def _clock(*times):
    remaining = list(times)
    return lambda: remaining.pop(0)


def test_two_samples_at_the_least():
    with Sampler(FakeProcesses([1.0, 3.0], [5.0, 9.0]), None, NoMeter("why"), 60.0, _clock(0.0, 8.0)) as sampler:
        assert sampler.latest().rss_gib == 1.0
        assert sampler.latest().cpu_percent is None
    found = sampler.summary()
    assert (found.num_samples, found.interval_s) == (2, 60.0)
    assert (found.rss_peak_gib, found.cpu_percent_mean) == (3.0, 50.0)
    assert (found.gpu_utilisation_percent_mean, found.gpu_memory_used_peak_gib) == (None, None)
    assert (found.energy_j, found.energy_source) == (None, "why")
    assert sampler.latest().cpu_percent == 50.0


def test_what_a_gpu_did_before_the_job_is_not_its_own():
    gpu = FakeGpu([90.0, 40.0], [1.0, 7.0])
    meter = PowerMeter("power", lambda: 100.0, _clock(0.0, 3.0))
    with Sampler(FakeProcesses([1.0], [0.0]), gpu, meter, 60.0, _clock(0.0, 3.0)) as sampler:
        assert sampler.latest().gpu_utilisation_percent == 90.0
    found = sampler.summary()
    assert (found.gpu_utilisation_percent_mean, found.gpu_memory_used_peak_gib) == (40.0, 7.0)
    assert (found.energy_j, found.energy_source) == (300.0, "power")


def test_processor_time_that_falls_is_no_negative_share():
    with Sampler(FakeProcesses([1.0], [9.0, 5.0]), None, NoMeter(""), 60.0, _clock(0.0, 8.0)) as sampler:
        pass
    assert sampler.summary().cpu_percent_mean == 0.0


def test_a_thread_samples_meanwhile_and_ends_with_the_block():
    with sampling("cpu", 0.02) as sampler:
        deadline = time.monotonic() + 10.0
        while sampler.summary().num_samples < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert "tunescope telemetry" in [thread.name for thread in threading.enumerate()]
    found = sampler.summary()
    assert found.num_samples >= 5
    assert found.rss_peak_gib > 0.01
    assert found.energy_source
    assert "tunescope telemetry" not in [thread.name for thread in threading.enumerate()]


def test_the_job_that_runs_now_can_be_asked_for_from_elsewhere():
    assert latest_reading() is None
    with sampling("cpu", 60.0):
        assert latest_reading().rss_gib > 0.01
    assert latest_reading() is None


def test_an_error_of_the_job_passes():
    with pytest.raises(KeyError), sampling("cpu", 60.0):
        raise KeyError("x")
    assert latest_reading() is None


def test_a_device_nobody_tells_of_is_said_to_be_so(monkeypatch):
    monkeypatch.setattr("tunescope.execution.telemetry.sampling.find_gpu", lambda device: "no NVML")
    with sampling("cuda:0", 60.0) as sampler:
        pass
    assert sampler.summary().energy_source == "not measured: no NVML"
