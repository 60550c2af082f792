"""Two models on a terminal: a line per layer, the largest updates, and every warning once."""

from __future__ import annotations

import numpy as np

from tunescope.drift.row import layer_row
from tunescope.drift.two_models import TwoModels
from tunescope.report.terminal.results import render
from tunescope.report.terminal.two_models import two_models_summary
from tunescope.similarity.jackknife import interval
from tunescope.weights.measure import UpdateRow

CKA = "debiased_linear_cka"


def _row(state, measure=CKA, value=None, other=None, notes=(), found=None):
    return layer_row(
        "tuned", state, "mean", measure, other_state=other, num_examples=9, value=value, notes=notes, interval=found
    )


def _update(module, relative):
    return UpdateRow(
        module=module,
        shape=(4, 4),
        update_norm=relative,
        base_norm=1.0,
        relative_norm=relative,
        share_changed=0.5 if relative else 0.0,
        effective_rank=2.0 if relative else None,
        stable_rank=1.5 if relative else None,
        top_singular_values=(),
        directions=None,
        note="",
    )


def _text(rows, *, updates=(), truncated=0.0, notes=()):
    ids = tuple(str(number) for number in range(9))
    found = TwoModels(rows=tuple(rows), updates=tuple(updates), ids=ids, truncated=truncated, notes=tuple(notes))
    return render(two_models_summary(found, "mean"), width=160)


def test_a_layer_has_its_drift_interval_bar_and_other_measures():
    jackknife = interval(0.75, np.array([0.74, 0.75, 0.76] * 3))
    text = _text(
        [
            _row("embeddings", value=1.0),
            _row("embeddings", "cosine", value=0.5),
            _row("block_01", value=0.75, found=jackknife),
            _row("block_01", "cosine", notes=("an example is all zeros",)),
            _row("block_02", notes=("nothing to compare",)),
            _row("block_02", "cosine", value=0.125),
        ]
    )
    lines = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}
    low, high = 1.0 - jackknife.ci_high, 1.0 - jackknife.ci_low
    assert lines["embeddings"] == ["0.0000", "-", "0.5000"]
    assert lines["block_01"] == ["0.2500", f"{low:.4f}", "to", f"{high:.4f}", "█" * 20, "-"]
    assert lines["block_02"] == ["-", "-", "0.1250"]
    assert "drift not defined" in text
    assert f"{CKA}: nothing to compare" in text
    assert "cosine: an example is all zeros" in text


def test_the_one_number_is_the_mean_over_blocks():
    text = _text([_row("embeddings", value=0.0), _row("block_01", value=0.75), _row("block_02", value=0.25)])
    assert "drift 0.5000 (1 - debiased linear CKA, mean over blocks), 9 examples, mean" in text


def test_a_model_against_itself_has_no_bars_and_no_division_by_0():
    text = _text([_row("block_01", value=1.0), _row("block_02", value=1.0 - 2e-16)])
    assert "drift 1.1e-16" in text
    assert "█" not in text


def test_models_of_different_depth_show_what_is_most_alike():
    pairs = [
        _row("block_01", "layer_pairs", value=value, other=other)
        for other, value in (("block_01", 0.5), ("block_02", 0.9), ("block_03", -0.1))
    ]
    text = _text([*pairs, _row("block_02", "layer_pairs", other="block_01", notes=("nothing",))])
    assert "the models differ in depth" in text
    assert ["block_01", "block_02", "0.9000"] in [line.split() for line in text.splitlines()]


def test_the_largest_updates_are_shown_and_the_rest_counted():
    updates = [_update(f"m{number}", number / 100) for number in range(12)]
    text = _text([_row("block_01", value=0.5)], updates=updates)
    assert "11 of 12 parameters changed" in text
    assert [line.split()[0] for line in text.splitlines() if line.strip().startswith("m1")] == ["m11", "m10"]
    assert "m3" not in text


def test_notes_and_lost_text_are_told():
    text = _text(
        [_row("block_01", value=0.5)], truncated=0.25, notes=("no comparison of the weights: [bold]half[/bold]",)
    )
    assert "truncated: 25.0% of the examples lost text" in text
    assert "no comparison of the weights: [bold]half[/bold]" in text
