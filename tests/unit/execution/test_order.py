"""What a worker is told of a job."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime

from fake_steps import TrialLike, WaveLike, fake_job
from tunescope.execution.order import order_of
from tunescope.store.record import Attempt


def _attempt(cause):
    return Attempt(cause=cause, reason="", worker="", ended_at=datetime(2026, 1, 1, tzinfo=UTC), duration_s=1.0)


def test_an_order_names_the_job_and_where_its_inputs_lie():
    base = fake_job("base")
    job = fake_job("tuned", base)
    order = order_of(job)
    assert (order.kind, order.id, order.label, order.config) == (job.kind, job.id, "tuned", job.config)
    needed = order.inputs["input0"]
    assert (needed.kind, needed.id, needed.label, needed.may_fail) == ("fake", base.id, "base", False)


def test_an_input_that_a_job_makes_do_without_may_fail():
    order = order_of(fake_job("wave", fake_job("trial", kind=TrialLike), fake_job("base"), kind=WaveLike))
    assert [needed.may_fail for needed in order.inputs.values()] == [True, False]


def test_its_pickle_does_not_grow_with_the_jobs_behind_its_inputs():
    job = fake_job("job0")
    for number in range(1, 200):
        job = fake_job(f"job{number:03}", job)
    short = fake_job("job199", fake_job("job198"))
    assert abs(len(pickle.dumps(order_of(job))) - len(pickle.dumps(order_of(short)))) < 20
    assert pickle.loads(pickle.dumps(order_of(job))) == order_of(job)


def test_only_tries_that_ran_out_of_memory_halve_the_share():
    job = fake_job("a")
    assert order_of(job).share == 1.0
    assert order_of(job, (_attempt("lost"),)).share == 1.0
    assert order_of(job, (_attempt("out_of_memory"), _attempt("lost"), _attempt("out_of_memory"))).share == 0.25
