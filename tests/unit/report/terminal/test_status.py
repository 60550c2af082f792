"""Where a study stands, as it is printed: counts by kind, who does what, failures, the end; readable at 80 columns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from made_scores import plan_of
from tunescope.api.status import JobState, StudyStatus
from tunescope.report.terminal.status import clock_shown, status_summary
from tunescope.store import Failure
from tunescope.store.live import Live, LiveJob, LiveProgress, LiveRetry, LiveWorker, Seen, TimeLeft
from tunescope.store.record import Attempt

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
_HOSTILE = "[red]x[/red] \x1b[31my"


def _shown(status, *, width=120):
    console = Console(width=width, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(status_summary(status, now=NOW), crop=False)
    return capture.get()


def _status(states=(), seen=None, *, problem="", store="/data/store"):
    plan = plan_of()
    given = dict(states)
    jobs = tuple(
        JobState(
            job=job,
            state=given.get(job.label, "missing"),
            reason="",
            log=Path(store) / "logs" / f"{job.kind}-{job.id}.log",
            is_wanted=True,
        )
        for job in plan.jobs
    )
    return StudyStatus(
        plan=plan, jobs=jobs, store=Path(store), seen=seen, live_problem=problem, used_gib=1.5, free_gib=20.0
    )


def _worker(name, job=None, **more):
    given = {
        "name": name,
        "host": "node-a",
        "pid": 5,
        "device": "cuda:0",
        "state": "running" if job else "idle",
        "job": job,
        "rss_gib": 2.0,
        "gpu_memory_gib": None,
        "gpu_utilisation_percent": None,
    }
    return LiveWorker(**(given | more))


def _job(label, elapsed_s=30.0, progress=None, num_attempts=0):
    return LiveJob(
        kind="train",
        id=f"id of {label}",
        label=label,
        elapsed_s=elapsed_s,
        num_attempts=num_attempts,
        progress=progress,
    )


def _progress(**changed):
    given = {"step": 120, "num_steps": 400, "loss": 0.43214, "rate": 3.21, "remaining_s": 87.0}
    return LiveProgress(**(given | changed))


def _seen(*workers, driver="alive", age_s=1.0, **changed):
    given = {
        "format": 1,
        "study": plan_of().study.name,
        "command": "tunescope run study.yaml",
        "host": "node-a",
        "pid": 77,
        "process": None,
        "sequence": 4,
        "state": "running",
        "started_at": NOW - timedelta(hours=1),
        "elapsed_s": 3599.0,
        "executor": "local",
        "num_workers": 2,
        "shard": None,
        "num_jobs": 9,
        "num_reused": 2,
        "num_done": 3,
        "num_failed": 1,
        "num_blocked": 1,
        "num_retried": 0,
        "num_workers_lost": 0,
        "job_seconds": 10.0,
        "predicted_makespan_s": None,
        "time_left": TimeLeft(seconds=1801.0, why="predicted"),
        "workers": workers,
        "retries": (),
        "tunescope": "0.1.0",
    }
    return Seen(live=Live(**(given | changed)), driver=driver, age_s=age_s)


def _one(status, state, **changed):
    """The status with its first job changed."""
    first, *rest = status.jobs
    jobs = (JobState(**(vars(first) | {"state": state} | changed)), *rest)
    return StudyStatus(**(vars(status) | {"jobs": jobs}))


def test_counts_by_kind_and_state():
    plan = plan_of()
    trains = [job.label for job in plan.jobs if job.kind == "train"]
    status = _status({trains[0]: "done", trains[1]: "running", trains[2]: "failed"})
    lines = {line.split()[0]: line.split()[1:] for line in _shown(status).splitlines() if len(line.split()) == 5}
    assert lines["jobs"] == ["done", "running", "failed", "left"]
    assert lines["train"] == ["1", "1", "1", str(len(trains) - 3)]
    assert lines["all"] == ["1", "1", "1", str(len(plan.jobs) - 3)]


def test_no_column_for_what_runs_where_nothing_does():
    plan = plan_of()
    lines = [line.split() for line in _shown(_status()).splitlines()]
    assert ["jobs", "done", "failed", "left"] in lines
    assert ["all", "0", "0", str(len(plan.jobs))] in lines


def test_store_and_disk():
    status = _status(store="/data/" + "a long way/" * 12)
    *_, disk, last = _shown(status, width=80).splitlines()
    assert disk == "disk: the store takes 1.5 GiB, 20 GiB free"
    assert last == f"{len(status.jobs)} left. Store: {status.store}"


def test_a_failure_with_its_reason_its_tries_who_waits_and_its_log():
    attempt = Attempt(cause="out_of_memory", reason="r", worker="worker 1", ended_at=NOW, duration_s=12.0)
    failure = Failure(
        label="l", reason="r", error="E", traceback="", log="x", failed_at=NOW, attempts=(attempt, attempt)
    )
    log = Path("/data/" + "a long way/" * 12 + "x.log")
    status = _one(_status(), "failed", reason=_HOSTILE, failure=failure, waiting=("a", "b", "c", "d", "e"), log=log)
    shown = _shown(status, width=80)
    job = status.jobs[0].job
    assert f"failed: {job.label} ({job.kind}/{job.id[:8]}): [red]x[/red] \\x1b[31my" in shown
    assert "3 tries: out of memory on worker 1 after 12 s, out of memory on worker 1 after" in shown
    assert "5 not run for want of it: a, b, c and 2 more" in shown
    assert f"  tail -n 50 '{log}'" in shown.splitlines()  # one line, to be copied
    assert "\x1b" not in shown


def test_who_does_what():
    seen = _seen(
        _worker("worker 1", _job("rte-lora-seed1", progress=_progress())),
        _worker("worker 2", _job("rte-full-seed1", elapsed_s=64.0), gpu_memory_gib=11.5, gpu_utilisation_percent=97.4),
        _worker("worker 3"),
    )
    lines = [line.split() for line in _shown(_status(seen=seen)).splitlines()]
    assert ["worker", "1", "rte-lora-seed1", "120/400", "0.4321", "3.21", "1:26", "left", "2.0", "GiB"] in lines
    assert ["worker", "2", "rte-full-seed1", "1:05", "so", "far", "2.0", "GiB", "11.5", "GiB", "97%"] in lines
    assert ["worker", "3", "idle", "2.0", "GiB"] in lines


def test_no_column_for_gpus_where_there_are_none():
    assert "GPU" not in _shown(_status(seen=_seen(_worker("worker 1"))))


def test_a_loss_that_is_not_finite_is_said_to_be_so():
    seen = _seen(_worker("", _job("j", progress=_progress(loss=None))))
    shown = _shown(_status(seen=seen))
    assert "not finite" in shown
    assert "the command" in shown


@pytest.mark.parametrize(
    "changed, told",
    [
        ({}, "running for 60 min: tunescope run study.yaml (process 77 on node-a; it wrote just now)"),
        ({"shard": "2/3"}, "(process 77 on node-a, shard 2/3; it wrote just now)"),
        ({"state": "stopping"}, "stopping, checkpoints are being written; running for 60 min:"),
        ({"study": "other"}, "other, another study of this store: running for 60 min:"),
        ({"age_s": 45.0}, "it wrote 45 s ago"),
        ({"driver": "quiet", "age_s": 200.0}, "its process is there and says nothing"),
        (
            {"driver": "silent", "age_s": 180.0},
            "not heard from for 3 min: the driver (process 77 on node-a) may be dead. Run the same command again, it goes on",
        ),
        ({"driver": "gone", "age_s": 5.0}, "the driver is dead: process 77 on node-a is not there any more"),
        (
            {"num_workers_lost": 2},
            "0 of 2 workers at work, 2 lost on the way; this run: done 3, failed 1, tried again 0, left 2",
        ),
    ],
)
def test_the_run_under_way(changed, told):
    assert told in " ".join(_shown(_status(seen=_seen(**changed)), width=300).split())


@pytest.mark.parametrize("driver", ["silent", "gone", "ended"])
def test_nothing_is_told_as_running_that_may_not_be(driver):
    shown = _shown(_status(seen=_seen(_worker("worker 1", _job("the job")), driver=driver, age_s=180.0)))
    assert "the job" not in shown
    assert "predicted end" not in shown


def test_a_run_that_ended_leaves_the_store_to_speak():
    assert "process 77" not in _shown(_status(seen=_seen(driver="ended")))


def test_retries():
    retries = (
        LiveRetry(kind="train", id="id of one", label="one", num_attempts=1, cause="lost", reason="x" * 500),
        LiveRetry(kind="train", id="id of two", label="two", num_attempts=2, cause="out_of_memory", reason="full"),
    )
    shown = _shown(_status(seen=_seen(_worker("w", _job("one", num_attempts=1)), retries=retries)), width=400)
    assert "again: one (train), try 2 under way. Before: lost: " + "x" * 200 + " ..." in shown
    assert "again: two (train), try 3 waiting. Before: out of memory: full" in shown


@pytest.mark.parametrize(
    "seconds, age_s, told",
    [
        (1801.0, 1.0, "in 30 min, about 12:30 (predicted)"),
        (86_400.0, 0.0, "in 24.0 h, about 2026-01-03 12:00 (predicted)"),
        (5.0, 40.0, "in 0.0 s, about 12:00 (predicted)"),
    ],
)
def test_the_predicted_end(seconds, age_s, told):
    seen = _seen(time_left=TimeLeft(seconds=seconds, why="predicted"), age_s=age_s)
    assert f"predicted end: {told}" in _shown(_status(seen=seen))


def test_no_end_is_invented():
    seen = _seen(time_left=TimeLeft(seconds=None, why="3 of 9 jobs left have no predicted time"))
    assert "predicted end: no prediction (3 of 9 jobs left have no predicted time)" in _shown(_status(seen=seen))


def test_what_cannot_be_read_is_told():
    assert "live.json cannot be read" in _shown(_status(problem="live.json cannot be read"))


def test_eighty_columns_hold_every_digit():
    progress = _progress(step=12_345, num_steps=40_000, loss=None)
    workers = [
        _worker(f"node-{n} gpu 0", _job("a-task-with-a-name-lora-seed13", progress=progress), gpu_memory_gib=61.5)
        for n in range(3)
    ]
    shown = _shown(_status(seen=_seen(*workers)), width=80)
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert shown.count("12345/40000") == shown.count("61.5 GiB") == shown.count("1:26 left") == 3


def test_names_from_outside_act_on_nothing():
    seen = _seen(_worker(_HOSTILE, _job(_HOSTILE)), command=_HOSTILE, host=_HOSTILE)
    shown = _shown(_status(seen=seen, problem=_HOSTILE), width=300)
    assert "\x1b" not in shown
    assert shown.count("[red]x[/red]") >= 4


def test_clock():
    assert [clock_shown(seconds) for seconds in (0.4, 65.0, 3600.0, 7384.0)] == ["0:00", "1:05", "1:00:00", "2:03:04"]
