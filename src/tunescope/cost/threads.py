"""How many CPU threads a job has: one rule, for jobs and for what is predicted of them."""

from __future__ import annotations

import os

import psutil


def threads_of_a_job(asked: int | None) -> int:
    """CPU threads of one job: as asked, else as OMP_NUM_THREADS says, else one per physical core this process may use."""
    if asked is not None:
        return asked
    said = os.environ.get("OMP_NUM_THREADS", "")
    if said.isdigit() and int(said) > 0:
        return int(said)
    usable = len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else psutil.cpu_count()
    return max(1, min(psutil.cpu_count(logical=False) or 1, usable or 1))
