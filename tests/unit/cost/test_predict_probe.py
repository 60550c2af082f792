"""A probe's cost grows with what is read and with what is fitted."""

from __future__ import annotations

from tunescope.cost.architecture import KNOWN
from tunescope.cost.devices import DEVICES
from tunescope.cost.predict import Rows, predict_evaluation
from tunescope.cost.predict_probe import predict_probe

ARCH, L4 = KNOWN["TinyLlama/TinyLlama-1.1B-intermediate-step-1431k-3T"], DEVICES["L4"]


def _rows(num: int) -> Rows:
    return Rows(num=num, mean_tokens=75.0, longest=128)


def _probe(train: int = 1000, report: int = 408, num_labels: int = 2):
    return predict_probe(
        ARCH, L4, train=_rows(train), report=_rows(report), num_labels=num_labels, evaluation_batch_tokens=16384
    )


def test_it_costs_the_states_of_all_rows_and_the_fits():
    states = predict_evaluation(ARCH, L4, rows=_rows(1408), evaluation_batch_tokens=16384)
    assert states.seconds < _probe().seconds < states.seconds + 60.0
    assert _probe().memory_gib == states.memory_gib, "the states are held beside the GPU"
    assert _probe(num_labels=20).seconds > _probe().seconds
    assert _probe(train=100).seconds < _probe().seconds < _probe(report=4000).seconds


def test_predictions_of_report_rows_are_kept():
    states = predict_evaluation(ARCH, L4, rows=_rows(408), evaluation_batch_tokens=16384)
    assert abs(_probe().disk_gib - states.disk_gib) < 1e-12
    assert "a probe is fitted at 3 GFLOP/s, 600 steps a fit" in _probe().assumptions
