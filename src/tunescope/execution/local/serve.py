"""The worker's side: `python -m tunescope.execution.local.serve DESCRIPTOR` takes jobs from the command that started it, one by one.

It is started by `worker_process` and lives for one run, so what its jobs read and keep (tokens, data, loaded libraries) serves
the next. It ends when told, and at once when its command is gone. Nothing heavy is imported before a step does it.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from tunescope.errors import TunescopeError
from tunescope.execution.cycles import CycleCollector
from tunescope.execution.local.messages import Alive, Ended, FromWorker, Progressed, Quit, Ready, Setup, Stop, Work
from tunescope.execution.order import Order
from tunescope.execution.outcome import Result
from tunescope.execution.worker import run_job
from tunescope.steps.context import Progress, Step, StepContext
from tunescope.store import Store

_PROGRESS_S = 0.2
"""Progress is told at most this often, and at the first and last step: nobody reads more."""
_OOM_SCORE = Path("/proc/self/oom_score_adj")
_PR_SET_PDEATHSIG = 1


def main(descriptor: int) -> None:
    """Serves the command at the other end of a socket until it says that there is no more work."""
    connection = Connection(descriptor)
    setup = connection.recv()
    assert isinstance(setup, Setup)
    _tie_to_driver(setup, descriptor)
    _Server(connection, setup).serve()


def load_steps(target: str, arguments: tuple[Any, ...] = ()) -> Mapping[str, Step]:
    """Kind of job -> step, by name: steps themselves cannot cross to another process.

    Args:
        target: "module:attribute", a mapping or a function that returns one.
        arguments: Given to the function.

    Raises:
        TunescopeError: If the module has no such attribute.
    """
    module, _, attribute = target.partition(":")
    found = getattr(importlib.import_module(module), attribute, None)
    if found is None:
        raise TunescopeError(
            f"steps {target!r}: expected 'module:attribute', such as 'tunescope.steps:STEPS', and {module} has no "
            f"{attribute or 'attribute named'}."
        )
    steps: Mapping[str, Step] = found if isinstance(found, Mapping) else found(*arguments)
    return steps


class _Server:
    """The main thread does the jobs; one thread hears the command, another gives signs of life."""

    def __init__(self, connection: Connection[FromWorker, Any], setup: Setup) -> None:
        self._connection = connection
        self._setup = setup
        self._sending = threading.Lock()
        self._heard: queue.SimpleQueue[Work | Quit | Exception] = queue.SimpleQueue()
        self._is_stopping = threading.Event()
        self._order: Order | None = None
        self._is_interruptible = False
        self._progress_s = 0.0

    def serve(self) -> None:
        setup = self._setup
        # Who wants to stop the run stops the command, which tells its workers. A service manager signals all at once.
        for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(one, lambda number, frame: None)
        signal.signal(signal.SIGUSR1, self._interrupt)
        threading.Thread(target=self._hear, name="hears the command", daemon=True).start()
        threading.Thread(target=self._beat, name="signs of life", daemon=True).start()
        steps = load_steps(setup.steps, setup.steps_arguments)
        store = Store.open(setup.store, create=False)
        context = StepContext(
            source=setup.source,
            compute=setup.compute,
            device=setup.device,
            num_threads=setup.num_threads,
            logs=setup.logs,
            report=self._report,
            should_stop=self._is_stopping.is_set,
        )
        self._send(Ready(host=socket.gethostname()))
        cycles = CycleCollector()
        while True:
            heard = self._heard.get()
            if isinstance(heard, Quit):
                return
            if isinstance(heard, Exception):
                raise heard
            result = self._tried(heard.order, steps, store, context)
            self._send(Ended(job_id=heard.order.id, result=result))
            cycles.collect()
            _free_gpu(setup.device)

    def _tried(self, order: Order, steps: Mapping[str, Step], store: Store, context: StepContext) -> Result:
        started = time.monotonic()
        self._progress_s = 0.0
        result: Result | None = None
        try:
            self._order = order
            self._is_interruptible = True
            try:
                if not self._is_stopping.is_set():  # asked before the job began
                    result = run_job(order, store, steps[order.kind], context, worker=self._setup.worker)
            finally:
                self._is_interruptible = False
                self._order = None
        except KeyboardInterrupt:
            self._is_interruptible = False
        if result is None and store.artifact(order.kind, order.id) is not None:
            store.settle(order.kind, order.id)  # interrupted just after the commit
            return Result(status="done", duration_s=time.monotonic() - started)
        return result if result is not None else Result(status="stopped", duration_s=time.monotonic() - started)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        # Here and not in the thread that heard of it: between two jobs, or just after one, there is nothing to interrupt.
        if self._is_interruptible:
            raise KeyboardInterrupt

    def _report(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._progress_s >= _PROGRESS_S or progress.step >= progress.num_steps:
            self._progress_s = now
            assert self._order is not None
            self._send(Progressed(job_id=self._order.id, progress=progress))

    def _send(self, message: FromWorker) -> None:
        try:
            with self._sending:
                self._connection.send(message)
        except OSError:
            _end_group()

    def _hear(self) -> None:
        while True:
            try:
                heard = self._connection.recv()
            except (EOFError, OSError):
                _end_group()
            except Exception as error:  # noqa: BLE001 - raised in the main thread: an order whose classes are not here
                self._heard.put(error)
                return
            if isinstance(heard, Stop):
                self._stop()
            else:
                self._heard.put(heard)

    def _stop(self) -> None:
        self._is_stopping.set()
        order = self._order
        if order is not None and not order.config.keeps_checkpoints:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    def _beat(self) -> None:
        while True:
            if os.getppid() != self._setup.driver_pid:
                _end_group()
            self._send(Alive(gpu_memory_gib=_gpu_memory_gib(self._setup.device)))
            time.sleep(self._setup.beat_s)


def _tie_to_driver(setup: Setup, descriptor: int) -> None:
    """Sees to it that nothing of this worker outlives its command, whatever state either is in when that dies.

    The socket's end and the parent's process id are watched by threads; a worker that was stopped runs none, so on Linux the
    kernel is asked too. Processes that a step forks hold neither the socket nor the store's lock.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        with contextlib.suppress(OSError):  # where memory runs out, the kernel is to end a worker and not its command
            _OOM_SCORE.write_text("500", encoding="ascii")
    if os.getppid() != setup.driver_pid:
        _end_group()
    for one in (descriptor, setup.lock_descriptor):
        if one is not None:
            os.set_inheritable(one, False)
            os.register_at_fork(after_in_child=lambda one=one: os.close(one))


def _end_group() -> NoReturn:
    """Ends this process and all that it has started, at once: its command is gone, and the store may be another's soon."""
    os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _gpu_memory_gib(device: str) -> float | None:
    """What torch's allocator has taken from the GPU, GiB; nothing is loaded or initialised to find out."""
    cuda: Any = getattr(sys.modules.get("torch"), "cuda", None)
    if not device.startswith("cuda") or not hasattr(cuda, "memory_reserved") or not cuda.is_initialized():
        return None
    return float(cuda.memory_reserved(device)) / 2**30


def _free_gpu(device: str) -> None:
    """Gives cached memory back: other workers may share the GPU, and the next job may want other sizes."""
    if _gpu_memory_gib(device) is not None:
        import torch

        torch.cuda.empty_cache()


if __name__ == "__main__":
    main(int(sys.argv[1]))
