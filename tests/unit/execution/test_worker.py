"""One job: its artifact, or its failure in words."""

from __future__ import annotations

import errno
import logging
import os
import re
import warnings

import pytest
import torch

from fake_steps import fake_context, fake_job, fake_steps
from tunescope.errors import RunError, StoreError
from tunescope.execution.order import order_of
from tunescope.execution.worker import reason_for, run_job
from tunescope.store import Store


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "store", create=True)


@pytest.fixture
def run(tmp_path, store):
    """Runs a fake job."""
    return lambda job: run_job(order_of(job), store, fake_steps(tmp_path / "ran")["fake"], fake_context())


def test_a_done_job_leaves_its_artifact_facts_and_log(store, run):
    base = fake_job("base")
    job = fake_job("tuned", base)
    assert run(base).status == run(job).status == "done"
    record = store.record(job.kind, job.id)
    assert record.inputs == {"input0": base.id}
    assert record.facts == {"read": {"input0": "base 0\n" * 50}, "resumed": False, "device": "cpu"}
    assert sorted(record.files) == ["file0.txt", "sub/file1.txt"]
    assert 0.0 < record.duration_s < 60.0
    assert 0.001 < record.peak_memory_gib < 64.0
    lines = store.log_file(job.kind, job.id).read_text().splitlines()
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ INFO tunescope\.execution\.worker: begin .*\(tuned\).*", lines[0]
    )
    assert lines[-1].endswith(" s")


def test_a_failed_job_leaves_its_reason_traceback_and_work_folder(store, run):
    job = fake_job("bad", does="raise")
    outcome = run(job)
    assert outcome.status == "failed"
    assert outcome.error == store.failure(job.kind, job.id)
    assert outcome.error.duration_s == outcome.duration_s > 0.0
    assert outcome.error.reason == f"job fake/{job.id[:8]} (bad) failed with RuntimeError: the step broke"
    assert outcome.error.error == "builtins.RuntimeError"
    assert 'raise RuntimeError("the step broke' in outcome.error.traceback
    assert "the step broke" in (store.path / outcome.error.log).read_text()
    assert store.artifact(job.kind, job.id) is None
    assert (store.path / "work" / f"fake-{job.id}" / "scratch" / "checkpoint").exists()


def test_a_retry_goes_on_from_scratch_and_clears_the_failure(store, run):
    job = fake_job("shaky", does="raise once")
    assert run(job).status == "failed"
    assert run(job).status == "done"
    assert store.record(job.kind, job.id).facts["resumed"] is True
    assert store.failure(job.kind, job.id) is None
    assert store.log_file(job.kind, job.id).read_text().count("begin fake/") == 2


def test_an_interrupt_passes_through_and_is_no_failure(store, run):
    job = fake_job("stopped", does="interrupt")
    with pytest.raises(KeyboardInterrupt):
        run(job)
    assert store.failure(job.kind, job.id) is None
    assert store.artifact(job.kind, job.id) is None
    assert "ended by KeyboardInterrupt" in store.log_file(job.kind, job.id).read_text()


def test_an_output_that_is_a_link_fails_the_job(run):
    assert "link is a link or device" in run(fake_job("linked", does="link")).error.reason


def test_an_input_that_is_gone_fails_the_job(run):
    reason = run(fake_job("tuned", fake_job("base"))).error.reason
    assert re.search(r"artifact fake/\w{8} \(base\) is gone from .*makes it anew", reason)


def test_messages_and_warnings_of_a_job_reach_its_log_only_while_it_runs(store):
    def step(config, inputs, out, scratch, context):
        logging.getLogger("tunescope.training").info("step 10")
        logging.getLogger("transformers.modeling_utils").warning("some weights are new")
        warnings.warn("lowered", UserWarning, stacklevel=1)
        return {}

    ours, before = logging.getLogger("tunescope").level, warnings.showwarning
    job = fake_job("a")
    run_job(order_of(job), store, step, fake_context())
    logging.getLogger("tunescope.training").error("after the job")
    text = store.log_file(job.kind, job.id).read_text()
    assert "INFO tunescope.training: step 10" in text
    assert "some weights are new" in text
    assert "UserWarning: lowered" in text
    assert "after the job" not in text
    assert (logging.getLogger("tunescope").level, warnings.showwarning) == (ours, before)


def _from(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error,words",
    [
        (MemoryError(), r"\(a\) ran out of memory: lower compute\.micro_batch_tokens .* Python says: MemoryError"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "ran out of memory"),
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
            "ran out of GPU memory: lower .* 2 GiB",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), r"found the disk full: [\d.]+ GiB are free"),
        (_from(RunError("saving failed"), OSError(errno.ENOSPC, "x")), "found the disk full"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "found the disk full"),
        (RunError("loss is nan at step 3: lower learning_rate."), r"^loss is nan at step 3: lower learning_rate\.$"),
        (KeyError("x"), r"\(a\) failed with KeyError: 'x'"),
    ],
)
def test_reasons_have_their_own_words(store, error, words):
    assert re.search(words, reason_for(error, order_of(fake_job("a")), store))


def test_a_real_failed_allocation_is_told_as_memory(store):
    def step(config, inputs, out, scratch, context):
        torch.empty(2**58, dtype=torch.uint8)

    assert "ran out of memory" in run_job(order_of(fake_job("huge")), store, step, fake_context()).error.reason


def test_a_failure_that_cannot_be_kept_is_still_told(store, run, monkeypatch):
    def full(self, kind, id, failure):
        raise StoreError("cannot write in failures: the disk is full")

    monkeypatch.setattr(Store, "fail", full)
    reason = run(fake_job("bad", does="raise")).error.reason
    assert "the step broke This reason was not kept either: cannot write in failures" in reason


def test_peak_memory_is_that_of_the_job(store):
    def step(config, inputs, out, scratch, context):
        block = bytearray(os.urandom(1)) * (256 * 2**20)
        return {"size": len(block)}

    big, small = fake_job("big"), fake_job("small")
    run_job(order_of(big), store, step, fake_context())
    run_job(order_of(small), store, lambda *args: {}, fake_context())
    records = [store.record(job.kind, job.id) for job in (big, small)]
    if records[0].peak_memory_covers == "process":
        pytest.skip(
            "needs Linux and a writable /proc/self/clear_refs (containers often forbid it), to set the memory mark back"
        )
    assert records[0].peak_memory_gib - records[1].peak_memory_gib == pytest.approx(0.25, abs=0.05)
