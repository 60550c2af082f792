"""What a job's process and its device do meanwhile, sampled about once a second by a thread beside the job.

A sample costs well under a millisecond of one processor. What cannot be measured here is None, `energy_source` says why, and
nothing that fails in here fails a job.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tunescope.execution.telemetry.energy import EnergyMeter, NoMeter, rapl_meter
from tunescope.execution.telemetry.gpu import Gpu, find_gpu
from tunescope.execution.telemetry.own_processes import OwnProcesses
from tunescope.store.record import Telemetry

INTERVAL_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One sample; None is not known."""

    rss_gib: float
    cpu_percent: float | None
    """Since the sample before; 100 is one processor busy."""
    gpu_memory_gib: float | None
    gpu_utilisation_percent: float | None


def sampling(device: str, interval_s: float = INTERVAL_S) -> Sampler:
    """A context manager that samples while its block runs: at the begin, every `interval_s` seconds, at the end.

    Args:
        device: The job's, as torch names it.
        interval_s: Seconds.
    """
    if not device.startswith("cuda"):
        return Sampler(OwnProcesses(), None, rapl_meter(), interval_s)
    gpu = find_gpu(device)
    if isinstance(gpu, str):
        return Sampler(OwnProcesses(), None, NoMeter(f"not measured: {gpu}"), interval_s)
    return Sampler(OwnProcesses(), gpu, gpu.energy_meter(), interval_s)


def latest_reading() -> Reading | None:
    """What the job that this process runs now was last seen to use; None where it runs none."""
    return _active[-1].latest() if _active else None


class Sampler:
    """Samples while its block runs. Use `sampling`.

    Args:
        processes: Memory and processor time.
        gpu: None where the job has none, or nobody tells of it.
        meter: Energy.
        interval_s: Seconds between samples.
        clock: Seconds by a clock that never jumps.
    """

    def __init__(
        self,
        processes: OwnProcesses,
        gpu: Gpu | None,
        meter: EnergyMeter,
        interval_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._processes, self._gpu, self._meter, self._interval_s, self._clock = (
            processes,
            gpu,
            meter,
            interval_s,
            clock,
        )
        self._latest: Reading | None = None
        self._num_samples = 0
        self._rss_peak_gib: float | None = None
        self._gpu_peak_gib: float | None = None
        self._utilisation: list[float] = [0.0, 0.0]  # sum, number
        self._first: tuple[float, float] | None = None
        self._last: tuple[float, float] = (0.0, 0.0)  # clock, processor seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="tunescope telemetry", daemon=True)

    def __enter__(self) -> Self:
        self._sample()
        _active.append(self)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _active.remove(self)
        self._ended.set()
        self._thread.join()
        self._sample()

    def latest(self) -> Reading | None:
        """The latest sample; None before the first."""
        return self._latest

    def summary(self) -> Telemetry:
        """What the samples say together; whole once the block has ended."""
        total, number = self._utilisation
        return Telemetry(
            num_samples=self._num_samples,
            interval_s=self._interval_s,
            rss_peak_gib=self._rss_peak_gib,
            cpu_percent_mean=self._cpu_percent(),
            gpu_utilisation_percent_mean=total / number if number else None,
            gpu_memory_used_peak_gib=self._gpu_peak_gib,
            energy_j=self._meter.joules(),
            energy_source=self._meter.source,
        )

    def _cpu_percent(self) -> float | None:
        if self._first is None or self._last[0] <= self._first[0]:
            return None
        return max(0.0, 100.0 * (self._last[1] - self._first[1]) / (self._last[0] - self._first[0]))

    def _go_on(self) -> None:
        while not self._ended.wait(self._interval_s):
            self._sample()

    def _sample(self) -> None:
        rss, seconds = self._processes.rss_and_cpu()
        at = self._clock()
        before, self._last = self._last, (at, seconds)
        percent = None
        if self._first is None:
            self._first = self._last
        elif at > before[0]:
            percent = max(0.0, 100.0 * (seconds - before[1]) / (at - before[0]))
        self._meter.sample()
        self._take(
            Reading(
                rss_gib=rss,
                cpu_percent=percent,
                gpu_memory_gib=None if self._gpu is None else self._gpu.memory_used_gib(),
                gpu_utilisation_percent=None if self._gpu is None else self._gpu.utilisation_percent(),
            )
        )

    def _take(self, reading: Reading) -> None:
        is_first, self._latest = self._latest is None, reading
        self._num_samples += 1
        self._rss_peak_gib = max(self._rss_peak_gib or 0.0, reading.rss_gib)
        if reading.gpu_memory_gib is not None:
            self._gpu_peak_gib = max(self._gpu_peak_gib or 0.0, reading.gpu_memory_gib)
        # The driver's figure is of the time before a sample: the first one tells of before the job.
        if reading.gpu_utilisation_percent is not None and not is_first:
            self._utilisation[0] += reading.gpu_utilisation_percent
            self._utilisation[1] += 1.0


_active: list[Sampler] = []
"""The samplers of this process that are in use, the latest last."""
