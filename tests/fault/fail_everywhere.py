"""A program in which the disk fails before each change that a run makes on it, at once and for good or only once, then resumes.

python fail_everywhere.py FOLDER ERRNO: tells what happened as one line of JSON a moment. Each run is a process of its own (fork).
"""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from touches import before_each_touch

from fake_steps import fake_job, inline, ran
from tunescope.errors import TunescopeError
from tunescope.execution import run_plan
from tunescope.store import Store, provenance

_JOBS = [base := fake_job("base"), fake_job("tuned", base)]
_FREES_SPACE = {"os.remove", "os.rmdir", "os.truncate"}
"""These succeed on a full disk."""


def main(folder: Path, number: int) -> None:
    """Moment 1, 2, 3 ... until a run is not reached by its fault; each once for good and once for that moment alone."""
    (
        provenance.checkout_state(),
        provenance.library_versions(),
        provenance.this_machine(),
    )  # asked once, before the forks
    for is_for_good in (True, False):
        moment = 0
        while True:
            moment += 1
            place = folder / f"{moment}-{is_for_good}"
            place.mkdir()
            said = _failed(moment, place, number, is_for_good)
            if said["event"] is None:
                break
            print(json.dumps(said | _after(place)), flush=True)


def _failed(moment: int, place: Path, number: int, is_for_good: bool) -> dict[str, Any]:
    """Runs the jobs in a child whose disk fails at its `moment`-th touch, and says how that ended."""
    child = multiprocessing.get_context("fork").Process(target=_run_armed, args=(moment, place, number, is_for_good))
    child.start()
    child.join()
    assert child.exitcode == 0, f"moment {moment}: the child died of {child.exitcode}"
    said: dict[str, Any] = json.loads((place / "said").read_text(encoding="utf-8"))
    return {"moment": moment, "is_for_good": is_for_good} | said


def _run_armed(moment: int, place: Path, number: int, is_for_good: bool) -> None:
    told = os.open(place / "said", os.O_WRONLY | os.O_CREAT)
    failed_at: list[str] = []

    def happen(touch: int, event: str, path: str) -> None:
        reached = touch >= moment if is_for_good else touch == moment
        if (
            not reached
            or (event in _FREES_SPACE and number == errno.ENOSPC)
            or path in (str(place / "ran"), "/proc/self/clear_refs")
        ):
            return
        failed_at.append(f"{event} {path.removeprefix(f'{place}/')}")
        raise OSError(number, os.strerror(number), path)

    before_each_touch(happen)
    said: dict[str, Any] = {"code": 0, "told": "", "traceback": ""}
    try:
        _, code, reasons = _run(place)
        said |= {"code": code, "told": " ".join(reasons)}
    except TunescopeError as error:
        said |= {"code": 2, "told": str(error)}
    except Exception:  # noqa: BLE001 - told to the test, which accepts none
        said |= {"code": -1, "traceback": traceback.format_exc()}
    os.write(told, json.dumps(said | {"event": failed_at[0] if failed_at else None}).encode())


def _run(place: Path) -> tuple[Store, int, list[str]]:
    store = Store.open(place / "store", create=True)
    with store.lock():
        store.studies.save("demo", "name: demo\n", [job.id for job in _JOBS], {})
        summary = run_plan(_JOBS, store, inline(store, place / "ran"))
    return store, summary.exit_code, [outcome.error.reason for outcome in summary.failed if outcome.error]


def _after(place: Path) -> dict[str, Any]:
    whole: list[str] = []
    if (place / "store" / "store.json").exists():
        store = Store.open(place / "store", create=True)
        whole = [job.label for job in _JOBS if store.artifact(job.kind, job.id) is not None]
        for record in store.records():
            store.verify(record.kind, record.id)
    began = ran(place / "ran")
    store, code, _ = _run(place)
    for job in _JOBS:
        store.verify(job.kind, job.id)
    return {
        "whole": whole,
        "resumed": ran(place / "ran")[len(began) :],
        "code_after": code,
        "left_in_work": sorted(path.name for path in (store.path / "work").iterdir() if path.name != ".trash"),
        "failures": sorted(path.name for path in store.path.glob("failures/*.json")),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
