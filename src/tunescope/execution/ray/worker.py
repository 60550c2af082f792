"""What runs on a node of a Ray cluster: one process that does job after job, and says meanwhile how far it is."""

from __future__ import annotations

import os
import platform
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from tunescope.errors import StoreError
from tunescope.execution.cycles import CycleCollector
from tunescope.execution.local.serve import load_steps
from tunescope.execution.order import Order
from tunescope.execution.outcome import Result
from tunescope.execution.worker import lost, run_job
from tunescope.steps.context import Progress, StepContext
from tunescope.store import Store
from tunescope.store.appearing import PATIENCE_S, appears, artifact_that_appears
from tunescope.store.job_lock import job_held
from tunescope.store.provenance import library_versions
from tunescope.store.remote.scratch_watch import ScratchWatch
from tunescope.store.remote.storage import RemoteStore, cache_folder

SILENCE_S = 45.0
"""Without a sign of its driver for so long a worker asks its job to stop, and ends."""
LAST_WORDS_S = 25.0
"""Seconds that the job then has for a checkpoint."""
MUST_AGREE = ("tunescope", "torch")
"""Libraries whose version must be the driver's on every node: others are kept in each record."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a worker finds the store of its driver: in the same folder, or on object storage."""

    path: str = ""
    """The store's folder on a shared file system."""
    token_file: str = ""
    token: str = ""
    """What the driver wrote into a file of the shared folder; a worker that reads it sees the same folder."""
    url: str | None = None
    """The store on object storage; each node then has a copy of what it needs in its `cache_folder`."""


@dataclass(frozen=True, kw_only=True)
class Hello:
    """Who a worker is, told once."""

    host: str
    node_id: str
    pid: int
    device: str
    gpu: str
    """Which GPU of the node, by Ray's number; empty without one."""
    memory_gib: float
    """Of the whole node."""
    versions: Mapping[str, str]
    problem: str
    """Why it cannot work; empty where it can."""


