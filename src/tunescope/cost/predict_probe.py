"""What a linear probe costs: the states of train and report rows, and the fits in float64."""

from __future__ import annotations

from tunescope.cost.architecture import Architecture
from tunescope.cost.devices import DeviceProfile
from tunescope.cost.predict import Prediction, Rows, predict_evaluation

_FITS = 6
"""Five folds and the whole."""
_ITERATIONS = 600
"""Of one fold's path over all penalties: 150 to 570 for 1,000 rows of RTE and SST-2 in MiniLM (d = 384) and stories260K (64)."""
_FIT_GFLOPS = 3.0
"""Matrix-vector products of NumPy in float64 on one ordinary core, ruled by memory speed: 2 to 10 measured."""


def predict_probe(
    architecture: Architecture,
    device: DeviceProfile,
    *,
    train: Rows,
    report: Rows,
    num_labels: int,
    evaluation_batch_tokens: int,
) -> Prediction:
    """The probe of one task in one model.

    Args:
        architecture: The base model; an adapter's part is left out.
        device: Where the model is; the fits run on the CPU.
        train: Rows that the probe is fitted on.
        report: Rows that it is scored on.
        num_labels: Of the task.
        evaluation_batch_tokens: Tokens, padding included, computed at once.
    """
    both = Rows(
        num=train.num + report.num,
        mean_tokens=train.mean_tokens,
        longest=max(train.longest, report.longest),
        windows=train.windows,
    )
    plain = predict_evaluation(architecture, device, rows=both, evaluation_batch_tokens=evaluation_batch_tokens)
    columns = 1 if num_labels == 2 else num_labels
    fits = 4.0 * _FITS * _ITERATIONS * train.num * architecture.hidden * columns
    held = 0.0 if device.is_gpu else 4.0 * 8.0 * both.num * architecture.hidden
    return Prediction(
        seconds=plain.seconds + fits / (_FIT_GFLOPS * 1e9),
        memory_gib=plain.memory_gib + held / 2.0**30,
        disk_gib=plain.disk_gib * report.num / both.num,
        assumptions=(*plain.assumptions, f"a probe is fitted at {_FIT_GFLOPS:g} GFLOP/s, {_ITERATIONS:,} steps a fit"),
    )
