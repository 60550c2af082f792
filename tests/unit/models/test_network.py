"""Every backbone tensor is the checkpoint's, only the head is new, and the head is the seed's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForQuestionAnswering,
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BloomConfig,
    T5Config,
)

from tiny import TINY, tiny_batch, tiny_bert, tiny_gpt2, tiny_llama, tiny_network
from tunescope.errors import ModelError
from tunescope.models.network import dropout_fields

KINDS = ("classification", "regression", "question_answering")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", TINY)
def test_every_backbone_tensor_is_the_checkpoints(name: str, kind: str, tmp_path: Path) -> None:
    network = tiny_network(TINY[name](tmp_path), task_kind=kind)
    num_compared = _compare_backbone(network, load_file(tmp_path / "model.safetensors"))
    assert num_compared == {"llama": 20, "gpt2": 28, "bert": 39 if kind != "question_answering" else 37}[name]
    assert {weight.dtype for weight in network.model.parameters()} == {torch.float32}
    assert not network.model.training


def test_what_it_is_for(tmp_path: Path) -> None:
    """Hugging Face's own way gives a Llama for question answering a random backbone, and says so in a warning."""
    folder = tiny_llama(tmp_path)
    theirs = AutoModelForQuestionAnswering.from_pretrained(folder).transformer.state_dict()
    ours = tiny_network(folder, task_kind="question_answering").model.transformer.state_dict()
    shared = [name for name, tensor in theirs.items() if torch.equal(tensor, ours[name])]
    assert shared == []


@pytest.mark.mirror
@pytest.mark.parametrize("kind", KINDS)
def test_stories260k_survives_whole(kind: str, mirror: Path) -> None:
    folder = mirror / "models" / "karpathy" / "stories260K"
    network = tiny_network(folder, task_kind=kind)
    assert _compare_backbone(network, load_file(folder / "model.safetensors")) == 47
    assert torch.isfinite(network.model.base_model.rotary_emb.inv_freq).all()
    assert network.tokenizer.pad_token == "<unk>"


@pytest.mark.mirror
@pytest.mark.parametrize("kind", KINDS)
def test_minilm_survives_whole(kind: str, mirror: Path) -> None:
    folder = mirror / "models" / "sentence-transformers" / "all-MiniLM-L6-v2"
    network = tiny_network(folder, task_kind=kind)
    checkpoint = load_file(folder / "model.safetensors")
    assert _compare_backbone(network, checkpoint) == (101 if kind == "question_answering" else 103)


