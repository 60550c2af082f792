"""Where each millisecond of our optimiser step goes, for `training_throughput.py --profile`."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from training_throughput_sides import Cell, our_run
from training_throughput_work import WARM_UP_STEPS

from tunescope.training.loop import train
from tunescope.training.metric_log import MetricLog
from tunescope.training.progress import Progress

PARTS = ("forward", "backward", "optimiser", "clipping", "collate", "logging", "rest")
_PRODUCTS = ("mm", "addmm", "bmm", "baddbmm", "linear", "mkldnn_linear", "_addmm_activation")
_ATTENTION = ("attention",)


@dataclass(frozen=True, kw_only=True)
class StepProfile:
    """One of our steps, mean over the timed ones."""

    ms: dict[str, float]
    """Milliseconds of each of `PARTS`; on a GPU each part is waited for, so that their sum is more than an undisturbed step."""
    step_ms: float
    operator_share: dict[str, float]
    """Of the time of all torch operators: matrix products, attention, AdamW, all others."""
    products_of_peak: float
    """Speed of the matrix products alone, as a share of the measured peak."""
    num_operators: int
    """Torch operators of a step."""


def profiled(cell: Cell, peak_flops: float) -> StepProfile:
    """Trains twice: once with a clock around each part, once under `torch.profiler`."""
    ms, step_ms = _timed_parts(cell)
    share, products_of_peak, num_operators = _operators(cell, peak_flops)
    return StepProfile(
        ms=ms, step_ms=step_ms, operator_share=share, products_of_peak=products_of_peak, num_operators=num_operators
    )


class _Clock:
    """Seconds by part; a part inside another counts for itself alone."""

    def __init__(self, device: torch.device, seconds: Callable[[], float]) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._device, self._now, self._inner = device, seconds, [0.0]

    def now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return self._now()

    def around(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def clocked(*args: Any, **kwargs: Any) -> Any:
            began = self.now()
            self._inner.append(0.0)
            try:
                return function(*args, **kwargs)
            finally:
                took = self.now() - began
                self.seconds[part] += took - self._inner.pop()
                self._inner[-1] += took

        return clocked


def _timed_parts(cell: Cell) -> tuple[dict[str, float], float]:
    clock = _Clock(cell.device, cell.clock)
    began = 0.0

    def report(progress: Progress) -> None:
        nonlocal began
        if progress.step == WARM_UP_STEPS:
            clock.seconds.clear()
            began = clock.now()

    with tempfile.TemporaryDirectory() as folder, _clocks(clock):
        run = our_run(cell, Path(folder))
        train(
            [replace(run, loss_sum=clock.around("forward", run.loss_sum))],
            micro_batch_tokens=cell.micro_batch_tokens,
            report=report,
        )
        whole = clock.now() - began
    num = cell.work.num_steps
    ms = {part: 1e3 * clock.seconds[part] / num for part in PARTS}
    ms["rest"] = 1e3 * whole / num - sum(ms.values())
    return ms, 1e3 * whole / num


@contextmanager
def _clocks(clock: _Clock) -> Iterator[None]:
    from tunescope.steps import objective

    places: tuple[tuple[Any, str, str], ...] = (
        (objective, "network_inputs", "collate"),
        (torch.Tensor, "backward", "backward"),
        (torch.optim.AdamW, "step", "optimiser"),
        (torch.nn.utils, "get_total_norm", "clipping"),
        (torch.nn.utils, "clip_grads_with_norm_", "clipping"),
        (MetricLog, "append", "logging"),
    )
    with ExitStack() as stack:
        for owner, name, part in places:
            function = getattr(owner, name)

            stack.enter_context(mock.patch.object(owner, name, clock.around(part, function)))
        yield


def _operators(cell: Cell, peak_flops: float) -> tuple[dict[str, float], float, int]:
    activities = [torch.profiler.ProfilerActivity.CPU]
    is_gpu = cell.device.type == "cuda"
    if is_gpu:
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    profiler = torch.profiler.profile(activities=activities, with_flops=True)

    def report(progress: Progress) -> None:
        if progress.step == WARM_UP_STEPS:
            profiler.start()

    with tempfile.TemporaryDirectory() as folder:
        train([our_run(cell, Path(folder))], micro_batch_tokens=cell.micro_batch_tokens, report=report)
    profiler.stop()
    seconds: dict[str, float] = defaultdict(float)
    flops, num = 0.0, 0
    for event in profiler.key_averages():
        if not event.key.startswith("aten::"):
            continue
        name = event.key.removeprefix("aten::")
        own_us = event.self_device_time_total if is_gpu else event.self_cpu_time_total
        kind = _kind(name)
        seconds[kind] += own_us / 1e6
        num += event.count
        if kind == "matrix products":
            flops += event.flops
    total = sum(seconds.values())
    products_s = seconds["matrix products"]
    return (
        {kind: spent / total for kind, spent in seconds.items()},
        flops / products_s / peak_flops,
        round(num / cell.work.num_steps),
    )


def _kind(name: str) -> str:
    if name in _PRODUCTS:
        return "matrix products"
    if any(word in name for word in _ATTENTION):
        return "attention"
    return "AdamW" if "adamw" in name else "other"
