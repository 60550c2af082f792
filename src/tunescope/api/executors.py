"""Where the jobs of a run are done, by name."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Literal, cast, get_args

import psutil

from tunescope.errors import TunescopeError, did_you_mean
from tunescope.execution.executor import Executor
from tunescope.execution.inline import InlineExecutor
from tunescope.hub.source import Source
from tunescope.steps import STEPS
from tunescope.steps.context import StepContext
from tunescope.steps.device import chosen_device, chosen_threads
from tunescope.store import Store
from tunescope.store.remote.storage import RemoteStore
from tunescope.study.shards import Shard
from tunescope.study.spec import StudySpec

ExecutorName = Literal["local", "inline", "ray"]
VARIABLE = "TUNESCOPE_EXECUTOR"
"""Environment variable that names the executor where the command does not."""
_MOST_PER_PROCESSOR = 4


def executor_name(asked: str | None) -> ExecutorName:
    """The executor that is asked for, else the environment's, else "local".

    Raises:
        TunescopeError: If there is none of that name.
    """
    name = asked or os.environ.get(VARIABLE) or "local"
    known = get_args(ExecutorName)
    if name not in known:
        where = "--executor" if asked else VARIABLE
        raise TunescopeError(f"{where}: unknown executor {name!r}. {did_you_mean(name, known)}")
    return cast(ExecutorName, name)


def check_asked(name: ExecutorName, *, num_workers: int | None, address: str | None) -> None:
    """Raises TunescopeError if the executor cannot be had with these; to be asked before anything is written."""
    if address is not None and name != "ray":
        raise TunescopeError(f"--address {address}: that is for --executor ray, and the executor is {name}.")
    if name == "inline" and num_workers not in (None, 1):
        raise TunescopeError(
            f"--workers {num_workers}: the executor inline runs one job at a time. Take --executor local."
        )
    processors = psutil.cpu_count() or 1
    if name == "local" and num_workers is not None and num_workers > _MOST_PER_PROCESSOR * processors:
        raise TunescopeError(
            f"--workers {num_workers}: expected at most {_MOST_PER_PROCESSOR * processors} on this machine, "
            f"{_MOST_PER_PROCESSOR} for each of its {processors} processors. More would only wait for one another."
        )


def make_executor(
    name: ExecutorName,
    store: Store,
    spec: StudySpec,
    source: Source,
    *,
    num_workers: int | None = None,
    address: str | None = None,
    remote: RemoteStore | None = None,
    part: Shard | None = None,
) -> Executor:
    """An executor for one run of a study; its workers start when there is work for them.

    Args:
        name: "local", "inline" or "ray".
        store: Where artifacts are kept.
        spec: The study.
        source: Where its data and models are found.
        num_workers: Jobs at once; by default one per GPU, else one.
        address: Of the Ray cluster.
        remote: The object storage that the store is this machine's copy of.
        part: Which machine this is of several.

    Raises:
        TunescopeError: If the study asks for a GPU and there is none, or the cluster cannot be had; or as `check_asked`.
    """
    check_asked(name, num_workers=num_workers, address=address)
    compute = spec.compute
    context = StepContext(
        source=source,
        compute=compute,
        device="cpu",
        num_threads=chosen_threads(compute.num_threads),
        report=_to_nobody,
        logs=_logs(spec, part),
    )
    if name == "ray":
        from tunescope.execution.ray.executor import RayExecutor

        return RayExecutor(
            store,
            context,
            address=address,
            num_workers=num_workers,
            memory_gib=compute.worker_memory_gib,
            remote=remote,
        )
    device = chosen_device(compute.device)
    if name == "inline":
        return InlineExecutor(store, STEPS, replace(context, device=device))
    from tunescope.execution.local.devices import num_gpus_here, worker_devices
    from tunescope.execution.local.executor import LocalExecutor

    devices = worker_devices(
        num_workers,
        "cpu" if device == "cpu" else "cuda",
        num_gpus=0 if device == "cpu" else num_gpus_here(),
        num_threads=compute.num_threads,
    )
    return LocalExecutor(
        store, context, devices, job_timeout_s=compute.job_timeout_s, memory_limit_gib=compute.worker_memory_gib
    )


def _logs(spec: StudySpec, part: Shard | None) -> Path | None:
    """Where the study wants its job logs a second time: of one of several machines in a folder of its own."""
    if spec.logs is None:
        return None
    folder = Path(spec.logs).absolute()
    return folder if part is None else folder / f"vm{part.index}"


def _to_nobody(progress: object) -> None:
    """Executors put their own way of telling in its place."""
