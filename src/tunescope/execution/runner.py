"""A plan -> artifacts: skips what is whole, runs what is ready, and says what became of the rest."""

from __future__ import annotations

import bisect
import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass

from tunescope.errors import StoreError
from tunescope.execution.events import (
    Event,
    JobBlocked,
    JobEnded,
    JobRetried,
    JobStarted,
    OnEvent,
    PlanSkipped,
    StopAsked,
)
from tunescope.execution.executor import Executor
from tunescope.execution.outcome import Outcome
from tunescope.execution.policy import is_of_the_job, next_try
from tunescope.execution.signals import stop_on_signals
from tunescope.store import Store
from tunescope.store.record import Attempt
from tunescope.study.job import Job
from tunescope.study.wanted import unwanted as unwanted


@dataclass(frozen=True, kw_only=True)
class Blocked:
    """A job that could not run, and the failed jobs it needs."""

    job: Job
    on: tuple[Job, ...]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What became of every job of a plan; each is in exactly one of the six."""

    done: tuple[Job, ...]
    reused: tuple[Job, ...]
    """Whole before the run began, or wanted for nothing that is left to do."""
    failed: tuple[Outcome, ...]
    tolerated: tuple[Outcome, ...]
    """Failed, and all that need them make do without: a sweep's trials."""
    blocked: tuple[Blocked, ...]
    left: tuple[Job, ...]
    """Not done because the run was interrupted; those under way then keep their checkpoints."""
    interrupted: bool
    duration_s: float
    num_retried: int = 0
    """Tries that failed and were followed by another."""

    @property
    def exit_code(self) -> int:
        """0 if all is done, 1 if a job failed or was blocked, 130 if the run was interrupted."""
        if self.interrupted:
            return 130
        return 1 if self.failed or self.blocked else 0


