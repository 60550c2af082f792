"""Layers of two models side by side: the same numbers as one after the other, and errors that name the layer."""

from __future__ import annotations

import numpy as np
import pytest

from tunescope.similarity.cka import debiased_linear_cka, linear_cka
from tunescope.similarity.layers import layer_ckas, side_by_side


@pytest.fixture
def layers():
    rng = np.random.default_rng(0)
    Xs = [rng.normal(size=(60, d)) + 3.0 for d in (5, 90, 7, 8, 9)]
    return Xs, [X @ rng.normal(size=(X.shape[1], 6)) for X in Xs]


@pytest.mark.parametrize("num_threads", [1, 2, 16, None])
def test_every_layer_is_that_layers_cka(layers, num_threads):
    Xs, Ys = layers
    found = layer_ckas(Xs, Ys, dtype=np.float64, num_threads=num_threads)
    assert [one.linear for one in found] == pytest.approx(
        [linear_cka(X, Y) for X, Y in zip(Xs, Ys, strict=True)], abs=1e-12
    )
    expected = [debiased_linear_cka(X, Y) for X, Y in zip(Xs, Ys, strict=True)]
    assert [one.debiased for one in found] == pytest.approx(expected, abs=1e-12)


def test_threads_do_not_change_a_bit(layers):
    assert layer_ckas(*layers, num_threads=1) == layer_ckas(*layers, num_threads=4)


def test_results_keep_the_layers_order():
    assert side_by_side(lambda layer: layer * layer, range(50), num_threads=4) == [n * n for n in range(50)]


def test_models_of_different_depth_are_refused(layers):
    with pytest.raises(ValueError, match=r"as many layers, got 5 and 4"):
        layer_ckas(layers[0], layers[1][:-1])


@pytest.mark.parametrize(
    "spoil, told",
    [
        (lambda X: X[:-1], "layer 2: both_linear_ckas: X and Y must hold the same examples"),
        (lambda X: X[0], "layer 2: both_linear_ckas"),
        (lambda X: np.where(np.arange(7) == 3, np.nan, X), "layer 2: both_linear_ckas"),
    ],
)
def test_an_error_names_its_layer(layers, spoil, told):
    Xs, Ys = layers
    with pytest.raises(ValueError, match=told):
        layer_ckas([*Xs[:2], spoil(Xs[2]), *Xs[3:]], Ys)
