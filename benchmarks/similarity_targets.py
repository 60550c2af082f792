"""Whether linear CKA meets what is wanted of its speed, memory and digits: some sizes of `similarity_speed.py`, and a verdict each.

    python benchmarks/similarity_targets.py --python OTHER/bin/python

Five minutes on two cores with nothing else running; a busy machine gives other verdicts. Wanted: no library that is right is
faster than the faster of `PairSums` and `layer_ckas`; `PairSums` takes at most 1.5 times the bare products; its memory does not
grow with n; both are as near to float64 as tests/reference/test_cka.py says. On one core `layer_ckas` has none to share.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from similarity_rows import ROWS, products
from similarity_speed import (
    BARE,
    PAIR_SUMS,
    Limits,
    Measured,
    about,
    fastest_right,
    measure_size,
    present_modules,
    python_for,
    table_of,
    write_layers,
)

_LAYER_CKAS = "tunescope layer_ckas, layers side by side"
_ROWS = (*BARE, "NumPy float64", PAIR_SUMS, _LAYER_CKAS)
_OTHERS = {True: ("NumPy float32 Gram", "netrep LinearCKA"), False: ("ReSi CKA",)}
"""The fastest of the others (`results/similarity_speed.md`), where there are 750 examples and where there are more."""
_MOST_LAYERS, _PAIR_OPERATIONS = 23, 1.2e11
_MOST_TIMES_BARE = 1.5
_SECONDS = 8.0
"""Of a layer pair, as predicted: rows that take longer lose and are not measured."""


@dataclass(frozen=True)
class Case:
    """A size and how it is measured."""

    n: int
    d: int
    num_threads: int
    rounds: int


CASES = (
    Case(750, 384, 2, 3),
    Case(750, 2048, 2, 3),
    Case(750, 384, 1, 2),
    Case(750, 2048, 1, 2),
    Case(11_873, 2048, 2, 2),
    Case(100_000, 384, 2, 2),
)


def main() -> None:
    arguments = argparse.ArgumentParser(description="Whether linear CKA is as fast, small and exact as is wanted.")
    arguments.add_argument("--python", type=Path, help="the Python of an environment with public libraries")
    arguments.add_argument("--scratch", type=Path, help="folder for the arrays, 1 GB")
    given = arguments.parse_args()
    present = {sys.executable: present_modules(sys.executable)}
    if given.python is not None:
        present[str(given.python)] = present_modules(str(given.python))
    absent = [name for name in ROWS if python_for(ROWS[name], present) is None]
    print(f"{about()}.\nNot installed: {', '.join(absent) if absent else 'none'}.\n", flush=True)
    verdicts: list[str] = []
    for case in CASES:
        num = _MOST_LAYERS
        rows = [ROWS[name] for name in (*_ROWS, *_OTHERS[case.n <= 750]) if name not in absent]
        if case.n > 750:
            num = max(1, min(num, int(_PAIR_OPERATIONS / products(case.n, case.d))))
        limits = Limits(gib=8.0, seconds=_SECONDS, rounds=case.rounds, num_threads=case.num_threads)
        with tempfile.TemporaryDirectory(dir=given.scratch) as folder:
            write_layers(Path(folder), num, case.n, case.d, offset=30.0)
            size = {"n": case.n, "d": case.d, "layers": num}
            table = measure_size(size, {"folder": folder, "cpu_time": False}, rows, present, limits)
        name = f"{case.n:,} x {case.d:,}, {case.num_threads} core{'s' if case.num_threads > 1 else ''}"
        print("\n".join([f"# {name}", "", *table_of(table)]), flush=True)
        verdicts += [f"| {name} | {line}" for line in verdicts_of(table)]
    print("\n".join(["| size | wanted | found | |", "|---|---|---|---|", *verdicts]))


def verdicts_of(table: list[Measured]) -> list[str]:
    """A line for each thing that is wanted: what, what was found, and whether it is met."""
    by_row = {one.row: one for one in table}
    took = {one.row: one.seconds for one in table if one.seconds is not None}
    n, d = table[0].n, table[0].d
    ours, others = fastest_right(table)
    lines = []
    if others:
        found = f"{ours} {took[ours] / table[0].layers:.4f} s, {others} {took[others] / table[0].layers:.4f} s"
        lines.append(_line("fastest", found, took[ours] <= took[others]))
    bare = min(took[name] for name in BARE if name in took)
    times = took[PAIR_SUMS] / bare
    lines.append(_line(f"PairSums at most {_MOST_TIMES_BARE} x bare", f"{times:.2f}", times <= _MOST_TIMES_BARE))
    # Sums of three products in float64 and their work, two blocks of rows: nothing of n.
    most = (64.0 * d * d + 16.0 * 2048 * d) / 2**30
    peak, inputs = by_row[PAIR_SUMS].peak_gib or math.inf, 8.0 * n * d / 2**30
    lines.append(_line(f"PairSums at most {most:.3f} GiB", f"{peak:.3f}, inputs of a pair {inputs:.3f}", peak <= most))
    off = max(by_row[PAIR_SUMS].differences + by_row[_LAYER_CKAS].differences)
    law = 2e-6 * (1.0 / n + 0.5 / d)
    lines.append(_line(f"off float64 at most {law:.1e}", f"{off:.1e}", off <= law))
    return lines


def _line(wanted: str, found: str, is_met: bool) -> str:
    return f"{wanted} | {found} | {'met' if is_met else '**missed**'} |"


if __name__ == "__main__":
    main()
