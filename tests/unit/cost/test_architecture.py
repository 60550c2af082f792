import pytest

from tunescope.cost.architecture import KNOWN, is_decoder_config, read_architecture

BERT = {
    "model_type": "bert",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 100,
    "max_position_embeddings": 64,
}
TINYLLAMA = KNOWN["TinyLlama/TinyLlama-1.1B-intermediate-step-1431k-3T"]


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "mamba", "hidden_size": 64},
        {},
        BERT | {"add_cross_attention": True},
        {key: value for key, value in BERT.items() if key != "vocab_size"},
    ],
    ids=["another type", "no type", "cross-attention", "a size left out"],
)
def test_what_it_cannot_tell_is_none(config: dict[str, object]) -> None:
    assert read_architecture(config) is None


@pytest.mark.parametrize(
    "config, is_decoder",
    [
        ({"model_type": "llama"}, True),
        ({"model_type": "gpt2"}, True),
        (BERT, False),
        (BERT | {"is_decoder": True}, True),
        ({"model_type": "phi3", "architectures": ["Phi3ForCausalLM"]}, True),
        ({"model_type": "electra", "architectures": ["ElectraForPreTraining"]}, False),
        ({"model_type": "t5", "is_encoder_decoder": True, "architectures": ["T5ForConditionalGeneration"]}, False),
        ({"model_type": "phi3", "architectures": None}, False),
    ],
)
def test_decoders_are_told_from_any_config(config: dict[str, object], is_decoder: bool) -> None:
    assert is_decoder_config(config) is is_decoder


def test_target_names_end_as_pefts_do() -> None:
    bert = read_architecture(BERT)
    assert bert is not None
    assert [linear.inputs for linear, _ in bert.targeted(("output.dense",))] == [64, 128], "attention's and the MLP's"
    assert bert.targeted(("dense",)) == bert.targeted(("output.dense", "intermediate.dense"))
    assert bert.targeted(("ense",)) == (), "half a name is no name"
    assert bert.targeted(r".*layer\.1\..*query") == ((bert.linear_shapes()["attention.self.query"], 1),)
    assert sum(count for _, count in TINYLLAMA.targeted("all-linear")) == 7 * 22


@pytest.mark.parametrize(
    "kind, num_outputs, parameters",
    [("classification", 3, 6144), ("regression", 1, 2048), ("question_answering", 2, 4098)],
)
def test_heads_of_a_decoder(kind: str, num_outputs: int, parameters: int) -> None:
    assert TINYLLAMA.head_parameters(kind, num_outputs) == parameters  # type: ignore[arg-type]
