"""Which device, how many threads and what environment each of several workers of one machine gets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tunescope.cost.threads import threads_of_a_job

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Read by the libraries once, when they are loaded: a worker has them before its interpreter starts."""


@dataclass(frozen=True, kw_only=True)
class WorkerDevice:
    """What one worker process computes on."""

    name: str
    """Of the worker, for people: "worker 1"."""
    device: str
    """As the worker's own torch names it: "cpu", or "cuda:0", the only GPU it sees."""
    gpu_id: str | None
    """The GPU as CUDA_VISIBLE_DEVICES names it: an index or a UUID; None on a CPU."""
    num_threads: int

    def environment(self) -> dict[str, str]:
        """Variables that make the worker see this device alone and its libraries use this many threads.

        A worker on the CPU sees no GPU: a library that finds one may take hundreds of MiB of it for nothing.
        """
        threads = dict.fromkeys(_THREAD_VARIABLES, str(self.num_threads))
        return threads | {"CUDA_VISIBLE_DEVICES": self.gpu_id if self.gpu_id is not None else ""}


def worker_devices(
    num_workers: int | None,
    device: Literal["cpu", "cuda"],
    *,
    num_gpus: int = 0,
    num_threads: int | None = None,
    environment: Mapping[str, str] = os.environ,
) -> tuple[WorkerDevice, ...]:
    """A device for each worker.

    Args:
        num_workers: How many; by default one per GPU, or one on a CPU. More than there are GPUs share them in turn.
        device: What the study computes on.
        num_gpus: GPUs that this process sees; at least 1 for "cuda".
        num_threads: CPU threads of each job, as the study says. By default what OMP_NUM_THREADS says of every process, else the
            processors this process may use, divided among the workers, at least one each. Results can move in their last bits
            with the number of threads: set it where several machines or numbers of workers must agree bit for bit.
        environment: Its CUDA_VISIBLE_DEVICES says which GPUs those are.
    """
    assert num_workers is None or num_workers >= 1, "a run needs a worker"
    assert device == "cpu" or num_gpus >= 1, "no GPU for a study on GPUs"
    gpu_ids = _visible(num_gpus, environment.get("CUDA_VISIBLE_DEVICES")) if device == "cuda" else []
    count = num_workers if num_workers is not None else max(1, len(gpu_ids))
    threads = threads_of_a_job(num_threads)
    if num_threads is None and not environment.get("OMP_NUM_THREADS", "").isdigit():
        threads = max(1, threads // count)
    return tuple(
        WorkerDevice(
            name=f"worker {number + 1}",
            device="cuda:0" if gpu_ids else "cpu",
            gpu_id=gpu_ids[number % len(gpu_ids)] if gpu_ids else None,
            num_threads=threads,
        )
        for number in range(count)
    )


def num_gpus_here() -> int:
    """GPUs that torch sees in this process."""
    import torch

    return torch.cuda.device_count()


def _visible(num_gpus: int, variable: str | None) -> list[str]:
    """The ids of this process' GPUs: a worker's variable must name one of them as the driver of all GPUs does."""
    listed = [one.strip() for one in (variable or "").split(",") if one.strip()]
    return listed[:num_gpus] if listed else [str(index) for index in range(num_gpus)]
