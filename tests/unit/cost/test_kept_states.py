"""What kept states will weigh, by n x d x states x poolings x 4 bytes."""

from __future__ import annotations

import pytest

from tunescope.cost.architecture import KNOWN
from tunescope.cost.kept_states import kept_states_gib, num_states


@pytest.mark.parametrize(
    "name, states",
    [
        ("TinyLlama/TinyLlama-1.1B-intermediate-step-1431k-3T", 24),
        ("Qwen/Qwen2.5-0.5B", 26),
        ("bert-base-uncased", 13),
        ("roberta-base", 13),
    ],
)
def test_decoders_have_a_final_norm_and_encoders_end_on_their_last_block(name: str, states: int) -> None:
    assert num_states(KNOWN[name]) == states


def test_the_reference_study_keeps_300_mib_of_a_task_and_knows_it_beforehand() -> None:
    tinyllama = KNOWN["TinyLlama/TinyLlama-1.1B-intermediate-step-1431k-3T"]
    kept = kept_states_gib(tinyllama, num_examples=750, num_poolings=2)
    assert kept == pytest.approx(750 * 2048 * 24 * 2 * 4 / 2**30, rel=1e-4)
    assert kept * 1024 == pytest.approx(281, abs=1)
    assert kept_states_gib(tinyllama, num_examples=750, num_poolings=0) == 0.0