def run_plan(
    jobs: Sequence[Job],
    store: Store,
    executor: Executor,
    on_event: OnEvent = lambda event: None,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Summary:
    """Runs the jobs of a plan, and those they need, that are not whole in the store yet.

    A failed job blocks those that need it, unless they make do without it; all others go on. A job that is wanted for others
    alone is not run where those are whole. A try that ran out of memory or was lost with its worker is followed by another
    (`policy`); jobs that failed in an earlier run are tried again. Ctrl-C or SIGTERM once ends the run as soon as what is under
    way has written its checkpoint, at most 25 s later; twice at once. Nothing is half-written; calling again goes on from there.

    Args:
        jobs: In the order they should run, as far as their inputs allow; the same job may stand in it twice.
        store: Its lock is held for the time of the run.
        executor: Runs the jobs.
        on_event: Told what happens, in this thread.
        clock: Seconds, for the summary's duration.

    Raises:
        StoreError: If another run holds the store, or an artifact is there and not whole (all of them are named);
            nothing has run then.
    """
    with store.lock():
        return _Run(in_order(jobs), store, executor, on_event, clock).to_end()


def in_order(jobs: Iterable[Job]) -> list[Job]:
    """Each job once, inputs before what needs them, the given order otherwise kept."""
    ordered: dict[str, Job] = {}
    visited: set[int] = set()
    path: list[int] = []

    def visit(job: Job) -> None:
        # By object until the inputs are known to hold no cycle: the id of a job in a cycle has no end.
        assert id(job) not in path, f"the inputs of job {job.label} lead back to itself"
        if id(job) in visited:
            return
        path.append(id(job))
        for needed in job.inputs.values():
            visit(needed)
        path.pop()
        visited.add(id(job))
        ordered.setdefault(job.id, job)

    kept = list(jobs)
    for job in kept:
        visit(job)
    return list(ordered.values())


class _Run:
    """One call of `run_plan`: which jobs wait, are under way, and have ended."""

    def __init__(
        self, jobs: list[Job], store: Store, executor: Executor, on_event: OnEvent, clock: Callable[[], float]
    ) -> None:
        self._jobs, self._store, self._executor, self._on_event, self._clock = jobs, store, executor, on_event, clock
        self._position = {job.id: position for position, job in enumerate(jobs)}
        self._reused: dict[str, Job] = {}
        self._under_way: set[str] = set()
        self._done: dict[str, Job] = {}
        self._failed: dict[str, Outcome] = {}
        self._tolerated: dict[str, Outcome] = {}
        self._blocked: dict[str, Blocked] = {}
        self._missing: dict[str, set[str]] = {}  # job -> its inputs that are not whole yet
        self._needed_by: dict[str, list[Job]] = {}
        self._ready: list[int] = []  # positions, ascending, so that the given order is kept
        self._attempts: dict[str, tuple[Attempt, ...]] = {}
        self._num_retried = 0
        self._is_stop_told = False

    def to_end(self) -> Summary:
        started = self._clock()
        ended = False
        with stop_on_signals(self._executor.on_stop_asked) as request:
            try:
                self._skip_whole()
                while not request.asked and (self._ready or self._under_way):
                    self._start_ready()
                    self._take(self._executor.wait(self._pass_on))
                ended = not request.asked
                if not (ended or self._is_stop_told):
                    self._on_event(StopAsked(num_under_way=len(self._under_way)))
                while self._under_way:
                    self._take(self._executor.wait(self._pass_on))
            except KeyboardInterrupt:
                ended = False
            finally:
                if not ended:
                    self._executor.stop()
            self._executor.close()
        left = tuple(self._left())
        assert not (ended and left), f"{len(left)} jobs were forgotten, the first is {left[0].label}"
        return Summary(
            done=tuple(self._done.values()),
            reused=tuple(self._reused.values()),
            failed=tuple(self._failed.values()),
            tolerated=tuple(self._tolerated.values()),
            blocked=tuple(self._blocked.values()),
            left=left,
            interrupted=not ended,
            duration_s=self._clock() - started,
            num_retried=self._num_retried,
        )

    def _pass_on(self, event: Event) -> None:
        """What an executor tells of; one that hears of a stop while it waits says so at once, and it is said once."""
        self._is_stop_told = self._is_stop_told or isinstance(event, StopAsked)
        self._on_event(event)

    def _skip_whole(self) -> None:
        problems = []
        for job in self._jobs:
            try:
                if self._store.artifact(job.kind, job.id) is not None:
                    self._reused[job.id] = job
            except StoreError as error:
                problems.append(str(error))
        if problems:
            raise StoreError("\n".join(problems))
        for job in self._reused.values():
            self._store.settle(job.kind, job.id)  # a crash may have come just after the commit
        self._reused |= {job.id: job for job in unwanted(self._jobs, self._reused.keys())}
        for position, job in enumerate(self._jobs):
            if job.id in self._reused:
                continue
            self._attempts[job.id] = self._out_of_memory_before(job)
            self._missing[job.id] = {needed.id for needed in job.inputs.values()} - self._reused.keys()
            for needed in self._missing[job.id]:
                self._needed_by.setdefault(needed, []).append(job)
            if not self._missing[job.id]:
                self._ready.append(position)
        self._on_event(PlanSkipped(reused=tuple(self._reused.values()), num_jobs=len(self._jobs)))

    def _start_ready(self) -> None:
        for position in list(self._ready):
            job = self._jobs[position]
            if self._executor.accepts(job):
                worker = self._executor.start(job, self._attempts[job.id])
                self._ready.remove(position)
                self._under_way.add(job.id)
                self._on_event(JobStarted(job=job, worker=worker))
        assert self._under_way, "the executor accepts no job although none is under way"

    def _out_of_memory_before(self, job: Job) -> tuple[Attempt, ...]:
        """Tries of an earlier run, cut off, that ran out of memory: the next one need not learn that again."""
        try:
            failure = self._store.failure(job.kind, job.id)
        except StoreError:  # torn, and about to be replaced
            return ()
        last = None if failure is None else next_try(failure, failure.attempts)
        if failure is None or last is None:
            return ()
        return tuple(attempt for attempt in (*failure.attempts, last) if attempt.cause == "out_of_memory")

    def _take(self, outcome: Outcome) -> None:
        job = outcome.job
        self._under_way.remove(job.id)
        if outcome.status == "done":
            self._done[job.id] = job
            self._settle(job)
            self._on_event(JobEnded(outcome=outcome))
            return
        if outcome.error is None:  # stopped on request: left
            self._on_event(JobEnded(outcome=outcome))
            return
        attempt = next_try(outcome.error, self._attempts[job.id])
        if attempt is not None:
            self._attempts[job.id] = (*self._attempts[job.id], attempt)
            self._num_retried += 1
            bisect.insort(self._ready, self._position[job.id])
            self._on_event(JobRetried(job=job, attempt=attempt, num_attempts=len(self._attempts[job.id])))
            return
        waiting = self._needed_by.get(job.id, [])
        tolerant = [one for one in waiting if is_of_the_job(outcome.error) and job.kind in one.config.makes_do_without]
        is_tolerated = bool(tolerant) and len(tolerant) == len(waiting)
        (self._tolerated if is_tolerated else self._failed)[job.id] = outcome
        self._on_event(JobEnded(outcome=outcome))
        self._settle(job, tolerant)
        if not is_tolerated:
            self._block_after(job, do_without={one.id for one in tolerant})

    def _settle(self, job: Job, waiting: Sequence[Job] | None = None) -> None:
        """Tells jobs that need this one that it has ended; by default all of them."""
        for one in self._needed_by.get(job.id, []) if waiting is None else waiting:
            self._missing[one.id].remove(job.id)
            if not self._missing[one.id] and one.id not in self._blocked:
                bisect.insort(self._ready, self._position[one.id])

    def _block_after(self, failed: Job, do_without: Set[str]) -> None:
        """Blocks what needs the failed job, at any remove; what was blocked before now waits for one more."""
        reached = {failed.id}
        front = [failed.id]
        while front:
            before = front.pop()
            for job in self._needed_by.get(before, []):
                if job.id in reached or (before == failed.id and job.id in do_without):
                    continue
                reached.add(job.id)
                front.append(job.id)
                earlier = self._blocked.get(job.id)
                self._blocked[job.id] = Blocked(job=job, on=(*(earlier.on if earlier else ()), failed))
                self._on_event(JobBlocked(job=job, on=self._blocked[job.id].on))

    def _left(self) -> Iterator[Job]:
        """The jobs that have not ended; one that an interrupt caught just after its commit is done."""
        for job in self._jobs:
            if any(
                job.id in ended for ended in (self._reused, self._done, self._failed, self._tolerated, self._blocked)
            ):
                continue
            if self._store.artifact(job.kind, job.id) is not None:
                self._done[job.id] = job
            else:
                yield job
