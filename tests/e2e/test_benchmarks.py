"""The benchmarks run to their end on something tiny; what they measure there means nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
_TINY_LLAMA = "--hidden 16 --layers 1 --heads 2 --kv-heads 1 --intermediate 16 --vocab 64"
_CASES = {
    "training_throughput.py": (
        f"--tasks sst2 squad_v2 --methods lora --steps 1 --rounds 1 --batch-size 4 --profile {_TINY_LLAMA}",
        ("| sst2 | lora | ", "One of our steps, in milliseconds"),
    ),
    "similarity_speed.py": ("--sizes 60x8 --layers 2 --rounds 1", ("tunescope PairSums", "tunescope layer_ckas")),
    "drift_overhead.py": (
        "--mirror . --parts watch --models demo --train 240 --rounds 1",
        ("| demo-llama | full | 240 | ", "| demo-llama | lora | 240 | "),
    ),
}


@pytest.mark.parametrize("name", _CASES)
def test_it_runs_and_prints_its_table(name: str, tmp_path: Path) -> None:
    arguments, expected = _CASES[name]
    done = subprocess.run(
        [sys.executable, str(_FOLDER / name), *arguments.split()],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    for words in expected:
        assert words in done.stdout
