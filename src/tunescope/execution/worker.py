"""One try of a job, from begin to commit or failure: the only place that outlives a job's error."""

from __future__ import annotations

import errno
import logging
import math
import shlex
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from tunescope.errors import BegunOtherwiseError, NotFiniteError, StopRequested, StoreError, TunescopeError
from tunescope.execution.job_log import logging_to, named_log
from tunescope.execution.order import Needed, Order
from tunescope.execution.outcome import Result
from tunescope.execution.telemetry.peak_memory import PeakMemory
from tunescope.execution.telemetry.sampling import sampling
from tunescope.inference.out_of_memory import first_line, is_out_of_gpu_memory, is_out_of_memory
from tunescope.steps.context import Progress, Step, StepContext
from tunescope.store import Failure, RecordFields, Store
from tunescope.store.names import SHORT_DIGITS
from tunescope.store.record import FailureCause

_LOG = logging.getLogger(__name__)
_PROGRESS_EVERY_S = 10.0


def run_job(order: Order, store: Store, step: Step, context: StepContext, *, worker: str = "") -> Result:
    """Tries a job whose inputs are in the store, and keeps its artifact or the reason why there is none.

    An `Exception` of the job, whatever it is, becomes a failure with its traceback; KeyboardInterrupt and the like pass
    through, and leave the work folder as it is for the next try.

    Args:
        order: What to do.
        store: Where inputs are read from and the artifact is kept.
        step: Does the work of jobs of this kind.
        context: Where and with what to compute; of the tokens at once, the order's share.
        worker: Name of the worker that this is.
    """
    started = time.monotonic()
    try:
        also = None if context.logs is None else named_log(context.logs, order.label, order.kind)
        with logging_to(store.log_file(order.kind, order.id), also):
            _log_begin(order)
            try:
                _work(order, store, step, _logged(_in_portions(context, order.share)), worker)
            except StopRequested:
                seconds = time.monotonic() - started
                _LOG.info(
                    "%s stopped on request after %.1f s; its checkpoint is kept, if it got so far", order.label, seconds
                )
                return Result(status="stopped", duration_s=seconds)
            except BaseException as error:
                _LOG.error("%s ended by %s", order.label, type(error).__name__, exc_info=error)
                raise
            _LOG.info("done in %.1f s", time.monotonic() - started)
    except Exception as error:  # noqa: BLE001 - whatever a job does, the others go on
        seconds = time.monotonic() - started
        failure = _kept(order, store, _failure(error, order, store, worker, seconds))
        return Result(status="failed", duration_s=seconds, error=failure)
    return Result(status="done", duration_s=time.monotonic() - started)


def lost(order: Order, store: Store, *, cause: FailureCause, reason: str, worker: str, duration_s: float) -> Result:
    """How a try ended whose worker can no longer say it: dead, hung or out of reach. The reason is kept in the store.

    Args:
        order: What it was doing.
        store: Where the reason is kept.
        cause: "lost", "timeout" or "out_of_memory".
        reason: What was seen of the worker, and what to do.
        worker: Its name.
        duration_s: Seconds since it was given the job.
    """
    failure = Failure(
        label=order.label,
        reason=f"{_where(order)}: {reason}",
        error=cause,
        traceback="",
        log=store.log_file(order.kind, order.id).relative_to(store.path).as_posix(),
        failed_at=datetime.now(UTC),
        duration_s=duration_s,
        cause=cause,
        worker=worker,
        attempts=order.attempts,
    )
    return Result(status="failed", duration_s=duration_s, error=_kept(order, store, failure))


def cause_of(error: BaseException) -> FailureCause:
    """Which of the few causes an error is, by itself and by what it came from."""
    causes = list(_causes(error))
    if any(is_out_of_memory(cause) for cause in causes):
        return "out_of_memory"
    if any(_is_disk(cause) for cause in causes):
        return "disk"
    return "not_finite" if isinstance(error, NotFiniteError) else "code"


def reason_for(error: BaseException, order: Order, store: Store) -> str:
    """One message for people: what happened to a job and what to do. Memory and disk have their own words."""
    where = _where(order)
    if any(is_out_of_gpu_memory(cause) for cause in _causes(error)):
        return (
            f"{where} ran out of GPU memory: lower compute.micro_batch_tokens or set compute.gradient_checkpointing "
            f"(neither changes the objective), or take a larger GPU. The driver says: {first_line(error)}"
        )
    if any(is_out_of_memory(cause) for cause in _causes(error)):
        return (
            f"{where} ran out of memory: lower compute.micro_batch_tokens or compute.evaluation_batch_tokens "
            f"(neither changes the objective), or close other programs. Python says: {first_line(error)}"
        )
    if any(_is_disk(cause) for cause in _causes(error)):
        return (
            f"{where} found the disk full: {store.free_gib():.2f} GiB are free for {store.path}. "
            "Free some space and run the same command again; it goes on from the last checkpoint."
        )
    if isinstance(error, BegunOtherwiseError):
        return (
            f"{where}: {error} Or drop what was begun, and run again from the first step: "
            f"tunescope forget {order.id[:SHORT_DIGITS]} --store {shlex.quote(str(store.path))}"
        )
    if isinstance(error, TunescopeError):
        return str(error)
    return f"{where} failed with {type(error).__name__}: {first_line(error)}"


