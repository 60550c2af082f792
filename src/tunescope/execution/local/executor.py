"""Jobs in processes of this machine, one per device, each warm for the whole run and replaced when it dies, hangs or grows."""

from __future__ import annotations

import os
import queue
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tunescope.errors import TunescopeError
from tunescope.execution.events import JobProgress, OnEvent, StopAsked, WorkerSeen, WorkerState
from tunescope.execution.local.devices import WorkerDevice
from tunescope.execution.local.ending import Verdict, grown, hung, overdue, squeezed, why_it_died
from tunescope.execution.local.machine_memory import MachineMemory, machine_memory
from tunescope.execution.local.messages import Alive, Ended, FromWorker, Progressed, Quit, Ready, Setup, Stop, Work
from tunescope.execution.local.worker_process import Inbox, WorkerProcess
from tunescope.execution.order import Order, order_of
from tunescope.execution.outcome import Outcome
from tunescope.execution.worker import lost
from tunescope.steps.context import StepContext
from tunescope.store import Store
from tunescope.store.lock import descriptor_held
from tunescope.store.record import Attempt
from tunescope.study.job import Job

HUNG_AFTER_S = 120.0
"""A worker gives a sign of life every 2 s, also in the middle of a job, unless it is stopped or its interpreter is blocked."""
_BEAT_S = 2.0
_TICK_S = 0.2
_LOOK_S = 0.5
"""How often memory and deadlines are looked at."""
_SEEN_S = 1.0
"""How often a worker whose state stays the same is told of."""
_STALL_S = 5.0
_QUIT_S = 5.0
_MAX_STARTS = 3
_LOW_MEMORY = 0.03
_LARGE = 0.05


@dataclass(frozen=True, kw_only=True)
class _UnderWay:
    job: Job
    order: Order
    since_s: float


class _Slot:
    """A device, the process that serves it, if there is one, and the job it does."""

    def __init__(self, device: WorkerDevice) -> None:
        self.device = device
        self.process: WorkerProcess | None = None
        self.under_way: _UnderWay | None = None
        self.verdict: Verdict | None = None
        """Why its process was ended by us."""
        self.last_about: dict[str, str | int] = {}
        self.num_failed_starts = 0
        self.is_told_to_stop = False
        self.told: WorkerState | None = None
        self.told_s = 0.0

    @property
    def state(self) -> Literal["starting", "idle", "running"]:
        assert self.process is not None
        if not self.process.is_ready:
            return "starting"
        return "idle" if self.under_way is None else "running"


