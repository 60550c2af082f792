"""Which failed tries are followed by another."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tunescope.execution.policy import MAX_RETRIES, next_try
from tunescope.store.record import Failure

_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _failure(cause):
    return Failure(
        label="a", reason="why", error="E", traceback="", log="logs/a", failed_at=_NOW, cause=cause, worker="worker 2"
    )


def _tries(cause):
    """How often a job that always ends so is tried in all."""
    attempts = ()
    while (attempt := next_try(_failure(cause), attempts)) is not None:
        attempts = (*attempts, attempt)
        assert len(attempts) < 50
    return 1 + len(attempts)


@pytest.mark.parametrize(
    "cause, tries", [("out_of_memory", 7), ("lost", 3), ("timeout", 2), ("not_finite", 1), ("disk", 1), ("code", 1)]
)
def test_each_cause_gets_its_number_of_tries(cause, tries):
    assert _tries(cause) == tries == 1 + MAX_RETRIES.get(cause, 0)


def test_an_attempt_says_what_happened_where():
    attempt = next_try(_failure("lost"), ())
    assert (attempt.cause, attempt.reason, attempt.worker, attempt.ended_at) == ("lost", "why", "worker 2", _NOW)


def test_causes_are_counted_apart():
    attempts = ()
    for cause in ("lost", "out_of_memory", "lost", "out_of_memory"):
        attempts = (*attempts, next_try(_failure(cause), attempts))
    assert next_try(_failure("lost"), attempts) is None
    assert next_try(_failure("out_of_memory"), attempts) is not None
