"""Jobs on a Ray cluster: a worker per GPU, or per so many processors, on whichever nodes there are."""

from __future__ import annotations

import secrets
import time
from collections import deque
from contextlib import ExitStack
from typing import Any, Literal

from tunescope.errors import TunescopeError
from tunescope.execution.events import JobProgress, OnEvent, StopAsked, WorkerSeen
from tunescope.execution.order import order_of
from tunescope.execution.outcome import Outcome, Result
from tunescope.execution.ray.actor import Launcher, device_of, for_nodes, in_words, last_line, need_of, no_room
from tunescope.execution.ray.cluster import ClusterWatch, connected
from tunescope.execution.ray.known import Try, Worker
from tunescope.execution.ray.worker import MUST_AGREE, Ended, Hello, Place, Sign, token_in
from tunescope.execution.worker import lost
from tunescope.steps.context import StepContext
from tunescope.store import Store
from tunescope.store.appearing import PATIENCE_S, artifact_that_appears
from tunescope.store.provenance import library_versions
from tunescope.store.record import Attempt, FailureCause
from tunescope.store.remote.storage import RemoteStore
from tunescope.study.job import Job

_POLL_S = 1.0
_LOOK_EVERY_S = 0.5
_STARTS_WITHIN_S = 180.0
"""Seconds until the first worker must have started; the others may come later."""
_HUNG_AFTER_S = 120.0
"""A worker that has given no sign for so long, although Ray takes it for alive, has hung."""
_TOLD_EVERY_S = 1.0
_NEAR_FULL = 0.7
"""Of a node's memory: a worker that held more when it died without a word was killed for it."""


