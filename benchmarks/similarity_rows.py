"""What `similarity_speed.py` times: linear CKA of layer pairs by tunescope and by all in `similarity_libraries.py`.

    PYTHON benchmarks/similarity_rows.py CASE        a row of the table in a process of its own, by whichever Python has the library

Legend: n examples; d features; X, Y (n, d) float32; K, L (n, n) Gram matrices. Only NumPy is imported before a row
is known. Linux alone tells a process its own peak (/proc).
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import similarity_libraries as libraries

_PANEL = 96
_BATCH = 256
"""Examples that a pass brings at once."""
_ENOUGH_S = 1.0
"""A row is repeated until this much was spent, five times at most; the fastest counts."""
_HELD_BY_MALLOC = 31 * 2**20
"""Bytes. glibc keeps freed arrays for the next of at most the largest that was freed before, up to 32 MiB."""
_ENTRY = 150
"""What reading and summing an entry of an (n, n) matrix costs, in operations of a product; for predictions only."""


class Clock:
    """Seconds of what runs `with` it: arrays are read outside."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.seconds = 0.0
        self._now = now

    def __enter__(self) -> None:
        self._began = self._now()

    def __exit__(self, *_: object) -> None:
        self.seconds += self._now() - self._began


@dataclass(frozen=True, kw_only=True)
class Layers:
    """Layer pairs on disk, float32: x_00.f32, y_00.f32, ..."""

    folder: Path
    num: int
    n: int
    d: int

    def pair(self, layer: int) -> tuple[np.ndarray, np.ndarray]:
        """One layer of either model, whole."""
        X, Y = (np.fromfile(path, np.float32, self.n * self.d).reshape(self.n, self.d) for path in self._paths(layer))
        return X, Y

    def batches(self, layer: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The same, `_BATCH` examples at a time."""
        path_x, path_y = self._paths(layer)
        with path_x.open("rb") as file_x, path_y.open("rb") as file_y:
            for start in range(0, self.n, _BATCH):
                rows = min(_BATCH, self.n - start)
                X, Y = (np.fromfile(f, np.float32, rows * self.d).reshape(rows, self.d) for f in (file_x, file_y))
                yield X, Y

    def _paths(self, layer: int) -> tuple[Path, Path]:
        return self.folder / f"x_{layer:02d}.f32", self.folder / f"y_{layer:02d}.f32"


Values = list[list[float]]
"""Per layer pair, a number per estimator of the row."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One way to the numbers."""

    name: str
    estimators: tuple[str, ...]
    """biased, debiased; none where only the time counts."""
    run: Callable[[Layers, Clock], Values]
    operations: Callable[[int, int], float]
    """(n, d) -> at least so many of a layer pair, as a float32 product does them; to skip what would take too long."""
    gib: Callable[[int, int], float]
    """(n, d) -> at least so much memory."""
    modules: tuple[str, ...] = ()
    """What must be there; the last is the library."""
    is_ours: bool = False
    holds_all: bool = False
    """All layer pairs in memory, to compare each layer with every other."""


def measure(case: dict[str, Any]) -> dict[str, Any]:
    """A row's seconds, values and peak GiB beyond what its imports and a small product take."""
    row = ROWS[case["row"]]
    layers = Layers(folder=Path(case["folder"]), num=case["layers"], n=case["n"], d=case["d"])
    for module in row.modules:
        importlib.import_module(module)
    # As in a process that has worked for a while: memory up to so much is then given again, not fetched fresh each time.
    np.empty(_HELD_BY_MALLOC, np.uint8)[::4096] = 0
    warm = Layers(folder=layers.folder, num=1, n=min(layers.n, 64), d=layers.d)
    now = time.process_time if case["cpu_time"] else time.perf_counter
    problem = _tried(row, warm, Clock(now))[1]
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak so far is forgotten
    before = _status("VmRSS")
    seconds: list[float] = []
    values: Values = []
    while not seconds or (sum(seconds) < _ENOUGH_S and len(seconds) < 5):
        clock = Clock(now)
        values, problem = _tried(row, layers, clock)
        seconds.append(clock.seconds)
    return {
        "seconds": min(seconds),
        "values": values,
        "peak_gib": (_status("VmHWM") - before) / 2**20,
        "problem": problem,
    }


def _tried(row: Row, layers: Layers, clock: Clock) -> tuple[Values, str]:
    """What a row gives, or what a library said instead: some refuse only after all the work."""
    try:
        return row.run(layers, clock), ""
    except AssertionError as error:
        return [], f"{type(error).__name__}: {error}"


def _status(name: str) -> int:
    """KiB of a line of /proc/self/status."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def products(n: int, d: int) -> float:
    """Operations of the fewest products there must be: K and L, or X'X, Y'Y and X'Y; symmetric ones count half."""
    return min(2.0 * n * n * d, 4.0 * n * d * d)


def _of_pairs(function: Callable[[Any, Any], list[float]], wrap: Callable[[np.ndarray], Any] = np.asarray) -> Any:
    """A row that is given one layer pair after the other, each whole in memory."""

    def run(layers: Layers, clock: Clock) -> Values:
        values = []
        for layer in range(layers.num):
            X, Y = (wrap(side) for side in layers.pair(layer))
            with clock:
                values.append(function(X, Y))
        return values

    return run


def _tensor(X: np.ndarray) -> Any:
    return importlib.import_module("torch").from_numpy(X)


def _products(X: np.ndarray, Y: np.ndarray) -> list[float]:
    n, d = X.shape
    # NumPy makes half of each symmetric product, n^2 d for K and n d^2 for X'X, and copies it into the other half.
    kept = [X @ X.T, Y @ Y.T] if n <= 2 * d else [X.T @ X, Y.T @ Y, X.T @ Y]
    return [float(product[0, 0]) for product in kept]


def _products_by_panels(X: np.ndarray, Y: np.ndarray) -> list[float]:
    """The same without the copy: columns p with columns p and on, `_PANEL` at a time."""
    n, d = X.shape
    rows = (X.T, Y.T) if n <= 2 * d else (X, Y)
    kept = [A[:, p : p + _PANEL].T @ A[:, p:] for A in rows for p in range(0, A.shape[1], _PANEL)]
    if n > 2 * d:
        kept.append(X.T @ Y)
    return [float(product[0, 0]) for product in kept]


def _all_pair_products(layers: Layers, clock: Clock) -> Values:
    (Xs, Ys), n, d = zip(*map(layers.pair, range(layers.num)), strict=True), layers.n, layers.d
    with clock:
        if 2.0 * n * n * d + 2.0 * layers.num * n * n <= 2.0 * n * d * d * (1 + layers.num):
            K, L = (np.stack([(X @ X.T).ravel() for X in side]) for side in (Xs, Ys))
            return [[float((K @ L.T)[0, 0])]]
        return [[float((X.T @ X)[0, 0]) for X in (*Xs, *Ys)], [float((X.T @ Y)[0, 0]) for X in Xs for Y in Ys]]


def _pair_sums(layers: Layers, clock: Clock) -> Values:
    PairSums = importlib.import_module("tunescope.similarity.streaming").PairSums
    values = []
    for layer in range(layers.num):
        sums = PairSums(layers.d, layers.d)
        for X, Y in layers.batches(layer):
            with clock:
                sums.update(X, Y)
        with clock:
            values.append([sums.linear_cka(), sums.debiased_linear_cka()])
    return values


def _layer_ckas(layers: Layers, clock: Clock) -> Values:
    layer_ckas = importlib.import_module("tunescope.similarity.layers").layer_ckas
    Xs, Ys = (list(side) for side in zip(*map(layers.pair, range(layers.num)), strict=True))
    with clock:
        found = layer_ckas(Xs, Ys)
    return [[one.linear, one.debiased] for one in found]


def _debiased_linear_cka(X: np.ndarray, Y: np.ndarray, *, dtype: type[np.floating] = np.float64) -> list[float]:
    return [importlib.import_module("tunescope.similarity.cka").debiased_linear_cka(X, Y, dtype=dtype)]


def _cka_matrix(layers: Layers, clock: Clock) -> Values:
    cka_matrix = importlib.import_module("tunescope.similarity.cka").cka_matrix
    Xs, Ys = (list(side) for side in zip(*map(layers.pair, range(layers.num)), strict=True))
    with clock:
        matrix = cka_matrix(Xs, Ys, dtype=np.float32)
    return [[float(value)] for value in np.diagonal(matrix)]


def _grams(count: float) -> Callable[[int, int], float]:
    """GiB of a layer pair and so many (n, n) float32 matrices."""
    return lambda n, d: 4.0 * (2 * n * d + count * n * n) / 2**30


_TWO_GRAMS: Callable[[int, int], float] = lambda n, d: 4.0 * n * n * d + 4 * _ENTRY * n * n  # noqa: E731
_BOTH, _BIASED, _DEBIASED = ("biased", "debiased"), ("biased",), ("debiased",)
ROWS: dict[str, Row] = {
    row.name: row
    for row in (
        Row(
            name="bare products, float32",
            estimators=(),
            run=_of_pairs(_products),
            operations=products,
            gib=lambda n, d: 4.0 * (2 * n * d + min(2.0 * n * n, 3.0 * d * d)) / 2**30,
        ),
        Row(
            name="bare products by panels, float32",
            estimators=(),
            run=_of_pairs(_products_by_panels),
            operations=products,
            gib=lambda n, d: 4.0 * (2 * n * d + min(2.0 * n * n, 3.0 * d * d)) / 2**30,
        ),
        Row(
            name="NumPy float64",
            estimators=_BOTH,
            run=_of_pairs(libraries.numpy64),
            operations=lambda n, d: 2 * products(n, d),
            gib=lambda n, d: 8.0 * (3 * n * d + min(2.0 * n * n, 3.0 * d * d)) / 2**30,
        ),
        Row(
            name="tunescope PairSums",
            estimators=_BOTH,
            run=_pair_sums,
            operations=products,
            gib=lambda n, d: 8.0 * 8 * d * d / 2**30,
            modules=("tunescope.similarity.streaming",),
            is_ours=True,
        ),
        Row(
            name="tunescope layer_ckas, layers side by side",
            estimators=_BOTH,
            run=_layer_ckas,
            operations=products,
            gib=lambda n, d: 8.0 * 8 * d * d / 2**30,
            modules=("tunescope.similarity.layers",),
            is_ours=True,
        ),
        Row(
            name="tunescope debiased_linear_cka, float32",
            estimators=_DEBIASED,
            run=_of_pairs(lambda X, Y: _debiased_linear_cka(X, Y, dtype=np.float32)),
            operations=products,
            gib=lambda n, d: 4.0 * (4 * n * d + 6 * d * d) / 2**30,
            modules=("tunescope.similarity.cka",),
            is_ours=True,
        ),
        Row(
            name="tunescope debiased_linear_cka, float64",
            estimators=_DEBIASED,
            run=_of_pairs(_debiased_linear_cka),
            operations=lambda n, d: 2 * products(n, d),
            gib=lambda n, d: 8.0 * (3 * n * d + 3 * d * d) / 2**30,
            modules=("tunescope.similarity.cka",),
            is_ours=True,
        ),
        Row(
            name="bare products of all pairs, float32",
            estimators=(),
            run=_all_pair_products,
            operations=products,
            gib=lambda n, d: 4.0 * (2 * n * d + min(2.0 * n * n, 3.0 * d * d)) / 2**30,
            holds_all=True,
        ),
        Row(
            name="tunescope cka_matrix, all pairs, float32",
            estimators=_DEBIASED,
            run=_cka_matrix,
            operations=products,
            gib=lambda n, d: 20.0 * 2 * n * d / 2**30,
            modules=("tunescope.similarity.cka",),
            is_ours=True,
            holds_all=True,
        ),
        Row(
            name="NumPy float32 Gram",
            estimators=_BIASED,
            run=_of_pairs(libraries.gram32),
            operations=_TWO_GRAMS,
            gib=_grams(3),
        ),
        Row(
            name="plain loop",
            estimators=_DEBIASED,
            run=_of_pairs(libraries.plain_loop),
            operations=lambda n, d: 120.0 * n * n * d,  # each product reads a whole matrix from memory
            gib=_grams(0),
        ),
        Row(
            name="netrep LinearCKA",
            estimators=_BIASED,
            run=_of_pairs(libraries.netrep),
            operations=_TWO_GRAMS,
            gib=_grams(4),
            modules=("netrep.metrics",),
        ),
        Row(
            name="ReSi CKA",
            estimators=_BIASED,
            run=_of_pairs(libraries.resi),
            operations=lambda n, d: 4.0 * n * n * d + 6.0 * n**3 if n < d else 6.0 * n * d * d,
            gib=lambda n, d: _grams(5 if n < d else 0)(n, d) * 2,
            modules=("torch", "repsim.measures"),
        ),
        Row(
            name="rsatoolbox cosine_cov",
            estimators=_BIASED,
            run=_of_pairs(libraries.rsatoolbox),
            operations=lambda n, d: _TWO_GRAMS(n, d) * 2 + 20 * _ENTRY * n * n,
            gib=_grams(20),
            modules=("rsatoolbox.data", "rsatoolbox.rdm"),
        ),
        Row(
            name="pytorch-cka cka_from_features",
            estimators=_DEBIASED,
            run=_of_pairs(libraries.pytorch_cka, _tensor),
            operations=_TWO_GRAMS,
            gib=_grams(3),
            modules=("torch", "cka"),
        ),
        Row(
            name="torch_cka",
            estimators=_DEBIASED,
            run=_of_pairs(libraries.torch_cka, _tensor),
            operations=lambda n, d: _TWO_GRAMS(n, d) + 6.0 * n**3,
            gib=_grams(3),
            modules=("torch", "torch_cka"),
        ),
    )
}


def main() -> None:
    if sys.argv[1:] == ["--present"]:
        there = {module for row in ROWS.values() for module in row.modules if _is_there(module)}
        print(json.dumps(sorted(there)))
        return
    print(json.dumps(measure(json.loads(sys.argv[1]))))


def _is_there(module: str) -> bool:
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True


if __name__ == "__main__":
    main()
