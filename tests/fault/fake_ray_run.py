"""A program that runs fake trainings on a Ray cluster as `tunescope run` would: python fake_ray_run.py ADDRESS STORE COUNTS NAME=STEPS ..."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from fake_steps import fake_training
from ray_cluster import ray_executor
from tunescope.errors import TunescopeError
from tunescope.execution import run_plan
from tunescope.store import Store


def main(address: str, store_path: str, counts: str, *names: str) -> int:
    """Runs the jobs; says what became of them on standard output, or why not on standard error (exit code 2)."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a test runner in the background may have it ignored
    jobs = [fake_training(name, num_steps=int(steps)) for name, _, steps in (word.partition("=") for word in names)]
    try:
        store = Store.open(Path(store_path), create=True)
        with store.lock():
            summary = run_plan(jobs, store, ray_executor(store, Path(counts), address))
    except TunescopeError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"done {len(summary.done)} reused {len(summary.reused)} left {len(summary.left)}")
    return summary.exit_code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
