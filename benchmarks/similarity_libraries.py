"""Linear CKA of one layer pair as plain NumPy and each public library compute it, called as its documentation says.

Legend: n examples; d features; X, Y (n, d) float32, torch tensors where a library takes those; K, L (n, n) Gram matrices. Each
returns a number per estimator: biased, debiased or both. The libraries are no dependency: whoever calls has them.
"""

from __future__ import annotations

import importlib
import math
import warnings
from typing import Any

import numpy as np


def numpy64(X: np.ndarray, Y: np.ndarray) -> list[float]:
    """Both estimators in float64: by Song's formula from K and L where n <= 2 d, else from X'X, Y'Y and X'Y."""
    n, d = X.shape
    X, Y = (side.astype(np.float64) for side in (X, Y))
    for side in (X, Y):
        side -= side.mean(axis=0)
        side -= side.mean(axis=0)
    q = [np.einsum("nd,nd->n", side, side) for side in (X, Y)]
    if n > 2 * d:
        traces = [float(np.square(A.T @ B).sum()) for A, B in ((X, Y), (X, X), (Y, Y))]
        row_sums = [-q[0], -q[1]]
    else:
        K, L = X @ X.T, Y @ Y.T
        traces = [float(np.vdot(A, B)) for A, B in ((K, L), (K, K), (L, L))]
        for gram in (K, L):
            np.fill_diagonal(gram, 0.0)
        row_sums = [K.sum(axis=0), L.sum(axis=0)]
    hsic = []
    for trace, (a, b) in zip(traces, ((0, 1), (0, 0), (1, 1)), strict=True):
        k, m = row_sums[a], row_sums[b]
        hsic.append(trace - q[a] @ q[b] + k.sum() * m.sum() / ((n - 1) * (n - 2)) - 2.0 * (k @ m) / (n - 2))
    return [float(cross / math.sqrt(x * y)) for cross, x, y in (traces, hsic)]


def gram32(X: np.ndarray, Y: np.ndarray) -> list[float]:
    X, Y = X - X.mean(axis=0), Y - Y.mean(axis=0)
    K, L = X @ X.T, Y @ Y.T
    return [float((K * L).sum() / (np.linalg.norm(K) * np.linalg.norm(L)))]


def plain_loop(X: np.ndarray, Y: np.ndarray) -> list[float]:
    """HSIC_1 term by term, an example after the other: no (n, n) matrix, and no matrix product either."""
    n = len(X)
    X, Y = X - X.mean(axis=0), Y - Y.mean(axis=0)
    traces, sums, shared = np.zeros(3), np.zeros(2), np.zeros(3)
    for i in range(n):
        k, m = X @ X[i], Y @ Y[i]
        k[i] = m[i] = 0.0
        k, m = k.astype(np.float64), m.astype(np.float64)
        row_k, row_m = k.sum(), m.sum()
        traces += (k @ m, k @ k, m @ m)
        sums += (row_k, row_m)
        shared += (row_k * row_m, row_k**2, row_m**2)
    totals = np.array([sums[0] * sums[1], sums[0] ** 2, sums[1] ** 2])
    cross, x, y = traces + totals / ((n - 1) * (n - 2)) - 2.0 * shared / (n - 2)
    return [float(cross / np.sqrt(x * y))]


def netrep(X: np.ndarray, Y: np.ndarray) -> list[float]:
    return [math.cos(importlib.import_module("netrep.metrics").LinearCKA().score(X, Y))]


def resi(X: np.ndarray, Y: np.ndarray) -> list[float]:
    return [float(importlib.import_module("repsim.measures").CKA()(X, Y, shape="nd"))]


def rsatoolbox(X: np.ndarray, Y: np.ndarray) -> list[float]:
    data, rdm = importlib.import_module("rsatoolbox.data"), importlib.import_module("rsatoolbox.rdm")
    of_x, of_y = (rdm.calc_rdm(data.Dataset(side), method="euclidean") for side in (X, Y))
    return [float(rdm.compare(of_x, of_y, method="cosine_cov")[0, 0])]


def pytorch_cka(X: Any, Y: Any) -> list[float]:
    return [float(importlib.import_module("cka").cka_from_features(X, Y)[0, 0])]


def torch_cka(X: Any, Y: Any) -> list[float]:
    """Two models that pass their inputs on, and all examples as one batch: smaller ones would give another number."""
    torch = importlib.import_module("torch")
    loaders = [torch.utils.data.DataLoader(torch.utils.data.TensorDataset(side), batch_size=len(X)) for side in (X, Y)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        models = [torch.nn.Sequential(torch.nn.Identity()) for _ in "xy"]
        cka = importlib.import_module("torch_cka").CKA(
            *models, model1_name="x", model2_name="y", model1_layers=["0"], model2_layers=["0"]
        )
        with torch.no_grad():
            cka.compare(*loaders)
    return [float(cka.export()["CKA"][0, 0])]
