import pytest

from tunescope.cost.architecture import KNOWN
from tunescope.cost.trainable import what_trains
from tunescope.methods import AnyPeft, Full, HeadOnly, Lora, Method

TINYLLAMA = KNOWN["TinyLlama/TinyLlama-1.1B-intermediate-step-1431k-3T"]


def _num_trained(method: Method) -> int | None:
    trains = what_trains(method, TINYLLAMA, "classification", 2)
    return None if trains is None else trains.num_parameters


def test_each_kind_of_method() -> None:
    assert _num_trained(Full()) == 1_034_512_384 + 4096
    assert _num_trained(HeadOnly()) == 4096
    assert _num_trained(Lora(rank=8)) == 1_126_400 + 4096
    assert _num_trained(Lora(rank=8, use_dora=True)) == 1_126_400 + 22 * (2048 + 256) + 4096
    assert _num_trained(AnyPeft(config_class="LoraConfig", config={"r": 16})) == 2 * 1_126_400 + 4096
    assert _num_trained(AnyPeft(config_class="IA3Config")) == 22 * (256 + 256 + 5632) + 4096


@pytest.mark.parametrize(
    "method",
    [
        AnyPeft(config_class="OFTConfig"),
        AnyPeft(config_class="LoraConfig", config={"layers_to_transform": [0]}),
        Lora(target_modules=("query",)),
    ],
    ids=["another class", "a field that changes what is adapted", "modules that are not there"],
)
def test_what_cannot_be_counted_is_none(method: Method) -> None:
    assert _num_trained(method) is None


def test_head_only_reaches_no_backbone() -> None:
    trains = what_trains(HeadOnly(), TINYLLAMA, "classification", 2)
    assert trains is not None
    assert trains.is_head_only
    full = what_trains(Full(), TINYLLAMA, "classification", 2)
    assert full is not None
    assert not full.is_head_only
