"""How long a small real study takes: `tunescope run` beside the same runs as Trainer processes, each an ordinary user's script.

    python benchmarks/study_makespan.py --mirror ../shared/mirror --out benchmarks/results/study_makespan.jsonl

MiniLM on MRPC and RTE, full fine-tuning, LoRA and the head alone, `--seeds` seeds, `--steps` steps of 32 examples each, scored once on a
tenth of the train rows and once on the official validation split. Whole-process wall seconds, the sides in turn, `--rounds` times:

- ours: one command, two worker processes of one thread, with its examples jobs, tables and report;
- Trainer, two at a time: a process of `trainer_script.py` per run, two of one thread side by side;
- Trainer, one by one: the same processes in sequence, with all threads.

The accuracies of both sides are told too: they did the same work.
"""

from __future__ import annotations

import argparse
import csv
import io
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TASKS, METHODS = ("mrpc", "rte"), ("full", "lora", "head_only")
STUDY = """
name: makespan
base_model: sentence-transformers/all-MiniLM-L6-v2
tasks:
  - {{name: mrpc, max_length: 256}}
  - {{name: rte, max_length: 384}}
methods:
  full: {{learning_rate: 1e-4}}
  lora: {{rank: 8, alpha: 16, learning_rate: 1e-3}}
  head_only: {{learning_rate: 5e-3}}
seeds: {seeds}
baselines: []
training: {{batch_size: 32, steps: {steps}, evaluate_every: {steps}, warmup_share: 0.1, weight_decay: 0.01}}
compute: {{device: cpu, num_threads: 1, micro_batch_tokens: 2048, evaluation_batch_tokens: 4096}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mirror", type=Path, required=True, help="folder with datasets/ and models/")
    parser.add_argument("--out", type=Path, help="JSON lines, appended to")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=2, help="how many")
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    seeds = list(range(1, asked.seeds + 1))
    taken: dict[str, list[float]] = {"ours": [], "Trainer, two at a time": [], "Trainer, one by one": []}
    accuracy: dict[str, float] = {}
    for _ in range(asked.rounds):
        for side in taken:
            with tempfile.TemporaryDirectory() as folder:
                began = time.perf_counter()
                if side == "ours":
                    _run_study(Path(folder), asked.mirror, seeds, asked.steps)
                else:
                    _run_scripts(Path(folder), asked.mirror, seeds, asked.steps, at_once=2 if "two" in side else 1)
                taken[side].append(time.perf_counter() - began)
                scores = list(_ours(Path(folder)) if side == "ours" else _theirs(Path(folder)))
            assert len(scores) == len(TASKS) * len(METHODS) * len(seeds), f"{side}: {len(scores)} scores"
            accuracy[side] = statistics.mean(scores)
            print(f"{side}: {taken[side][-1]:.1f} s, mean accuracy {accuracy[side]:.3f}", flush=True)
    _tell(taken, accuracy, num_runs=len(TASKS) * len(METHODS) * len(seeds))
    if asked.out is not None:
        line = {"steps": asked.steps, "seeds": len(seeds), "seconds": taken, "accuracy": accuracy} | _where()
        with asked.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def _run_study(folder: Path, mirror: Path, seeds: Sequence[int], steps: int) -> None:
    (folder / "study.yaml").write_text(STUDY.format(seeds=list(seeds), steps=steps), encoding="utf-8")
    command = ["run", folder / "study.yaml", "--store", folder / "store", "--mirror", mirror, "--workers", "2"]
    _run([sys.executable, "-m", "tunescope", *map(str, command)], num_threads=1)


def _run_scripts(folder: Path, mirror: Path, seeds: Sequence[int], steps: int, *, at_once: int) -> None:
    def run(number: int, task: str, method: str, seed: int) -> None:
        command = [sys.executable, str(ROOT / "benchmarks" / "trainer_script.py"), "--mirror", str(mirror)]
        command += ["--tasks", task, "--methods", method, "--seeds", str(seed), "--max-steps", str(steps)]
        _run([*command, "--out", str(folder / f"{number}.jsonl")], num_threads=None if at_once == 1 else 1)

    with ThreadPoolExecutor(at_once) as pool:
        runs = [pool.submit(run, number, *one) for number, one in enumerate(itertools.product(TASKS, METHODS, seeds))]
        for one in runs:
            one.result()


def _run(command: Sequence[str], *, num_threads: int | None) -> None:
    threads = {} if num_threads is None else {"OMP_NUM_THREADS": str(num_threads)}
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"} | threads
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise SystemExit(
            f"{' '.join(command)} ended with {ended.returncode}:\n{ended.stdout[-2000:]}{ended.stderr[-4000:]}"
        )


def _ours(folder: Path) -> Iterator[float]:
    command = [sys.executable, "-m", "tunescope", "results", str(folder / "store"), "--format", "csv"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for row in csv.DictReader(io.StringIO(told)):
        if row["metric"] == "accuracy":
            yield float(row["value"])


def _theirs(folder: Path) -> Iterator[float]:
    for file in folder.glob("*.jsonl"):
        yield float(json.loads(file.read_text(encoding="utf-8"))["accuracy"])


def _tell(taken: dict[str, list[float]], accuracy: dict[str, float], *, num_runs: int) -> None:
    ours = statistics.median(taken["ours"])
    print(
        f"\n{num_runs} runs\n\n| | median s | min | max | beside ours | mean accuracy |\n|---|---:|---:|---:|---:|---:|"
    )
    for side, seconds in taken.items():
        middle = statistics.median(seconds)
        print(
            f"| {side} | {middle:.1f} | {min(seconds):.1f} | {max(seconds):.1f} | {middle / ours:.2f} | {accuracy[side]:.3f} |"
        )


def _where() -> dict[str, Any]:
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": platform.platform(),
        "num_cpus": os.cpu_count(),
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    main()
