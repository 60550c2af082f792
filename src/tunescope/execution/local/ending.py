"""Why a worker process was ended, or what it died of: the cause that the runner goes by, and the words for people."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass

from tunescope.execution.local.machine_memory import MachineMemory
from tunescope.execution.local.worker_process import WorkerProcess
from tunescope.store.record import FailureCause

_NEARLY_ALL = 0.05
"""Share of the machine's memory: with less than this left, a SIGKILL is taken to be the kernel's where it keeps no count."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A cause and its reason."""

    cause: FailureCause
    reason: str


def hung(process: WorkerProcess, limit_s: float) -> Verdict:
    """Of a worker that was silent for too long."""
    return Verdict(
        cause="timeout",
        reason=f"{_of(process)} gave no sign of life for {limit_s:.0f} s and was ended: it was stopped, or blocked in code that "
        f"keeps Python's interpreter. Its log: {process.log}",
    )


def overdue(process: WorkerProcess, limit_s: float) -> Verdict:
    """Of a worker whose job has passed its deadline."""
    return Verdict(
        cause="timeout",
        reason=f"{_of(process)} was ended: the job was not done after {limit_s:g} s, its deadline. Raise compute.job_timeout_s if "
        "it needs longer; a training goes on from its last checkpoint.",
    )


def grown(process: WorkerProcess, limit_gib: float) -> Verdict:
    """Of a worker that holds more memory than it may."""
    return Verdict(
        cause="out_of_memory",
        reason=f"{_of(process)} held {process.rss_gib or 0.0:.2f} GiB, more than its {limit_gib:g} GiB, and was ended. Lower "
        "compute.micro_batch_tokens or compute.evaluation_batch_tokens, or raise compute.worker_memory_gib.",
    )


def squeezed(process: WorkerProcess, reading: MachineMemory) -> Verdict:
    """Of the largest worker of a machine whose memory runs out."""
    return Verdict(
        cause="out_of_memory",
        reason=f"{reading.available_gib:.2f} of the machine's {reading.total_gib:.2f} GiB were left, and {_of(process)}, the largest "
        f"with {process.rss_gib or 0.0:.2f} GiB, was ended before the kernel ended something. Take fewer workers, lower "
        "compute.micro_batch_tokens or compute.evaluation_batch_tokens, or close other programs.",
    )


def why_it_died(process: WorkerProcess, exit_code: int, readings: Sequence[MachineMemory]) -> Verdict:
    """What is to be made of a worker that nobody of ours ended.

    A SIGKILL may be the kernel's, for memory: that it is shows in the kernel's own count or, where it keeps none, in how little
    memory was left just before.

    Args:
        process: The worker.
        exit_code: Its exit code; negative: the number of the signal that ended it.
        readings: The machine's memory over the last seconds, oldest first, the last one after the death.
    """
    if exit_code == -signal.SIGKILL and (evidence := _killed_for_memory(readings)):
        return Verdict(
            cause="out_of_memory",
            reason=f"{_of(process)} was ended by SIGKILL with {process.rss_gib or 0.0:.2f} GiB, and {evidence}. Take fewer "
            "workers, lower compute.micro_batch_tokens or compute.evaluation_batch_tokens, or close other programs.",
        )
    how = f"exit code {exit_code}" if exit_code >= 0 else f"signal {_signal_name(-exit_code)}"
    said = process.last_words().splitlines()
    last = f" Its last words: {said[-1]}" if said else ""
    return Verdict(
        cause="lost", reason=f"{_of(process)} ended by {how} in the middle of it.{last} Its log: {process.log}"
    )


def _killed_for_memory(readings: Sequence[MachineMemory]) -> str:
    """What speaks for it; empty if nothing does."""
    if not readings:
        return ""
    first, last = readings[0], readings[-1]
    if first.num_killed is not None and last.num_killed is not None:
        count = last.num_killed - first.num_killed
        return f"the kernel counts {count} more process{'es' * (count > 1)} killed for memory" if count > 0 else ""
    least = min(readings, key=lambda reading: reading.available_gib)
    if least.available_gib >= _NEARLY_ALL * least.total_gib:
        return ""
    return f"{least.available_gib:.2f} of the machine's {least.total_gib:.2f} GiB were left"


def _signal_name(number: int) -> str:
    return next((one.name for one in signal.Signals if one == number), str(number))


def _of(process: WorkerProcess) -> str:
    return f"{process.name} (process {process.pid})"
