"""How long planning takes: `tunescope --help`, `tunescope plan studies/phase1.yaml`, and a study of 10,000 jobs.

    python benchmarks/planning.py

Whole-process wall seconds, the median of five runs after one warm-up, beside `python -c pass` and `python -c "import torch"`
in the same minutes, so that the machine's own speed is seen.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RUNS = 5

MANY = """
name: many
base_model: TinyLlama/TinyLlama-1.1B-intermediate-step-1431k-3T
tasks: [mrpc, rte]
methods: {{full: {{}}, lora: {{}}}}
seeds: {seeds}
"""


def seconds(command: list[str]) -> list[float]:
    taken = []
    for run in range(RUNS + 1):
        began = time.perf_counter()
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        if run > 0:
            taken.append(time.perf_counter() - began)
    return taken


def main() -> None:
    tunescope = [sys.executable, "-m", "tunescope"]
    with tempfile.TemporaryDirectory() as folder:
        many = Path(folder) / "many.yaml"
        many.write_text(MANY.format(seeds=list(range(1250))), encoding="utf-8")
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "python -c 'import torch'": [sys.executable, "-c", "import torch"],
            "tunescope --help": [*tunescope, "--help"],
            "tunescope plan studies/phase1.yaml --workers 3 (151 jobs)": [
                *tunescope,
                "plan",
                "studies/phase1.yaml",
                "--workers",
                "3",
            ],
            "tunescope plan, 10,008 jobs": [*tunescope, "plan", str(many)],
        }
        print("| command | median s | min | max |")
        print("|---|---:|---:|---:|")
        for name, command in commands.items():
            taken = seconds(command)
            print(f"| `{name}` | {statistics.median(taken):.2f} | {min(taken):.2f} | {max(taken):.2f} |", flush=True)


if __name__ == "__main__":
    main()