@pytest.mark.parametrize("name", TINY)
def test_the_head_is_the_seeds(name: str, tmp_path: Path) -> None:
    folder = TINY[name](tmp_path)
    random = torch.random.get_rng_state()
    one, same, other = (tiny_network(folder, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(random, torch.random.get_rng_state())
    head = one.head_names[0]
    assert torch.equal(one.model.get_parameter(head), same.model.get_parameter(head))
    assert not torch.equal(one.model.get_parameter(head), other.model.get_parameter(head))
    assert one.model.get_parameter(head).std().item() == pytest.approx(one.model.config.initializer_range, rel=0.5)


def test_buffers_outside_the_checkpoint_are_real(tmp_path: Path) -> None:
    network = tiny_network(tiny_llama(tmp_path), task_kind="question_answering")
    frequencies = network.model.transformer.rotary_emb.inv_freq
    expected = 10000.0 ** (-torch.arange(0, 8, 2) / 8)
    torch.testing.assert_close(frequencies, expected)


def test_shapes_of_what_comes_out(tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path)
    for kind, num_labels, shape in (("classification", 3, (3, 3)), ("regression", 1, (3, 1))):
        network = tiny_network(folder, task_kind=kind, num_labels=num_labels)
        assert network.model(**tiny_batch(network)).logits.shape == shape
        assert network.head_names == ("score.weight",)
    assert network.model.config.problem_type == "regression"
    with pytest.raises(ValueError, match="2 labels or more"):
        tiny_network(folder, num_labels=1)


def test_decoders_and_encoders_are_told_apart(tmp_path: Path) -> None:
    assert {name: tiny_network(make(tmp_path / name)).is_decoder for name, make in TINY.items()} == {
        "llama": True,
        "gpt2": True,
        "bert": False,
    }


def test_half_precision_checkpoints_become_fp32(tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path)
    halves = {name: tensor.bfloat16() for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(halves, folder / "model.safetensors", metadata={"format": "pt"})
    network = tiny_network(folder)
    assert {weight.dtype for weight in network.model.parameters()} == {torch.float32}
    assert torch.equal(network.model.model.norm.weight, halves["model.norm.weight"].float())


def test_a_missing_backbone_tensor(tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"1 of 20 backbone tensors .* layers.1.mlp.up_proj.weight"):
        tiny_network(folder)


def test_a_pooler_counts_only_where_it_is_used(tmp_path: Path) -> None:
    tiny_bert(tmp_path / "whole")
    folder = tiny_bert(tmp_path / "bare")
    BertForMaskedLM(BertConfig.from_pretrained(folder)).save_pretrained(folder)
    with pytest.raises(ModelError, match=r"no pooler .*pooler.dense.bias.*take a checkpoint that kept it"):
        tiny_network(folder)
    assert tiny_network(folder, task_kind="question_answering").head_names == ("qa_outputs.weight", "qa_outputs.bias")


def test_weights_of_another_shape(tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path)
    _config(folder, intermediate_size=40)
    with pytest.raises(ModelError, match=r"base_model .*(weights cannot be loaded|do not fit)"):
        tiny_network(folder)


@pytest.mark.parametrize("num_labels", [2, 3])
def test_a_trained_head_is_not_thrown_away_unasked(num_labels: int, tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path)
    trained = BertForSequenceClassification.from_pretrained(folder, num_labels=3)
    trained.save_pretrained(folder)
    with pytest.raises(ModelError, match=r"trained head \(classifier.weight \(3, 32\).*discard_head: true"):
        tiny_network(folder, num_labels=num_labels)
    network = tiny_network(folder, num_labels=num_labels, discard_head=True)
    assert network.model.classifier.weight.shape == (num_labels, 32)
    if num_labels == 3:
        assert not torch.equal(network.model.classifier.weight, trained.classifier.weight)


def test_no_such_head(tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path)
    _config(folder, model_type="gemma", head_dim=8)
    with pytest.raises(ModelError, match=r"no question answering head for the architecture 'gemma'"):
        tiny_network(folder, task_kind="question_answering")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"model_type": "no-such"}, "config.json cannot be used"),
        ({"model_type": 3}, "config.json cannot be used"),
        ({"hidden_size": "wide"}, "config.json cannot be used"),
        ({"num_attention_heads": 5}, "config.json cannot be used: .*not a multiple of the number of attention heads"),
        ({"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}, "quantised"),
    ],
)
def test_configs_that_cannot_be_used(changes: dict[str, object], message: str, tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path)
    _config(folder, **changes)
    with pytest.raises(ModelError, match=message):
        tiny_network(folder)


def test_an_encoder_decoder(tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path)
    T5Config(vocab_size=27).save_pretrained(folder)
    with pytest.raises(ModelError, match=r"t5 is an encoder-decoder"):
        tiny_network(folder)


def test_code_from_the_repository_runs_only_where_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    folder = tiny_bert(tmp_path / "model")
    (folder / "own.py").write_text(
        "from torch import nn\n"
        "from transformers import BertConfig, BertModel, BertPreTrainedModel\n"
        "from transformers.modeling_outputs import SequenceClassifierOutput\n"
        "class OwnConfig(BertConfig):\n    model_type = 'own'\n"
        "class OwnModel(BertModel):\n    config_class = OwnConfig\n"
        "class OwnHead(BertPreTrainedModel):\n"
        "    config_class = OwnConfig\n"
        "    def __init__(self, config):\n"
        "        super().__init__(config)\n"
        "        self.bert = OwnModel(config, add_pooling_layer=False)\n"
        "        self.own = nn.Linear(config.hidden_size, config.num_labels)\n"
        "        self.post_init()\n"
        "    def forward(self, input_ids=None, attention_mask=None, **kwargs):\n"
        "        states = self.bert(input_ids, attention_mask=attention_mask, **kwargs).last_hidden_state\n"
        "        return SequenceClassifierOutput(logits=self.own(states[:, 0]))\n"
    )
    autos = {
        "AutoConfig": "own.OwnConfig",
        "AutoModel": "own.OwnModel",
        "AutoModelForSequenceClassification": "own.OwnHead",
    }
    _config(folder, model_type="own", auto_map=autos)
    with pytest.raises(ModelError, match=r"config\.json cannot be used"):
        tiny_network(folder)
    network = tiny_network(folder, trust_remote_code=True)
    assert type(network.model).__name__ == "OwnHead"
    assert network.head_names == ("own.weight", "own.bias")
    assert not network.is_decoder
    assert _compare_backbone(network, load_file(folder / "model.safetensors")) == 37
    left, right = (network.model(**tiny_batch(network, side=side)).logits for side in ("left", "right"))
    torch.testing.assert_close(left, right, atol=1e-5, rtol=0)


def test_dropout_is_set_everywhere_or_refused(tmp_path: Path) -> None:
    as_it_is = tiny_network(tiny_bert(tmp_path / "bert"))
    assert as_it_is.model.config.hidden_dropout_prob == 0.1
    network = tiny_network(tmp_path / "bert", dropout=0.25)
    assert {module.p for module in network.model.modules() if isinstance(module, torch.nn.Dropout)} == {0.25}
    assert set(dropout_fields(network.model.config)) == {
        "hidden_dropout_prob",
        "attention_probs_dropout_prob",
        "classifier_dropout",
    }
    gpt2 = tiny_network(tiny_gpt2(tmp_path / "gpt2"), dropout=0.0)
    assert {module.p for module in gpt2.model.modules() if isinstance(module, torch.nn.Dropout)} == {0.0}
    assert set(dropout_fields(BloomConfig())) == {"hidden_dropout", "attention_dropout"}


def test_adapters_will_name_the_base_model_and_not_a_folder(tmp_path: Path) -> None:
    from tunescope.models.base import BaseModelSpec
    from tunescope.models.network import load_network

    folder = tiny_llama(tmp_path)
    network = load_network(BaseModelSpec(name="org/tiny"), folder, task_kind="classification", num_labels=2, seed=0)
    assert network.model.name_or_path == network.model.config.name_or_path == "org/tiny"


def _compare_backbone(network, checkpoint: dict[str, torch.Tensor]) -> int:
    """Compares every backbone tensor with the file it came from; returns how many there are."""
    state = getattr(network.model, network.backbone_prefix).state_dict()
    for name, tensor in state.items():
        (source,) = [checkpoint[key] for key in (name, f"model.{name}", f"transformer.{name}") if key in checkpoint]
        assert torch.equal(tensor, source.float()), name
    new = {name for name, _ in network.model.named_parameters() if not name.startswith(f"{network.backbone_prefix}.")}
    assert new == set(network.head_names)
    return len(state)


def _config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
