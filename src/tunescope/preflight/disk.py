"""Whether the store can be used, and whether what is still to be made fits on its disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from tunescope.errors import StoreError
from tunescope.preflight.finding import Finding, Status
from tunescope.store import Store
from tunescope.store.atomic import nearest_folder
from tunescope.study.estimate import JobEstimate
from tunescope.study.plan import Plan

_GIB = 2.0**30


def open_store(path: Path) -> Store | None:
    """The store that a run would go on with, or None where it would make a new one; writes nothing.

    Raises:
        StoreError: If a run could not use the path.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        found = Store.open(path, create=False)
        if not os.access(path, os.W_OK | os.X_OK):
            raise StoreError(f"the store {path} is not writable: change that, or name another folder with --store.")
        return found
    folder = nearest_folder(path)
    blocking = next((part for part in path.absolute().parents if part.exists() and not part.is_dir()), None)
    if blocking is not None:
        raise StoreError(f"the store {path} cannot be made: {blocking} is a file. Name another with --store.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StoreError(f"the store {path} cannot be made: {folder} is not writable. Name another with --store.")
    return None


def check_disk(
    plan: Plan, estimates: Sequence[JobEstimate], store: Path, *, kept: Store | None, num_workers: int
) -> Iterator[Finding]:
    """Holds what the jobs left to do will keep and need meanwhile against the free space.

    Args:
        plan: All jobs.
        estimates: What is predicted of each job, in the plan's order.
        store: Where results are to be kept.
        kept: The store that is there, if one is.
        num_workers: Workers on that disk; each has one job's checkpoints at a time.

    Raises:
        StoreError: If an artifact of the plan is there and not whole.
    """
    left = [
        found
        for job, found in zip(plan.jobs, estimates, strict=True)
        if kept is None or kept.artifact(job.kind, job.id) is None
    ]
    known = [found.prediction for found in left if found.prediction is not None]
    if len(known) < len(left):
        yield _finding(store, "note", f"no prediction for {len(left) - len(known)} of {len(left)} jobs that are left")
    stays = sum(prediction.disk_gib for prediction in known)
    passing = num_workers * max((prediction.scratch_gib for prediction in known), default=0.0)
    free = shutil.disk_usage(nearest_folder(store)).free / _GIB
    told = (
        f"{len(left)} of {len(plan.jobs)} jobs are left: they keep about {stays:.2f} GiB and need up to {passing:.2f} GiB "
        f"meanwhile for checkpoints ({num_workers} at a time); {free:.1f} GiB are free"
    )
    if stays + passing <= free:
        yield _finding(store, "ok", told)
    else:
        yield _finding(store, "fault", f"{told}. Free some space, or name a store on another disk with --store")


def _finding(store: Path, status: Status, message: str) -> Finding:
    return Finding(section="disk", subject=str(store), status=status, message=message)