@dataclass(frozen=True, kw_only=True)
class Sign:
    """A sign of life."""

    number: int
    """Of the progress: each has a higher one than the last."""
    job_id: str | None
    progress: Progress | None
    rss_gib: float
    gpu_memory_gib: float | None


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The end of one try, and the last progress told before it."""

    result: Result
    sign: Sign


class RayWorker:
    """Does jobs in a thread of its own, one at a time, so that models and data that a step keeps stay for the next job.

    Knows nothing of Ray; its methods are called from several threads. Nothing that may fail happens before `hello`.

    Args:
        place: Where the store is.
        steps: "module:NAME" of the steps by kind of job, or of a function that returns them.
        steps_arguments: Given to that function.
        context: Given to every step, with the device of this worker, and its own `report` and `should_stop`.
        silence_s: See `SILENCE_S`.
    """

    def __init__(
        self,
        place: Place,
        steps: str,
        steps_arguments: tuple[Any, ...],
        context: StepContext,
        *,
        silence_s: float = SILENCE_S,
    ) -> None:
        self._place, self._context, self._silence_s = place, context, silence_s
        self._steps = (steps, steps_arguments)
        self._name = ""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="job")
        self._changed = threading.Condition()
        self._number = 0
        self._progress: Progress | None = None
        self._job_id: str | None = None
        self._stop = False
        self._cycles = CycleCollector()
        self._heard = time.monotonic()

    def hello(self, node_id: str = "", gpu: str = "", within_s: float = PATIENCE_S) -> Hello:
        """Looks for the store and says who this is."""
        self.alive()
        threading.Thread(target=self._watch_driver, name="driver watch", daemon=True).start()
        self._context = replace(self._context, report=self._report, should_stop=lambda: self._stop)
        versions = {"python": platform.python_version(), **library_versions()}
        return Hello(
            host=socket.gethostname(),
            node_id=node_id,
            pid=os.getpid(),
            device=self._context.device,
            gpu=gpu,
            memory_gib=psutil.virtual_memory().total / 2**30,
            versions=versions,
            problem=self._open_store(within_s) or _gpu_problem(self._context.device),
        )

    def alive(self) -> None:
        """Told by the driver every few seconds."""
        self._heard = time.monotonic()

    def ask_stop(self) -> None:
        """The job under way is to write a checkpoint and end."""
        self._stop = True

    def end(self) -> None:
        """Ends the process at once, whatever is under way."""
        os._exit(1)

    def poll(self, seen: int, within_s: float) -> Sign:
        """A sign of life: at once if there is progress with a higher number than `seen`, else after `within_s` seconds."""
        self.alive()
        with self._changed:
            self._changed.wait_for(lambda: self._number > seen, timeout=within_s)
            return self._sign()

    def work(self, order: Order, name: str) -> Ended:
        """Does one job; returns when it has ended.

        Args:
            order: The job.
            name: What the command calls this worker, for the record.
        """
        self._stop, self._name = False, name
        return self._thread.submit(self._work, order).result()

    def _work(self, order: Order) -> Ended:
        started = time.monotonic()
        with self._changed:
            self._job_id, self._progress = order.id, None
        try:
            result = self._tried(order)
        except StoreError as error:  # before or after the job itself: inputs that do not come, storage out of reach
            seconds = time.monotonic() - started
            result = lost(order, self._store, cause="lost", reason=str(error), worker=self._name, duration_s=seconds)
        with self._changed:
            sign = self._sign()
            self._job_id = None
            self._changed.notify_all()
        return Ended(result=result, sign=sign)

    def _tried(self, order: Order) -> Result:
        store, remote = self._store, self._remote
        with job_held(store, order.kind, order.id):
            if remote is None:
                for needed in order.inputs.values():
                    wait_for_input(store, needed.kind, needed.id, may_fail=needed.may_fail)
                return self._run(order)
            for needed in order.inputs.values():
                if not remote.pull(store, needed.kind, needed.id) and needed.may_fail:
                    remote.pull_failure(store, needed.kind, needed.id)
            remote.pull_scratch(store, order.kind, order.id)
            with ScratchWatch(remote, store, order.kind, order.id):
                result = self._run(order)
            remote.push_end(store, order.kind, order.id, result.status)
            return result

    def _run(self, order: Order) -> Result:
        step = load_steps(*self._steps)[order.kind]
        try:
            return run_job(order, self._store, step, self._context, worker=self._name)
        finally:
            self._cycles.collect()

    def _report(self, progress: Progress) -> None:
        with self._changed:
            self._number += 1
            self._progress = progress
            self._changed.notify_all()

    def _sign(self) -> Sign:
        return Sign(
            number=self._number,
            job_id=self._job_id,
            progress=self._progress,
            rss_gib=psutil.Process().memory_info().rss / 2**30,
            gpu_memory_gib=_gpu_memory_gib(self._context.device),
        )

    def _open_store(self, within_s: float) -> str:
        place = self._place
        try:
            self._remote = RemoteStore.open(place.url, create=False) if place.url is not None else None
            if self._remote is None and not _sees_token(place, within_s):
                return (
                    f"does not see the store {place.path} of the command: the folder is absent there, or another one. "
                    "Share one folder with all nodes, at the same path on each (NFS), or use --store s3://bucket/folder."
                )
            folder = Path(place.path) if place.url is None else cache_folder(place.url)
            self._store = Store.open(folder, create=place.url is not None)
        except StoreError as error:
            return f"cannot use the store: {error}"
        return ""

    def _watch_driver(self) -> None:
        """Ray ends a worker whose driver has died; this is for a head that died, or a network that broke, meanwhile."""
        while time.monotonic() - self._heard < self._silence_s:
            time.sleep(1.0)
        self._stop = True
        left_at = time.monotonic() + LAST_WORDS_S
        while self._job_id is not None and time.monotonic() < left_at:
            time.sleep(0.2)
        os._exit(1)


def wait_for_input(store: Store, kind: str, id: str, *, may_fail: bool, patience_s: float = PATIENCE_S) -> None:
    """Waits until an input that is known to be there is visible here, or why it is not. What is absent is left to the job.

    Raises:
        StoreError: If it is there and does not become whole.
    """
    if not may_fail:
        artifact_that_appears(store, kind, id, patience_s=patience_s)
        return
    appears(
        lambda: store.artifact(kind, id) or store.failure(kind, id),
        store.path / "artifacts" / kind,
        patience_s=patience_s,
    )


@contextmanager
def token_in(store: Store, token: str) -> Iterator[Path]:
    """A file with the token in the store's folder, while the block runs: whoever reads it sees the same folder."""
    file = store.path / f".tmp-ray-{token}"
    file.write_text(token, encoding="ascii")
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)


def _sees_token(place: Place, within_s: float) -> bool:
    file = Path(place.token_file)

    def look() -> str | None:
        try:
            return file.read_text(encoding="ascii") or None
        except (FileNotFoundError, NotADirectoryError):
            return None

    return appears(look, file.parent, patience_s=within_s) == place.token


def _gpu_problem(device: str) -> str:
    if not device.startswith("cuda"):
        return ""
    import torch

    if torch.cuda.is_available():
        return ""
    return (
        "was given a GPU by Ray, and torch sees none there: install a CUDA build of torch, or set compute.device=cpu."
    )


def _gpu_memory_gib(device: str) -> float | None:
    if not device.startswith("cuda"):
        return None
    import torch

    return torch.cuda.memory_reserved() / 2**30
