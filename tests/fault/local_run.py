"""A plain script, without a guard around what it does, that runs fake jobs in local workers.

python local_run.py STORE COUNTS NUM_WORKERS NAME[=DOES] ...
"""

from __future__ import annotations

import sys
from pathlib import Path

from fake_steps import fake_job, fake_training, local
from tunescope.errors import TunescopeError
from tunescope.execution import run_plan
from tunescope.store import Store

store_path, counts, num_workers, *names = sys.argv[1:]
jobs = [
    fake_training(name, num_steps=200, does=does) if does == "train" else fake_job(name, does=does or "write")
    for name, _, does in (word.partition("=") for word in names)
]
try:
    store = Store.open(Path(store_path), create=True)
    summary = run_plan(jobs, store, local(store, Path(counts), int(num_workers)))
except TunescopeError as error:
    print(error, file=sys.stderr)
    sys.exit(2)
for outcome in summary.failed:
    print(outcome.error, file=sys.stderr)
print(f"done {len(summary.done)} reused {len(summary.reused)} left {len(summary.left)}")
sys.exit(summary.exit_code)
