from dataclasses import replace

import pytest

from tunescope.cost.architecture import KNOWN
from tunescope.cost.devices import DEVICES
from tunescope.cost.predict import (
    WORKER_START_S,
    Prediction,
    Rows,
    predict_baseline,
    predict_evaluation,
    predict_representation,
    predict_training,
)
from tunescope.cost.trainable import what_trains
from tunescope.methods import Full, HeadOnly, Lora, Method

TINYLLAMA = KNOWN["TinyLlama/TinyLlama-1.1B-intermediate-step-1431k-3T"]
L4 = DEVICES["L4"]
ROWS = Rows(num=3300, mean_tokens=75, longest=128)


def _training(method: Method, **changes: object) -> Prediction:
    trains = what_trains(method, TINYLLAMA, "classification", 2)
    assert trains is not None
    given: dict[str, object] = {
        "train": ROWS,
        "selection": Rows(num=367, mean_tokens=75, longest=128),
        "num_steps": 310,
        "batch_size": 32,
        "num_scorings": 3,
        "micro_batch_tokens": 4096,
        "evaluation_batch_tokens": 16384,
        "precision": "bf16",
    }
    device = changes.pop("device", L4)
    return predict_training(TINYLLAMA, trains, device, **(given | changes))  # type: ignore[arg-type]


def test_full_fine_tuning_pays_for_masters_gradients_and_moments() -> None:
    full, lora, head = _training(Full()), _training(Lora(rank=8)), _training(HeadOnly())
    assert full.memory_gib > 16 * TINYLLAMA.backbone_parameters / 2**30
    assert head.memory_gib < lora.memory_gib < full.memory_gib
    assert head.seconds < lora.seconds < full.seconds
    assert full.disk_gib == pytest.approx(4 * TINYLLAMA.backbone_parameters / 2**30, rel=1e-3)
    assert lora.disk_gib < 0.01
    assert full.scratch_gib == pytest.approx(32 * (TINYLLAMA.backbone_parameters + 4096) / 2**30)


def test_a_packed_full_model_takes_two_thirds_and_nothing_else_changes() -> None:
    plain, packed = _training(Full()), _training(Full(), pack_weights=True)
    assert 0.6 < packed.disk_gib / plain.disk_gib < 0.7
    assert (packed.seconds, packed.memory_gib, packed.scratch_gib) == (
        plain.seconds,
        plain.memory_gib,
        plain.scratch_gib,
    )
    (told,) = set(packed.assumptions) - set(plain.assumptions)
    assert "a packed full model takes" in told
    for method in (Lora(rank=8), HeadOnly()):
        assert _training(method, pack_weights=True) == _training(method)
    trial = {"keep_weights": False}
    assert _training(Full(), pack_weights=True, **trial) == _training(Full(), **trial)


def test_time_follows_the_operations() -> None:
    """6 W T for full fine-tuning over the speed reached is most of the time on a device without overheads."""
    ideal = replace(L4, kernel_s=0.0, bandwidth_gb_s=1e9)
    even = Rows(num=3200, mean_tokens=128, longest=128)
    few = _training(Full(), device=ideal, num_scorings=0, num_steps=100, train=even)
    more = _training(Full(), device=ideal, num_scorings=0, num_steps=200, train=even)
    attention = 3 * 4 * 128 * 2048 * 22
    operations = 100 * 32 * 128 * (6 * TINYLLAMA.linear_weights + attention)
    assert more.seconds - few.seconds == pytest.approx(operations / (0.4 * 121e12), rel=1e-6)


def test_checkpointing_trades_time_for_memory() -> None:
    plain, checkpointed = (
        _training(Full(), device=DEVICES["cpu"]),
        _training(Full(), device=DEVICES["cpu"], gradient_checkpointing=True),
    )
    assert checkpointed.memory_gib < plain.memory_gib
    assert checkpointed.seconds > plain.seconds


def test_smaller_micro_batches_need_less_memory() -> None:
    assert _training(Full(), micro_batch_tokens=1024).memory_gib < _training(Full(), micro_batch_tokens=4096).memory_gib
    one_row = _training(Full(), micro_batch_tokens=1, evaluation_batch_tokens=1)
    assert one_row.memory_gib == _training(Full(), micro_batch_tokens=128, evaluation_batch_tokens=128).memory_gib


def test_scoring_keeps_predictions_and_no_weights() -> None:
    scored = predict_evaluation(TINYLLAMA, L4, rows=ROWS, evaluation_batch_tokens=16384)
    assert scored.scratch_gib == 0.0
    assert scored.disk_gib < 0.001
    assert scored.memory_gib > 4 * TINYLLAMA.backbone_parameters / 2**30
    assert scored.assumptions


def test_representations_are_kept_for_every_layer_and_pooling() -> None:
    def predicted(num_kept: int) -> Prediction:
        return predict_representation(
            TINYLLAMA, L4, rows=ROWS, num_poolings=2, num_kept=num_kept, evaluation_batch_tokens=16384
        )

    states = 2 * 4 * 3300 * 2048 * 24 / 2**30  # embeddings, 22 blocks, the final norm
    assert predicted(2).disk_gib - predicted(0).disk_gib == pytest.approx(states, rel=1e-4)
    assert predicted(0).disk_gib < 1e-3


def test_counting_labels_is_cheap() -> None:
    assert predict_baseline(ROWS).seconds < 10.0


def test_a_job_pays_for_no_imports_and_a_worker_pays_once() -> None:
    """83 warm jobs of the demo took 158 s in all, of which half a minute was no training and no scoring."""
    nothing = Rows(num=0, mean_tokens=1.0, longest=1)
    assert 83 * predict_baseline(nothing).seconds < 60.0
    assert 2 * predict_baseline(nothing).seconds < WORKER_START_S