class LocalExecutor:
    """Runs as many jobs at once as there are devices.

    A process starts when there is first work for it, and is kept for the jobs that follow: libraries, data and tokens are loaded
    once, and a job goes to an idle worker that did one on the same base model and task last, if there is one. A worker that
    dies, gives no sign of life, passes a job's deadline or holds too much memory is ended and replaced; its job's try has failed
    then, and the runner says whether there is another. A job whose artifact was whole by then is done.

    Args:
        store: Where artifacts are kept. Workers hold its lock too, so it stays locked until the last of them has gone.
        context: Given to every step; its device, threads and functions are replaced by those of each worker.
        devices: One worker each.
        steps: "module:attribute" that holds kind of job -> step, or a function that returns it; imported by the workers.
        steps_arguments: Given to that function.
        job_timeout_s: Deadline of one try of a job.
        memory_limit_gib: Resident memory that one worker may hold.
        hung_after_s: Seconds without a sign of life after which a worker is given up.
        read_memory: What the machine has left; looked at twice a second.
    """

    def __init__(
        self,
        store: Store,
        context: StepContext,
        devices: Sequence[WorkerDevice],
        *,
        steps: str = "tunescope.steps:STEPS",
        steps_arguments: tuple[Any, ...] = (),
        job_timeout_s: float | None = None,
        memory_limit_gib: float | None = None,
        hung_after_s: float = HUNG_AFTER_S,
        read_memory: Callable[[], MachineMemory] = machine_memory,
    ) -> None:
        assert devices, "a local executor needs a device"
        self._store, self._context = store, context
        self._steps, self._steps_arguments = steps, steps_arguments
        self._job_timeout_s, self._memory_limit_gib, self._hung_after_s = job_timeout_s, memory_limit_gib, hung_after_s
        self._read_memory = read_memory
        self._slots = [_Slot(device) for device in devices]
        self._inbox: Inbox = queue.SimpleQueue()
        self._readings: deque[MachineMemory] = deque(maxlen=10)
        self._looked_s = time.monotonic()
        self._spared_until_s = 0.0
        self._is_stop_asked = False
        self._lost: list[WorkerState] = []  # and not told yet

    @property
    def num_workers(self) -> int:
        return len(self._slots)

    def accepts(self, job: Job) -> bool:
        return any(slot.under_way is None for slot in self._slots)

    def start(self, job: Job, attempts: tuple[Attempt, ...] = ()) -> str:
        if all(slot.under_way is None for slot in self._slots):
            self._readings.clear()  # of a time long past, maybe
        self._look_at_memory()
        slot = self._best_slot(job, attempts)
        slot.under_way = _UnderWay(job=job, order=order_of(job, attempts), since_s=time.monotonic())
        slot.last_about = _kept_warm(job)
        if slot.process is not None and not slot.process.is_running:
            self._bury(slot)  # died while idle, and its end was not heard of yet
        if slot.process is None:
            self._launch(slot)
        else:
            slot.process.send(Work(order=slot.under_way.order))
        return slot.device.name

    def wait(self, on_event: OnEvent) -> Outcome:
        assert any(slot.under_way is not None for slot in self._slots), "no job was started"
        while True:
            self._forward_stop(on_event)
            self._tell_workers(on_event)
            try:
                process, message = self._inbox.get(timeout=_TICK_S)
            except queue.Empty:
                outcome = None
            else:
                outcome = self._taken(process, message, on_event)
            if time.monotonic() - self._looked_s >= _LOOK_S:
                self._look()
            if outcome is not None:
                self._tell_workers(on_event)
                return outcome

    def on_stop_asked(self) -> bool:
        self._is_stop_asked = True
        return True

    def stop(self) -> None:
        running = [slot for slot in self._slots if slot.process is not None]
        for slot in running:
            assert slot.process is not None
            slot.process.kill()
        for slot in running:
            self._bury(slot)
        for slot in self._slots:
            slot.under_way = None
        self._inbox = queue.SimpleQueue()
        self._lost.clear()
        self._is_stop_asked = False

    def close(self) -> None:
        assert all(slot.under_way is None for slot in self._slots), "a job was started and not waited for"
        processes = [slot.process for slot in self._slots if slot.process is not None]
        for process in processes:
            process.send(Quit())
        until = time.monotonic() + _QUIT_S
        while any(process.is_running for process in processes) and time.monotonic() < until:
            time.sleep(0.01)
        self.stop()

    # Processes

    def _best_slot(self, job: Job, attempts: Sequence[Attempt]) -> _Slot:
        """Of those without a job: not where this job was lost, rather a warm one, rather one that knows its data."""
        avoided = {attempt.worker for attempt in attempts if attempt.cause in ("lost", "timeout")}
        about = _kept_warm(job)

        def merit(slot: _Slot) -> tuple[bool, bool, int]:
            known = sum(slot.last_about.get(name) == value for name, value in about.items())
            return slot.device.name not in avoided, slot.process is not None, known

        return max((slot for slot in self._slots if slot.under_way is None), key=merit)

    def _launch(self, slot: _Slot) -> None:
        """Starts a process for the slot and gives it the slot's job."""
        device = slot.device
        setup = Setup(
            worker=device.name,
            store=self._store.path.absolute(),
            steps=self._steps,
            steps_arguments=self._steps_arguments,
            source=self._context.source,
            compute=self._context.compute,
            device=device.device,
            num_threads=device.num_threads,
            logs=self._context.logs,
            driver_pid=os.getpid(),
            lock_descriptor=descriptor_held(self._store.path / "lock"),
            beat_s=min(_BEAT_S, self._hung_after_s / 10.0),
        )
        log = self._store.path / "logs" / "workers" / f"{device.name.replace(' ', '-')}.log"
        slot.process = WorkerProcess(device, setup, self._inbox, log)
        slot.verdict, slot.is_told_to_stop = None, False
        assert slot.under_way is not None
        slot.process.send(Work(order=slot.under_way.order))

    def _bury(self, slot: _Slot) -> int:
        """Ends the slot's process for sure; returns its exit code."""
        assert slot.process is not None
        code = slot.process.end()
        self._lost.append(self._seen(slot, "lost"))
        slot.process = None
        slot.told = None
        return code

    def _forward_stop(self, on_event: OnEvent) -> None:
        untold = [pair for pair in self._processes() if pair[0].under_way is not None and not pair[0].is_told_to_stop]
        if self._is_stop_asked and untold:
            on_event(StopAsked(num_under_way=len(untold)))
            for slot, process in untold:
                process.send(Stop())
                slot.is_told_to_stop = True

    # What workers say

    def _taken(self, process: WorkerProcess, message: FromWorker | None, on_event: OnEvent) -> Outcome | None:
        slot = next((slot for slot in self._slots if slot.process is process), None)
        if slot is None:  # the last words of one that was replaced
            return None
        under_way = slot.under_way
        match message:
            case Ready():
                process.is_ready, process.host, slot.num_failed_starts = True, message.host, 0
                if under_way is not None:
                    slot.under_way = _UnderWay(job=under_way.job, order=under_way.order, since_s=time.monotonic())
            case Alive():
                process.gpu_memory_gib = message.gpu_memory_gib
            case Progressed():
                if under_way is not None and under_way.job.id == message.job_id:
                    on_event(JobProgress(job=under_way.job, progress=message.progress))
            case Ended():
                assert under_way is not None
                assert under_way.job.id == message.job_id
                slot.under_way = None
                ended = message.result
                return Outcome(
                    job=under_way.job,
                    status=ended.status,
                    duration_s=ended.duration_s,
                    error=ended.error,
                    worker=process.name,
                )
            case None:
                return self._after_death(slot, process)
        return None

    def _after_death(self, slot: _Slot, process: WorkerProcess) -> Outcome | None:
        code = self._bury(slot)
        self._look_at_memory()
        if not process.is_ready:
            return self._after_failed_start(slot, process, code)
        under_way, slot.under_way = slot.under_way, None
        if under_way is None:
            return None
        job, seconds = under_way.job, time.monotonic() - under_way.since_s
        if self._store.artifact(job.kind, job.id) is not None:  # it died just after the commit
            self._store.settle(job.kind, job.id)
            return Outcome(job=job, status="done", duration_s=seconds, worker=process.name)
        verdict = slot.verdict or why_it_died(process, code, tuple(self._readings))
        failed = lost(
            under_way.order,
            self._store,
            cause=verdict.cause,
            reason=verdict.reason,
            worker=process.name,
            duration_s=seconds,
        )
        return Outcome(
            job=job, status=failed.status, duration_s=failed.duration_s, error=failed.error, worker=process.name
        )

    def _after_failed_start(self, slot: _Slot, process: WorkerProcess, code: int) -> Outcome | None:
        """A process that died before it took the job says nothing of the job: another is started for it."""
        slot.num_failed_starts += 1
        if slot.num_failed_starts >= _MAX_STARTS:
            said = process.last_words() or "nothing"
            raise TunescopeError(
                f"{process.name} cannot start: {slot.num_failed_starts} processes in a row ended before they were ready, the last "
                f"with exit code {code}. Mend what its log {process.log} says, and run the same command again:\n{said}"
            )
        under_way = slot.under_way
        if under_way is None:
            return None
        if self._is_stop_asked:
            slot.under_way = None
            return Outcome(job=under_way.job, status="stopped", duration_s=0.0, worker=process.name)
        self._launch(slot)
        return None

    # What workers do not say

    def _look(self) -> None:
        """Ends workers that hang, are overdue or hold too much; their ends are heard of in the inbox."""
        now = time.monotonic()
        was_stalled = now - self._looked_s > _STALL_S  # this process was stopped itself: they may have spoken meanwhile
        self._looked_s = now
        self._look_at_memory()
        for slot, process in self._processes():
            if was_stalled:
                process.heard_s = now
            process.sample()
            if slot.verdict is not None:
                continue
            seconds = now - slot.under_way.since_s if slot.under_way is not None and process.is_ready else 0.0
            if now - process.heard_s > self._hung_after_s:
                self._end(slot, hung(process, self._hung_after_s))
            elif self._job_timeout_s is not None and seconds > self._job_timeout_s:
                self._end(slot, overdue(process, self._job_timeout_s))
            elif self._memory_limit_gib is not None and (process.rss_gib or 0.0) > self._memory_limit_gib:
                self._end(slot, grown(process, self._memory_limit_gib))
            elif not process.is_running:
                self._inbox.put((process, None))  # what it started keeps its end of the socket open
        self._spare_the_machine(now)

    def _look_at_memory(self) -> None:
        self._readings.append(self._read_memory())

    def _spare_the_machine(self, now: float) -> None:
        """Ends the largest worker before the kernel ends whatever it picks, which may be the command or another's work."""
        reading = self._readings[-1]
        if reading.available_gib >= _LOW_MEMORY * reading.total_gib or now < self._spared_until_s:
            return
        busy = [pair for pair in self._processes() if pair[0].under_way is not None and pair[0].verdict is None]
        if not busy:
            return
        slot, process = max(busy, key=lambda pair: pair[1].rss_gib or 0.0)
        if (process.rss_gib or 0.0) > _LARGE * reading.total_gib:  # else others hold the memory, and it would not help
            self._end(slot, squeezed(process, reading))
            self._spared_until_s = now + 4 * _LOOK_S

    def _end(self, slot: _Slot, verdict: Verdict) -> None:
        assert slot.process is not None
        slot.verdict = verdict
        slot.process.kill()

    def _processes(self) -> Iterator[tuple[_Slot, WorkerProcess]]:
        for slot in self._slots:
            if slot.process is not None:
                yield slot, slot.process

    # For whoever watches

    def _tell_workers(self, on_event: OnEvent) -> None:
        for gone in self._lost:
            on_event(WorkerSeen(worker=gone))
        self._lost.clear()
        now = time.monotonic()
        for slot, _process in self._processes():
            seen = self._seen(slot, slot.state)
            told = slot.told
            is_news = told is None or (told.pid, told.state, told.job_id) != (seen.pid, seen.state, seen.job_id)
            if is_news or (seen != told and now - slot.told_s >= _SEEN_S):
                slot.told, slot.told_s = seen, now
                on_event(WorkerSeen(worker=seen))

    def _seen(self, slot: _Slot, state: Literal["starting", "idle", "running", "lost"]) -> WorkerState:
        process = slot.process
        assert process is not None
        return WorkerState(
            name=process.name,
            host=process.host,
            pid=process.pid,
            device=process.device,
            state=state,
            job_id=slot.under_way.job.id if slot.under_way is not None else None,
            rss_gib=process.rss_gib,
            gpu_memory_gib=process.gpu_memory_gib,
        )


def _kept_warm(job: Job) -> dict[str, str | int]:
    """Of what a job is about, that which a worker keeps in memory for the next."""
    return {name: job.about[name] for name in ("base_model", "task") if name in job.about}