class RayExecutor:
    """Keeps one warm worker per GPU, or per `num_threads` processors, and uses nodes as they come and go.

    Ray tries nothing again: the death of a worker or node is an outcome. Up to `num_workers` jobs are taken; those that no
    worker is ready for stand in line.

    Args:
        store: The store; with `remote`, this machine's copy of it.
        context: What steps are given. Its device is replaced by the workers' own.
        steps: "module:NAME" of the steps by kind of job, or of a function that returns them, as every node imports it.
        steps_arguments: Given to that function.
        address: See `connected`.
        num_workers: At most so many; as many as the cluster holds where absent.
        memory_gib: Memory that Ray keeps for each worker; none is kept where absent.
        remote: The store on object storage; absent if all nodes see the folder of `store`.

    Raises:
        TunescopeError: If there is no Ray or no cluster, no node can hold a worker, none starts, or a node has other versions of
            tunescope or torch or does not see the store.
    """

    def __init__(
        self,
        store: Store,
        context: StepContext,
        *,
        steps: str = "tunescope.steps:STEPS",
        steps_arguments: tuple[Any, ...] = (),
        address: str | None = None,
        num_workers: int | None = None,
        memory_gib: float | None = None,
        remote: RemoteStore | None = None,
    ) -> None:
        self._store, self._remote, self._compute = store, remote, context.compute
        self._at_most = num_workers
        self._workers: list[Worker] = []
        self._line: deque[Try] = deque()
        self._ended: deque[Outcome] = deque()
        self._nodes_of_names: dict[str, str] = {}
        self._num_named = 0
        self._last_death = ""
        self._is_stopping = self._is_stop_told = False
        self._is_closed = False
        self._cleaning = ExitStack()
        try:
            self._cleaning.callback(self._disconnect, connected(address))
            self._watch = ClusterWatch(self._pulse)
            self._cleaning.callback(self._watch.end)
            device = device_of(
                context.compute.device, has_gpu=any(node.holds({"GPU": 1.0}) for node in self._watch.nodes)
            )
            self._need = need_of(device, context.num_threads, memory_gib)
            self._launcher = Launcher(
                place=self._placed(),
                steps=steps,
                steps_arguments=steps_arguments,
                context=for_nodes(context, device),
                need=self._need,
            )
            self._first_workers()
        except BaseException:
            self.close()
            raise

    @property
    def num_workers(self) -> int:
        """As many as the living nodes hold now, and not more than asked; at least 1, which waits for a node."""
        held = sum(node.holds(self._need) for node in self._watch.nodes)
        held -= sum(1 for worker in self._workers if worker.refused)
        return max(1, held if self._at_most is None else min(held, self._at_most))

    def accepts(self, job: Job) -> bool:
        under_way = len(self._line) + len(self._ended) + sum(worker.doing is not None for worker in self._workers)
        return not self._is_closed and under_way < self.num_workers

    def start(self, job: Job, attempts: tuple[Attempt, ...] = ()) -> str:
        assert self.accepts(job), "a job was started that was not accepted"
        one = Try(job=job, order=order_of(job, attempts), started=time.monotonic())
        self._line.append(one)
        self._hand_out()
        return next((worker.name for worker in self._workers if worker.doing is one), "")

    def wait(self, on_event: OnEvent) -> Outcome:
        assert self._line or self._ended or any(worker.doing for worker in self._workers), "no job was started"
        while not self._ended:
            self._watch.check()
            if self._remote is not None:
                self._remote.check()
            if self._is_stopping:
                self._stop_gently(on_event)
            else:
                self._fill()
                self._hand_out()
            self._look(on_event)
        return self._ended.popleft()

    def on_stop_asked(self) -> bool:
        self._is_stopping = True
        return any(worker.doing is not None for worker in self._workers)

    def stop(self) -> None:
        for worker in [worker for worker in self._workers if worker.doing is not None]:
            self._kill(worker)
            self._workers.remove(worker)
        self._line.clear()
        self._ended.clear()
        self._is_stopping = self._is_stop_told = False

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        for worker in self._workers:
            self._kill(worker)
        self._workers.clear()
        self._cleaning.close()

    # Workers come and go

    def _first_workers(self) -> None:
        if not any(node.holds(self._need) for node in self._watch.nodes):
            raise TunescopeError(no_room(self._need, self._watch))
        until = time.monotonic() + _STARTS_WITHIN_S
        self._fill()
        while not all(worker.who for worker in self._workers):
            self._watch.check()
            self._look(lambda event: None)
            for worker in self._workers:
                if worker.refused:
                    raise TunescopeError(worker.refused)
            if not self._workers:
                raise TunescopeError(
                    f"no worker starts on the Ray cluster at {self._watch.address}: {self._last_death}"
                )
            if any(worker.who for worker in self._workers) and time.monotonic() > until - _STARTS_WITHIN_S + 20.0:
                return
            if time.monotonic() > until:
                raise TunescopeError(
                    f"no worker has started on the Ray cluster at {self._watch.address} within {_STARTS_WITHIN_S:.0f} s: other "
                    f"jobs hold its {in_words(self._need)}. See `ray status`, and run the same command once there is room."
                )

    def _fill(self) -> None:
        while sum(not worker.refused for worker in self._workers) < self.num_workers and self._watch.is_there:
            self._num_named += 1
            name = f"worker {self._num_named}"
            actor = self._launcher.launch()
            self._workers.append(Worker(name=name, actor=actor, hello=actor.hello_from_node.remote()))

    def _hand_out(self) -> None:
        for one in list(self._line):
            idle = [worker for worker in self._workers if worker.is_idle]
            if not idle:
                return
            avoided = {
                self._nodes_of_names.get(tried.worker) for tried in one.order.attempts if tried.cause != "out_of_memory"
            }
            worker = min(idle, key=lambda worker: (self._nodes_of_names[worker.name] in avoided, idle.index(worker)))
            self._line.remove(one)
            one.started = worker.heard = time.monotonic()
            worker.doing, worker.shown = one, 0.0
            worker.work = worker.actor.work.remote(one.order, worker.name)

    def _pulse(self) -> None:
        """Called from the watch's thread, also while nobody waits here."""
        for worker in list(self._workers):
            if worker.who is not None:
                worker.actor.alive.remote()

    def _kill(self, worker: Worker) -> None:
        import ray

        if self._watch.is_there:
            ray.kill(worker.actor, no_restart=True)
        else:  # Ray's own way leads over the head and would hang
            ray.wait([worker.actor.end.remote()], timeout=1.0)

    # What is heard of them

    def _look(self, on_event: OnEvent) -> None:
        import ray

        for worker in self._workers:
            if worker.who is not None and worker.poll is None:
                seen = -1 if worker.sign is None else worker.sign.number
                worker.poll = worker.actor.poll.remote(seen, _POLL_S)
        owners = {ref: worker for worker in self._workers for ref in worker.refs}
        if not owners:
            time.sleep(_LOOK_EVERY_S)
            return
        ready, _ = ray.wait(list(owners), num_returns=1, timeout=_LOOK_EVERY_S)
        ready, _ = ray.wait(list(owners), num_returns=len(owners), timeout=0) if ready else (ready, [])
        for ref in sorted(ready, key=lambda ref: ref is owners[ref].work):  # progress before the end it led to
            if owners[ref] in self._workers:
                self._hear(owners[ref], ref, on_event)
        for worker in list(self._workers):
            self._judge(worker, on_event)

    def _hear(self, worker: Worker, ref: Any, on_event: OnEvent) -> None:
        import ray

        try:
            said = ray.get(ref)
        except ray.exceptions.RayTaskError as error:  # of our own code on the node, not of the job
            self._bury(worker, "code", f"{worker.name} failed with {last_line(error)}", on_event)
            return
        except ray.exceptions.RayError as error:
            self._bury(worker, *self._cause_of_death(worker, error), on_event)
            return
        worker.heard = time.monotonic()
        if isinstance(said, Hello):
            worker.hello = None
            self._greet(worker, said, on_event)
        elif isinstance(said, Sign):
            worker.poll = None
            self._pass_on(worker, said, on_event)
        elif isinstance(said, Ended):
            worker.work = None
            self._pass_on(worker, said.sign, on_event)
            one, worker.doing = worker.doing, None
            assert one is not None, "a worker ended a job that it was not given"
            self._end(one, said.result, worker.name)
            self._tell(worker, on_event)

    def _greet(self, worker: Worker, who: Hello, on_event: OnEvent) -> None:
        names = {other.name for other in self._workers}
        name = f"{who.host} gpu {who.gpu}" if who.gpu else f"{who.host} {worker.name}"
        worker.name = name if name not in names else f"{name} ({worker.name})"
        worker.who = who
        self._nodes_of_names[worker.name] = who.node_id
        ours = library_versions()
        other = {one: who.versions.get(one, "none") for one in MUST_AGREE if who.versions.get(one) != ours.get(one)}
        if other:
            differing = ", ".join(f"{one} {found} instead of {ours.get(one, 'none')}" for one, found in other.items())
            worker.refused = f"node {who.host} has {differing}: install the same versions there as here, and run again."
        elif who.problem:
            worker.refused = f"node {who.host} {who.problem}"
        self._tell(worker, on_event)

    def _pass_on(self, worker: Worker, sign: Sign, on_event: OnEvent) -> None:
        worker.sign, one = sign, worker.doing
        if one is not None and sign.job_id == one.job.id and sign.progress is not None and sign.number > one.told:
            one.told = sign.number
            on_event(JobProgress(job=one.job, progress=sign.progress))
        if time.monotonic() - worker.shown > _TOLD_EVERY_S:
            self._tell(worker, on_event)

    def _judge(self, worker: Worker, on_event: OnEvent) -> None:
        one, now = worker.doing, time.monotonic()
        if one is None or worker not in self._workers:
            return
        deadline_s, limit_gib = self._compute.job_timeout_s, self._compute.worker_memory_gib
        rss_gib = 0.0 if worker.sign is None else worker.sign.rss_gib
        if deadline_s is not None and now - one.started > deadline_s:
            self._bury(worker, "timeout", f"passed compute.job_timeout_s, {deadline_s:g} s, on {worker.name}", on_event)
        elif now - worker.heard > _HUNG_AFTER_S:
            self._bury(worker, "timeout", f"{worker.name} gave no sign of life for {_HUNG_AFTER_S:.0f} s", on_event)
        elif limit_gib is not None and rss_gib > limit_gib:
            reason = f"{worker.name} held {rss_gib:.2f} GiB, more than compute.worker_memory_gib, {limit_gib:g}"
            self._bury(worker, "out_of_memory", reason, on_event)

    def _bury(self, worker: Worker, cause: FailureCause, reason: str, on_event: OnEvent) -> None:
        self._kill(worker)
        self._workers.remove(worker)
        self._last_death = reason
        one, worker.doing = worker.doing, None
        if worker.who is not None:
            self._tell(worker, on_event, "lost")
        if one is None:
            return
        seconds = time.monotonic() - one.started
        if self._is_made(one.job, patience_s=0.0):  # it died after its last job was whole, before it could say so
            self._end(one, Result(status="done", duration_s=seconds), worker.name)
            return
        result = lost(one.order, self._store, cause=cause, reason=reason, worker=worker.name, duration_s=seconds)
        self._end(one, result, worker.name)

    def _cause_of_death(self, worker: Worker, error: Exception) -> tuple[FailureCause, str]:
        import ray

        said = last_line(error)
        if isinstance(error, ray.exceptions.OutOfMemoryError) or "OutOfMemory" in str(error):
            return "out_of_memory", f"Ray ended {worker.name} because its node ran out of memory: {said}"
        if worker.who is None:
            return "lost", f"{worker.name} could not start: {said}"
        living = {node.id for node in self._watch.nodes}
        if worker.sign is not None and worker.sign.rss_gib > _NEAR_FULL * worker.who.memory_gib:
            held = f"{worker.sign.rss_gib:.1f} of the {worker.who.memory_gib:.1f} GiB of {worker.who.host}"
            return "out_of_memory", f"{worker.name} was killed while it held {held}"
        what = "its node is gone" if worker.who.node_id not in living else "its process or its node died"
        return "lost", f"{worker.name} was lost, {what}. Ray says: {said}"

    # How tries end

    def _end(self, one: Try, result: Result, worker: str) -> None:
        if result.status == "done" and not self._is_made(one.job):
            reason = f"{worker} says it is done, and its artifact does not appear in {self._store.path}"
            result = lost(
                one.order, self._store, cause="lost", reason=reason, worker=worker, duration_s=result.duration_s
            )
        if result.status == "failed" and self._remote is not None:
            self._remote.pull_failure(self._store, one.job.kind, one.job.id)
        self._ended.append(
            Outcome(job=one.job, status=result.status, duration_s=result.duration_s, error=result.error, worker=worker)
        )

    def _is_made(self, job: Job, *, patience_s: float = PATIENCE_S) -> bool:
        if self._remote is not None:
            return self._remote.on_both(self._store, job.kind, job.id)
        return artifact_that_appears(self._store, job.kind, job.id, patience_s=patience_s) is not None

    def _stop_gently(self, on_event: OnEvent) -> None:
        """Jobs with checkpoints are asked once to write one; the others, which would begin anew anyway, end now."""
        if not self._is_stop_told:
            self._is_stop_told = True
            on_event(StopAsked(num_under_way=sum(worker.doing is not None for worker in self._workers)))
        for one in self._line:
            self._ended.append(Outcome(job=one.job, status="stopped", duration_s=0.0))
        self._line.clear()
        for worker in [worker for worker in self._workers if worker.doing is not None]:
            doing = worker.doing
            assert doing is not None
            if doing.job.config.keeps_checkpoints:
                worker.actor.ask_stop.remote()
                continue
            self._kill(worker)
            self._workers.remove(worker)
            seconds = time.monotonic() - doing.started
            self._ended.append(Outcome(job=doing.job, status="stopped", duration_s=seconds, worker=worker.name))

    def _tell(self, worker: Worker, on_event: OnEvent, state: Literal["lost"] | None = None) -> None:
        worker.shown = time.monotonic()
        on_event(WorkerSeen(worker=worker.state(state)))

    # Where things are

    def _placed(self) -> Place:
        if self._remote is not None:
            return Place(url=self._remote.url)
        token = secrets.token_hex(8)
        file = self._cleaning.enter_context(token_in(self._store, token))
        return Place(path=str(self._store.path.resolve()), token_file=str(file.resolve()), token=token)

    def _disconnect(self, is_ours: bool) -> None:
        import ray

        if is_ours and self._watch.is_there:
            ray.shutdown()