def _work(order: Order, store: Store, step: Step, context: StepContext, worker: str) -> None:
    started_at, started = datetime.now(UTC), time.monotonic()
    memory = PeakMemory.begin(context.device)
    inputs = {
        role: _folder(needed, store)
        for role, needed in order.inputs.items()
        if not (needed.may_fail and store.failure(needed.kind, needed.id) is not None)
    }
    work = store.begin(order.kind, order.id)
    with sampling(context.device) as telemetry:
        facts = step(order.config, inputs, work.out, work.scratch, context)
    allocated, reserved = memory.gpu_gib() or (None, None)
    store.commit(
        work,
        RecordFields(
            label=order.label,
            config=order.config.identity(),
            inputs={role: needed.id for role, needed in order.inputs.items()},
            facts=facts,
            started_at=started_at,
            duration_s=time.monotonic() - started,
            peak_memory_gib=memory.gib(),
            peak_memory_covers=memory.covers,
            memory_at_start_gib=memory.at_start_gib,
            gpu_peak_allocated_gib=allocated,
            gpu_peak_reserved_gib=reserved,
            worker=worker,
            attempts=order.attempts,
            telemetry=telemetry.summary(),
        ),
    )


def _in_portions(context: StepContext, share: float) -> StepContext:
    """The context with a share of the tokens at once: what is computed stays the same, the memory it takes does not."""
    if share == 1.0:
        return context
    asked = context.compute
    smaller = {
        name: max(1, int(getattr(asked, name) * share)) for name in ("micro_batch_tokens", "evaluation_batch_tokens")
    }
    return replace(context, compute=asked.model_copy(update=smaller))


def _logged(context: StepContext) -> StepContext:
    """The context with progress that the job's log tells of too, now and then."""
    told_s = -math.inf

    def report(progress: Progress) -> None:
        nonlocal told_s
        if time.monotonic() - told_s >= _PROGRESS_EVERY_S:
            told_s = time.monotonic()
            _LOG.info(
                "step %d of %d, loss %.4f, %.2f steps/s",
                progress.step,
                progress.num_steps,
                progress.loss,
                progress.rate,
            )
        context.report(progress)

    return replace(context, report=report)


def _folder(needed: Needed, store: Store) -> Path:
    if store.artifact(needed.kind, needed.id) is None:
        raise StoreError(
            f"artifact {needed.kind}/{needed.id[:SHORT_DIGITS]} ({needed.label}) is gone from {store.path}: "
            "something deleted it during the run. Run the same command again, which makes it anew."
        )
    return store.read_from(needed.kind, needed.id)  # damaged weights must not become a score


def _failure(error: Exception, order: Order, store: Store, worker: str, seconds: float) -> Failure:
    return Failure(
        label=order.label,
        reason=reason_for(error, order, store),
        error=f"{type(error).__module__}.{type(error).__qualname__}",
        traceback="".join(traceback.format_exception(error)),
        log=store.log_file(order.kind, order.id).relative_to(store.path).as_posix(),
        failed_at=datetime.now(UTC),
        duration_s=seconds,
        cause=cause_of(error),
        worker=worker,
        attempts=order.attempts,
    )


def _kept(order: Order, store: Store, failure: Failure) -> Failure:
    """The failure, written into the store; where that fails, its reason says so."""
    try:
        store.fail(order.kind, order.id, failure)
    except StoreError as unsaved:  # the outcome still carries the reason; only the store cannot keep it
        return failure.model_copy(update={"reason": f"{failure.reason} This reason was not kept either: {unsaved}"})
    return failure


def _where(order: Order) -> str:
    return f"job {order.kind}/{order.id[:SHORT_DIGITS]} ({order.label})"


def _log_begin(order: Order) -> None:
    inputs = ", ".join(f"{role}={needed.kind}/{needed.id}" for role, needed in order.inputs.items())
    _LOG.info("begin %s/%s (%s), inputs: %s", order.kind, order.id, order.label, inputs or "none")
    _LOG.info("config: %s", order.config.model_dump_json())
    if order.share != 1.0:
        _LOG.info(
            "%g of compute.micro_batch_tokens and compute.evaluation_batch_tokens at once, to fit memory", order.share
        )
    for number, attempt in enumerate(order.attempts, 1):
        _LOG.info("try %d ended by %s: %s", number, attempt.cause, attempt.reason)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from, as Python's traceback shows them."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def _is_disk(error: BaseException) -> bool:
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return full or "No space left on device" in str(error)  # the latter is how safetensors says it
