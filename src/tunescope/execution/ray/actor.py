"""How a worker comes to a node of a Ray cluster: what it asks of the node, and what it is sent."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any, Literal

from tunescope.errors import TunescopeError
from tunescope.execution.ray.cluster import ClusterWatch
from tunescope.execution.ray.worker import Hello, Place, RayWorker
from tunescope.steps.context import Progress, StepContext

_PASSED_ON = ("HF_HUB_OFFLINE", "HF_ENDPOINT", "RAY_USAGE_STATS_ENABLED")
"""Environment variables that are the same everywhere. Folders and secrets are each node's own."""


@dataclass(frozen=True, kw_only=True)
class Launcher:
    """Starts workers that are all alike."""

    place: Place
    steps: str
    steps_arguments: tuple[Any, ...]
    context: StepContext
    """As `for_nodes` made it."""
    need: dict[str, float]
    """Ray's resource -> how much of it one worker takes; memory in bytes."""

    def launch(self) -> Any:
        """A new actor, which starts once a node has room for it. Ray tries nothing again: that is the runner's to say."""
        import ray

        memory = {"memory": self.need["memory"]} if "memory" in self.need else {}
        return (
            ray.remote(_Actor)
            .options(
                num_cpus=self.need["CPU"],
                num_gpus=self.need.get("GPU", 0.0),
                **memory,
                max_restarts=0,
                max_task_retries=0,
                max_concurrency=4,  # a job, a poll, a pulse, a request to stop
                runtime_env={"env_vars": _environment(self.context.num_threads)},
            )
            .remote(self.place, self.steps, self.steps_arguments, self.context)
        )


class _Actor(RayWorker):
    """A worker as Ray runs it."""

    def hello_from_node(self) -> Hello:
        import ray

        here = ray.get_runtime_context()
        return self.hello(here.get_node_id(), ",".join(here.get_accelerator_ids().get("GPU", [])))


def _environment(num_threads: int) -> dict[str, str]:
    """Of a worker, before its interpreter starts: what the last bits of a sum depend on, and whether the hub is asked."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(num_threads))
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {**threads, "TOKENIZERS_PARALLELISM": "false", **passed}


def device_of(asked: Literal["auto", "cpu", "cuda"], *, has_gpu: bool) -> str:
    """The device of every worker, as torch names it.

    Raises:
        TunescopeError: If a GPU is asked for and no node has one.
    """
    if asked == "cuda" and not has_gpu:
        raise TunescopeError(
            "compute.device is cuda, and no node of the Ray cluster offers a GPU. Start Ray on machines with GPUs (`ray status` "
            "lists them; `ray start --num-gpus 1` where Ray does not find one), or set compute.device=cpu."
        )
    return "cpu" if asked == "cpu" or not has_gpu else "cuda:0"  # Ray lets a worker see its own GPU only


def need_of(device: str, num_threads: int, memory_gib: float | None) -> dict[str, float]:
    """Ray's resource -> how much of it one worker takes."""
    need = {"CPU": 1.0, "GPU": 1.0} if device.startswith("cuda") else {"CPU": float(num_threads)}
    return need if memory_gib is None else {**need, "memory": float(int(memory_gib * 2**30))}


def for_nodes(context: StepContext, device: str) -> StepContext:
    """What can be sent: absolute paths, because a node works in another folder, and no functions of this process."""
    source = context.source
    mirror = None if source.mirror is None else source.mirror.resolve()
    source = replace(source, mirror=mirror, study_folder=source.study_folder.resolve())
    return replace(context, source=source, device=device, report=_unheard, should_stop=_never)


def _unheard(progress: Progress) -> None:
    """Replaced by each worker."""


def _never() -> bool:
    return False


def no_room(need: dict[str, float], watch: ClusterWatch) -> str:
    """That no node can hold a worker, and what each offers."""
    offers = "; ".join(
        f"{node.host} {in_words({name: node.resources.get(name, 0.0) for name in need})}" for node in watch.nodes
    )
    return (
        f"no node of the Ray cluster at {watch.address} can hold a worker, which needs {in_words(need)}. Nodes offer: {offers}. "
        "Lower compute.num_threads, or start Ray on a larger machine."
    )


def in_words(need: dict[str, float]) -> str:
    """Resources for people."""
    words = {"CPU": "{:g} CPU", "GPU": "{:g} GPU", "memory": "{:.1f} GiB of memory"}
    return ", ".join(words[one].format(amount / 2**30 if one == "memory" else amount) for one, amount in need.items())


def last_line(error: Exception) -> str:
    """What an error says last, which of Ray's is the cause."""
    return next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
