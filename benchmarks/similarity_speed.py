"""Linear CKA of layer pairs, biased and debiased: public libraries, plain NumPy and tunescope side by side in one run.

    python benchmarks/similarity_speed.py --python OTHER/bin/python --out benchmarks/results/similarity_speed.jsonl

Each row is a process of its own, in rounds: seconds a layer pair (the fastest), its peak memory beyond imports, inputs
included, and how far each value is from the float64 one. `bare products` are the matrix products that cannot be avoided, in
float32, symmetric ones by half, as NumPy makes them or by panels: the faster counts. Data are like hidden states: a few features carry most of the variance, and the mean lies
`--offset` standard deviations from 0 in every feature. Public libraries are looked for in the Python given by --python: none is
needed, absent ones are named, and nothing of theirs is here (`similarity_libraries.py` calls them).
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from similarity_rows import ROWS, Row, products

_ROWS_PY = Path(__file__).with_name("similarity_rows.py")
_SIZES = ((750, 384), (750, 2048), (11_873, 384), (11_873, 2048), (100_000, 384), (100_000, 2048))
BARE, _ALL_PRODUCTS, _REFERENCE = (
    ("bare products, float32", "bare products by panels, float32"),
    "bare products of all pairs, float32",
    "NumPy float64",
)
PAIR_SUMS = "tunescope PairSums"
_AT_A_TIME = 8192
_RIGHT = 1e-3
"""A row further from float64 than this does not compute CKA of these data."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A row of a table: seconds, or why there are none."""

    n: int
    d: int
    layers: int
    row: str
    seconds: float | None = None
    """Of all layer pairs."""
    peak_gib: float | None = None
    differences: tuple[float, ...] = ()
    """Largest over layer pairs of |value - float64 value|, per estimator of the row."""
    note: str = ""
    values: list[list[float]] = field(default_factory=list, repr=False)
    """Of the float64 row, for the differences of the others."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Beyond what a row is skipped, and how often one is measured."""

    gib: float
    seconds: float
    """Of a layer pair."""
    rounds: int
    num_threads: int | None = None
    """As many cores and BLAS threads; None: as they are."""


def main() -> None:
    arguments = argparse.ArgumentParser(description="Linear CKA of layer pairs by several libraries, side by side.")
    arguments.add_argument("--python", type=Path, help="the Python of an environment with public libraries")
    arguments.add_argument("--layers", type=int, default=23, help="layer pairs at n = 750, and at most elsewhere")
    arguments.add_argument(
        "--pair-operations",
        type=float,
        default=2e11,
        help="beyond n = 750, layer pairs until their products take so many",
    )
    arguments.add_argument("--sizes", default=",".join(f"{n}x{d}" for n, d in _SIZES), help="n x d, n x d, ...")
    arguments.add_argument("--rows", default="", help="only rows whose name has one of these words, comma-separated")
    arguments.add_argument("--max-gib", type=float, default=8.0, help="skip what would take more")
    arguments.add_argument(
        "--max-seconds", type=float, default=60.0, help="skip what would take longer for a layer pair"
    )
    arguments.add_argument(
        "--cpu-time", action="store_true", help="processor seconds, for one thread on a busy machine"
    )
    arguments.add_argument(
        "--rounds", type=int, default=3, help="measure all rows of a size so often, one after the other"
    )
    arguments.add_argument("--offset", type=float, default=30.0, help="mean of a feature in its standard deviations")
    arguments.add_argument("--scratch", type=Path, help="folder for the arrays, 1.6 GB at 100,000 x 2,048")
    arguments.add_argument("--out", type=Path, help="append the measurements here, a JSON line each")
    given = arguments.parse_args()
    sizes = [tuple(int(part) for part in size.split("x")) for size in given.sizes.split(",")]
    present = {sys.executable: present_modules(sys.executable)}
    if given.python is not None:
        present[str(given.python)] = present_modules(str(given.python))
    absent = [name for name, row in ROWS.items() if python_for(row, present) is None]
    print(f"{about()}.\nNot installed: {', '.join(absent) if absent else 'none'}.\n", flush=True)
    wanted = [word for word in given.rows.split(",") if word]
    always = (*BARE, _REFERENCE, PAIR_SUMS)
    rows = [
        row
        for name, row in ROWS.items()
        if name not in absent and (not wanted or name in always or any(word in name for word in wanted))
    ]
    measured: list[Measured] = []
    for n, d in sizes:
        num = given.layers if n <= 750 else max(1, min(given.layers, int(given.pair_operations / products(n, d))))
        with tempfile.TemporaryDirectory(dir=given.scratch) as folder:
            write_layers(Path(folder), num, n, d, offset=given.offset)
            size = {"n": n, "d": d, "layers": num}
            how = {"folder": folder, "cpu_time": given.cpu_time}
            limits = Limits(gib=given.max_gib, seconds=given.max_seconds, rounds=given.rounds)
            table = measure_size(size, how, rows, present, limits)
        print("\n".join(table_of(table)), flush=True)
        measured.extend(table)
        if given.out is not None:
            with given.out.open("a", encoding="utf-8") as file:
                file.writelines(
                    json.dumps(
                        {k: v for k, v in asdict(one).items() if k != "values"}
                        | {"about": about(), "offset": given.offset, "cpu_time": given.cpu_time}
                    )
                    + "\n"
                    for one in table
                )
    print("\n".join(memory_lines(measured)))


