"""Linear CKA of two models layer by layer: every layer with the same layer of the other, several at a time.

A layer's products take milliseconds, too little for a BLAS to share among cores, and what comes between them is done by one. So
each layer is computed on one core, and the cores share the layers. One thread or many, the numbers are the same.

Legend: n examples; d features of a layer.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from tunescope.similarity.cka import both_linear_ckas
from tunescope.similarity.room import Room

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class LayerCka:
    """One layer's CKA."""

    linear: float
    """Biased (Kornblith et al., 2019)."""
    debiased: float
    """From HSIC_1 (Song et al., 2012); NaN where a self-term is not positive."""


def layer_ckas(
    Xs: Sequence[np.ndarray],
    Ys: Sequence[np.ndarray],
    *,
    dtype: type[np.floating] = np.float32,
    num_threads: int | None = None,
) -> list[LayerCka]:
    """Both CKAs of every layer of two models on the same examples.

    Args:
        Xs: Per layer (n, d_x), of the one model.
        Ys: Per layer (n, d_y), of the other, the same examples in the same order.
        dtype: Of products; float32 is right to about 1e-9; see `cka.debiased_linear_cka`.
        num_threads: Layers computed at once; as many as the process may use cores where None.

    Returns:
        One per layer, in their order.

    Raises:
        ValueError: If the models differ in depth, or as `debiased_linear_cka` of a layer's states; says which layer, counted from 0.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> Xs = [rng.normal(size=(50, 4)) for _ in range(3)]
        >>> [round(layer.debiased, 6) for layer in layer_ckas(Xs, [2.0 * X for X in Xs])]
        [1.0, 1.0, 1.0]
    """
    if len(Xs) != len(Ys):
        raise ValueError(f"layer_ckas: both models must have as many layers, got {len(Xs)} and {len(Ys)}.")

    of_thread = threading.local()

    def one(layer: int) -> LayerCka:
        room: Room = of_thread.__dict__.setdefault("room", Room())
        try:
            linear, debiased = both_linear_ckas(Xs[layer], Ys[layer], dtype=dtype, room=room)
            return LayerCka(linear=linear, debiased=debiased)
        except ValueError as problem:
            raise ValueError(f"layer_ckas: layer {layer}: {problem}") from problem

    return side_by_side(one, range(len(Xs)), num_threads=num_threads)


def side_by_side(
    function: Callable[[int], Result], layers: Sequence[int], *, num_threads: int | None = None
) -> list[Result]:
    """A function of each layer, several layers at a time, every product on one core.

    Args:
        function: Of a layer's number; what NumPy does in it runs beside the other layers'.
        layers: Numbers.
        num_threads: At once; as many as the process may use cores where None.
    """
    at_once = min(num_threads or _num_cores(), len(layers))
    if at_once <= 1:
        return [function(layer) for layer in layers]
    with _blas().limit(limits=1, user_api="blas"), ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(function, layers))


@functools.cache
def _blas() -> Any:
    """What limits the threads of the BLAS that NumPy has loaded; to look for it takes longer than many a layer."""
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    return ThreadpoolController()


def _num_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
