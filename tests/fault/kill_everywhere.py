"""A program that kills a run with SIGKILL before each change it or a `forget` makes on disk, then resumes.

python kill_everywhere.py FOLDER: tells what happened as one line of JSON a moment. Each run is a process of its own (fork), so
that the kill is a real one.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
from pathlib import Path
from typing import Any

from touches import before_each_touch

from fake_steps import fake_job, inline, ran
from tunescope.execution import run_plan
from tunescope.store import Store, provenance

_BASE = fake_job("base")
_JOBS = [_BASE, fake_job("tuned", _BASE)]


def main(folder: Path) -> None:
    """Moment 1, 2, 3 ... until a run is not reached by its kill."""
    (
        provenance.checkout_state(),
        provenance.library_versions(),
        provenance.this_machine(),
    )  # asked once, before the forks
    moment = 0
    while True:
        moment += 1
        place = folder / str(moment)
        place.mkdir()
        if not _killed(moment, place):
            break
        print(json.dumps(_after_kill(moment, place)), flush=True)
    print(json.dumps({"moments": moment - 1, "ran": ran(place / "ran")}))


def _killed(moment: int, place: Path) -> bool:
    """Runs the jobs in a child that kills itself just before its `moment`-th touch; whether it came to that."""
    child = multiprocessing.get_context("fork").Process(target=_run_armed, args=(moment, place))
    child.start()
    child.join()
    assert child.exitcode in (0, -signal.SIGKILL), f"moment {moment}: the run failed before its kill"
    return child.exitcode != 0


def _run_armed(moment: int, place: Path) -> None:
    _arm(moment, place / "event")
    store, _ = _run(place)
    store.forget(_JOBS[1].id)


def _arm(moment: int, note: Path) -> None:
    told = os.open(note, os.O_WRONLY | os.O_CREAT)

    def happen(touch: int, event: str, path: str) -> None:
        if touch == moment:
            os.write(told, event.encode())
            os.kill(os.getpid(), signal.SIGKILL)

    before_each_touch(happen)


def _run(place: Path) -> tuple[Store, int]:
    store = Store.open(place / "store", create=True)
    return store, run_plan(_JOBS, store, inline(store, place / "ran")).exit_code


def _after_kill(moment: int, place: Path) -> dict[str, Any]:
    store = Store.open(place / "store", create=True)
    whole = [job.label for job in _JOBS if store.artifact(job.kind, job.id) is not None]
    for record in store.records():
        store.verify(record.kind, record.id)
    began = ran(place / "ran")
    store, exit_code = _run(place)
    for job in _JOBS:
        store.verify(job.kind, job.id)
    beside = sorted(path.name for path in (store.path / "work").iterdir() if path.name != ".trash")
    return {
        "moment": moment,
        "before": (place / "event").read_text(encoding="utf-8"),
        "whole": whole,
        "began": began,
        "resumed": ran(place / "ran")[len(began) :],
        "exit_code": exit_code,
        "left_in_work": beside,
        "artifacts": len(list(store.records())),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