def write_layers(folder: Path, num: int, n: int, d: int, *, offset: float) -> None:
    """Layer pairs as `similarity_rows.Layers` reads them: the second model is the first and noise, a shift between them."""
    scale = (1.0 / np.sqrt(1.0 + np.arange(d) / 8.0)).astype(np.float32)
    for layer in range(num):
        rng = np.random.default_rng((layer, n, d))
        mean = (offset * scale * rng.choice([-1.0, 1.0], size=d)).astype(np.float32)
        moved = np.float32(0.2 + 0.6 * layer / max(1, num))
        with (folder / f"x_{layer:02d}.f32").open("wb") as file_x, (folder / f"y_{layer:02d}.f32").open("wb") as file_y:
            for start in range(0, n, _AT_A_TIME):
                shape = (min(_AT_A_TIME, n - start), d)
                X = rng.standard_normal(shape, dtype=np.float32)
                Y = X + moved * rng.standard_normal(shape, dtype=np.float32)
                (X * scale + mean).tofile(file_x)
                (Y * scale + np.float32(0.9) * mean).tofile(file_y)


def measure_size(
    size: dict[str, int],
    how: dict[str, Any],
    rows: list[Row],
    present: dict[str, set[str]],
    limits: Limits,
) -> list[Measured]:
    """All rows of a size, in rounds of one after the other, so that a busy moment falls on no row alone; the fastest counts."""
    table: dict[str, Measured] = {}
    rate, reference = 0.0, None
    for a_round in range(limits.rounds):
        for row in rows:
            before = table.get(row.name)
            if (row.holds_all and size["layers"] == 1) or (a_round and (before is None or before.seconds is None)):
                continue
            if row.name == _REFERENCE and a_round:
                continue
            found = _measure(row, size, how, present, limits, rate, reference)
            if before is None or (found.seconds or math.inf) < (before.seconds or math.inf):
                table[row.name] = found
            if row.name in BARE:
                rate = max(rate, products(size["n"], size["d"]) * size["layers"] / _seconds(found))
            if row.name == _REFERENCE:
                reference = np.array(found.values)
    return list(table.values())


def _measure(
    row: Row,
    size: dict[str, int],
    how: dict[str, Any],
    present: dict[str, set[str]],
    limits: Limits,
    rate: float,
    reference: np.ndarray | None,
) -> Measured:
    """A row once, in a process; what is predicted to be too much is skipped, as a process that takes too long is stopped.

    `rate` is operations a second of the bare products, 0 where unknown; `reference` the float64 values (layers, 2).
    """
    n, d, num = size["n"], size["d"], size["layers"]
    where: dict[str, Any] = size | {"row": row.name}
    needed = row.name in (*BARE, _REFERENCE)
    gib = row.gib(n, d) * (num if row.holds_all else 1)
    least_s = row.operations(n, d) / rate if rate else 0.0
    if not needed and (gib > limits.gib or least_s > limits.seconds):
        needs = f"{gib:.1f} GiB" if gib > limits.gib else f"{least_s:.0f} s a layer pair"
        return Measured(**where, note=f"skipped: needs {needs} or more")
    python = python_for(row, present)
    assert python is not None, "absent rows were left out"
    limit = 60.0 + 3.0 * limits.seconds * num
    try:
        done = subprocess.run(
            [python, str(_ROWS_PY), json.dumps(where | how)],
            capture_output=True,
            text=True,
            timeout=limit,
            check=True,
            **_on_so_many_cores(limits.num_threads),
        )
    except subprocess.TimeoutExpired:
        return Measured(**where, note=f"stopped after {limit:.0f} s")
    except subprocess.CalledProcessError as error:
        if row.is_ours or needed:
            raise SystemExit(f"{row.name}, n {n}, d {d}: {error.stderr}") from error
        said = (error.stderr.strip() or f"exit status {error.returncode}").splitlines()[-1]
        return Measured(**where, note=f"failed: {said}")
    found = json.loads(done.stdout.splitlines()[-1])
    differences: tuple[float, ...] = ()
    if found["values"] and row.estimators and reference is not None:
        columns = [("biased", "debiased").index(estimator) for estimator in row.estimators]
        differences = tuple(np.abs(np.array(found["values"]) - reference[:, columns]).max(axis=0).tolist())
    elif row.name == _REFERENCE:
        differences = (0.0, 0.0)
    return Measured(
        **where,
        seconds=found["seconds"],
        peak_gib=found["peak_gib"],
        values=found["values"] if row.name == _REFERENCE else [],
        differences=differences,
        note=found["problem"].split("\n")[0],
    )


