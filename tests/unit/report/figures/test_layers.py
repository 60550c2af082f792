"""The figure of layers: the same bytes for the same rows, every layer in its place, and no figure of nothing."""

from __future__ import annotations

import numpy as np
import pytest

from tunescope.drift.row import layer_row
from tunescope.errors import TunescopeError
from tunescope.report.figures.layers import draw_layers
from tunescope.similarity.jackknife import interval

CKA = "debiased_linear_cka"
STATES = ("embeddings", "block_01", "block_02", "final_norm")


def _rows(compared="tuned", without=(), pooling="mean"):
    rows = []
    for number, state in enumerate(STATES):
        value = 0.9 - 0.1 * number
        found = interval(value, value + np.array([-0.01, 0.0, 0.01]))
        known = state not in without
        rows.append(
            layer_row(
                compared,
                state,
                pooling,
                CKA,
                num_examples=9,
                value=value if known else None,
                interval=found if known else None,
            )
        )
    return rows


@pytest.mark.parametrize("ending", ["svg", "pdf", "png"])
def test_the_same_rows_give_the_same_bytes(ending, tmp_path):
    for name in ("a", "b"):
        draw_layers(_rows(), tmp_path / f"{name}.{ending}", pooling="mean")
    first, second = ((tmp_path / f"{name}.{ending}").read_bytes() for name in ("a", "b"))
    assert first == second
    assert len(first) > 1000


def test_layers_stand_in_their_order_though_the_first_model_lacks_one(tmp_path):
    draw_layers(_rows("one", without=("embeddings",)) + _rows("two"), tmp_path / "a.svg", pooling="mean")
    text = (tmp_path / "a.svg").read_text()
    places = [text.index(f">{tick}<") for tick in ("emb", "1", "2", "norm")]
    assert places == sorted(places)
    assert ">one<" in text
    assert ">two<" in text


def test_other_measures_poolings_and_layer_pairs_are_left_out(tmp_path):
    other = [
        layer_row("tuned", "block_01", "mean", "cosine", num_examples=9, value=0.5),
        layer_row("tuned", "block_01", "mean", "layer_pairs", other_state="block_02", num_examples=9, value=0.5),
        *_rows(pooling="last_token"),
    ]
    draw_layers(_rows(), tmp_path / "a.svg", pooling="mean")
    draw_layers([*_rows(), *other], tmp_path / "b.svg", pooling="mean")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


@pytest.mark.parametrize("rows", [[], _rows(without=STATES)], ids=("no rows", "no values"))
def test_nothing_is_not_drawn(rows, tmp_path):
    with pytest.raises(TunescopeError, match="nothing to draw"):
        draw_layers(rows, tmp_path / "a.svg", pooling="mean")
    assert not list(tmp_path.iterdir())