def _on_so_many_cores(num_threads: int | None) -> dict[str, Any]:
    """What `subprocess.run` takes so that a row has no more cores and BLAS threads."""
    if num_threads is None:
        return {}
    cores = sorted(os.sched_getaffinity(0))[-num_threads:]
    threads = {name: str(num_threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    return {"env": os.environ | threads, "preexec_fn": lambda: os.sched_setaffinity(0, cores)}


def _seconds(one: Measured) -> float:
    assert one.seconds is not None, "a row that is always measured"
    return one.seconds


def table_of(table: list[Measured]) -> list[str]:
    """The Markdown table of one size, and what is to be read off it."""
    n, d, num = table[0].n, table[0].d, table[0].layers
    took = {one.row: one.seconds for one in table if one.seconds is not None}
    least = min((took[name] for name in BARE if name in took), default=None)
    lines = [
        f"## n = {n:,}, d = {d:,}, {num} layer pair{'s' if num > 1 else ''}",
        "",
        "| row | seconds a pair | times PairSums | times the bare products | peak GiB | off float64: biased | debiased |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for one in table:
        if one.seconds is None:
            lines.append(f"| {one.row} | {one.note} | | | | | |")
            continue
        off = dict(zip(ROWS[one.row].estimators, one.differences, strict=False))
        bare = took.get(_ALL_PRODUCTS) if ROWS[one.row].holds_all else least
        ours = f"{one.seconds / took[PAIR_SUMS]:.2f}" if PAIR_SUMS in took and not ROWS[one.row].holds_all else ""
        cells = [f"{off[name]:.1e}" if name in off else "" for name in ("biased", "debiased")]
        lines.append(
            f"| {one.row}{f' ({one.note})' if one.note else ''} | {one.seconds / num:.4f} | {ours} "
            f"| {f'{one.seconds / bare:.2f}' if bare else ''} | {one.peak_gib:.3f} | {cells[0]} | {cells[1]} |"
        )
    our_best, their_best = fastest_right(table)
    if our_best and their_best and least is not None:
        lines += [
            "",
            f"{PAIR_SUMS}: {took[PAIR_SUMS] / least:.2f} times the bare products (at most 1.5 wanted). Fastest of ours: {our_best}, "
            f"{took[our_best] / least:.2f}. Fastest of the others that are right to {_RIGHT:g}: {their_best}, "
            f"{took[their_best] / took[our_best]:.2f} times as long (above 1 wanted).",
        ]
    return [*lines, ""]


def fastest_right(table: list[Measured]) -> tuple[str, str]:
    """The fastest row of ours and of the others; empty where there is none. One that gives another number, or none, is no row."""
    right = {
        one.row: one.seconds
        for one in table
        if one.seconds is not None and one.differences and max(one.differences) < _RIGHT
    }
    of_pairs = {name: s for name, s in right.items() if not ROWS[name].holds_all}
    ours, others = (
        min((name for name in of_pairs if ROWS[name].is_ours is own), key=lambda name: of_pairs[name], default="")
        for own in (True, False)
    )
    return ours, others


def memory_lines(measured: list[Measured]) -> list[str]:
    """Peak of one pass of ours by n, beside the size of what it read."""
    lines = ["## Memory of PairSums by n", "", "| d | n | inputs of a pair, GiB | peak GiB |", "|---:|---:|---:|---:|"]
    for one in sorted((one for one in measured if one.row == PAIR_SUMS), key=lambda one: (one.d, one.n)):
        lines.append(f"| {one.d:,} | {one.n:,} | {8.0 * one.n * one.d / 2**30:.3f} | {one.peak_gib:.3f} |")
    return lines


def present_modules(python: str) -> set[str]:
    """Modules of the rows that a Python has."""
    done = subprocess.run([python, str(_ROWS_PY), "--present"], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def python_for(row: Row, present: dict[str, set[str]]) -> str | None:
    return next((python for python, modules in present.items() if set(row.modules) <= modules), None)


def about() -> str:
    """When and on what."""
    return (
        f"{datetime.date.today().isoformat()}, {os.cpu_count()}-core CPU ({platform.machine()}), OMP_NUM_THREADS="
        f"{os.environ.get('OMP_NUM_THREADS', 'unset')}, NumPy {np.__version__}"
    )


if __name__ == "__main__":
    main()
