"""Any tuned checkpoint is told for what it is, and put on its own base model or refused."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from peft import LoraConfig, PromptTuningConfig, get_peft_model
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    BertForQuestionAnswering,
    LlamaForCausalLM,
)

from tiny import TINY, tiny_batch, tiny_llama, tiny_network
from tunescope.errors import ModelError
from tunescope.hub.fingerprint import weights_fingerprint
from tunescope.methods import AnyPeft, Full, HeadOnly, Lora
from tunescope.models.base import BaseModelSpec
from tunescope.models.checkpoint import describe_checkpoint, load_checkpoint
from tunescope.models.saving import save_tuned
from tunescope.representations.reads import pool
from tunescope.representations.states import StateReader
from tunescope.weights.packed import twins_in


def _run(folder, base, method, kind="classification", num_labels=3):
    """What a run of ours keeps, and the model in memory."""
    folder.mkdir()
    network = tiny_network(base, task_kind=kind, num_labels=num_labels)
    model = method.apply(network.model, kind, seed=1).eval()
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(5)
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(0.05 * torch.randn_like(weight))
    save_tuned(model, method.kind, folder)
    return network, model


def _packed_run(folder, base):
    """A full model as a run keeps it packed, and the model in memory."""
    _, model = _run(folder, base, Full())
    shutil.rmtree(folder / "model")
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    save_tuned(model, "full", folder, base=twins_in(base, shapes))
    return model


def _loaded(folder, base, name=None):
    return load_checkpoint(describe_checkpoint(folder), BaseModelSpec(name=name or str(base)), base)


@pytest.mark.parametrize("inner", ["", "packed"])
def test_a_packed_run_of_ours_comes_back_as_it_was(inner, tmp_path):
    base = tiny_llama(tmp_path / "base")
    model = _packed_run(tmp_path / "run", base)
    found = describe_checkpoint(tmp_path / "run" / inner)
    assert (found.kind, found.is_run, found.task_kind, found.num_labels) == ("model", True, "classification", 3)
    _, again = _loaded(tmp_path / "run" / inner, base)
    assert not again.training
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in model.state_dict().items())
    with pytest.raises(ModelError, match="was packed against another tensor"):
        _loaded(tmp_path / "run" / inner, tiny_llama(tmp_path / "other", seed=1))


KINDS = [("classification", 3), ("regression", 1), ("question_answering", 2)]


@pytest.mark.parametrize("method", [Full(), HeadOnly(), Lora(rank=2)], ids=lambda method: method.kind)
@pytest.mark.parametrize("kind, num_labels", KINDS)
@pytest.mark.parametrize("name", ["llama", "bert"])
def test_a_run_of_ours_comes_back_as_it_was(name, kind, num_labels, method, tmp_path):
    base = TINY[name](tmp_path / "base")
    network, model = _run(tmp_path / "run", base, method, kind, num_labels)
    found = describe_checkpoint(tmp_path / "run")
    assert (found.is_run, found.task_kind, found.num_labels) == (True, kind, num_labels)
    assert found.kind == {"full": "model", "head_only": "head", "lora": "adapter"}[method.kind]
    _, again = _loaded(tmp_path / "run", base)
    batch = tiny_batch(network)
    with torch.no_grad():
        for one, two in zip(model(**batch).to_tuple(), again(**batch).to_tuple(), strict=True):
            assert torch.equal(one, two)
    assert not again.training


@pytest.mark.parametrize("inside", ["adapter", "model"])
def test_what_lies_inside_a_run_may_be_named_itself(inside, tmp_path):
    base = TINY["bert"](tmp_path / "base")
    _run(tmp_path / "run", base, Lora(rank=2) if inside == "adapter" else Full())
    found = describe_checkpoint(tmp_path / "run" / inside)
    assert (found.is_run, found.kind, found.num_labels) == (False, inside, 3)
    network, _ = _loaded(tmp_path / "run" / inside, base)
    assert network.tokenizer("the cat")["input_ids"], "a model without a tokenizer reads by the base's"


def test_plain_hugging_face_models_are_told_by_their_heads(tmp_path):
    bert = TINY["bert"](tmp_path / "bert")
    BertForQuestionAnswering.from_pretrained(bert).save_pretrained(tmp_path / "qa")
    AutoModelForSequenceClassification.from_pretrained(bert, num_labels=5).save_pretrained(tmp_path / "five")
    AutoModelForSequenceClassification.from_pretrained(bert, num_labels=1).save_pretrained(tmp_path / "one")
    told = {name: describe_checkpoint(tmp_path / name) for name in ("qa", "five", "one", "bert")}
    assert {name: (found.task_kind, found.num_labels) for name, found in told.items()} == {
        "qa": ("question_answering", 2),
        "five": ("classification", 5),
        "one": ("regression", 1),
        "bert": ("classification", 2),
    }


def test_a_model_with_fewer_embeddings_than_the_base_has_tokens_is_refused(tmp_path):
    base, other = tiny_llama(tmp_path / "base"), tiny_llama(tmp_path / "other")
    small = LlamaForCausalLM.from_pretrained(other)
    small.resize_token_embeddings(20)
    small.save_pretrained(other)
    for file in other.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(ModelError, match="tokenizer has 27 tokens and the model embeddings for 20"):
        _loaded(other, base)


def _adapter(folder, base, said):
    _run(folder, base, Lora(rank=2))
    path = folder / "adapter" / "adapter_config.json"
    config = json.loads(path.read_text()) | {"base_model_name_or_path": said}
    path.write_text(json.dumps(config))
    return folder / "adapter"


@pytest.mark.parametrize(
    "said, base_name, is_refused",
    [
        ("org/other", "org/model", True),
        ("org/model", "org/model", False),
        ("bert-base-uncased", "google-bert/bert-base-uncased", False),
        ("gpt2", "openai-community/gpt2-large", True),
        ("./somewhere/model", "org/model", False),
        ("/somewhere/model", "org/model", False),
        ("org/other", "./model", False),
        ("", "org/model", False),
        (None, "org/model", False),
    ],
)
def test_an_adapter_that_names_another_base_is_refused(said, base_name, is_refused, tmp_path):
    base = TINY["bert"](tmp_path / "base")
    folder = _adapter(tmp_path / "run", base, said)
    if is_refused:
        with pytest.raises(ModelError, match=f"this adapter is of base model '{said}', not of '{base_name}'"):
            _loaded(folder, base, base_name)
    else:
        assert _loaded(folder, base, base_name)[1] is not None


@pytest.mark.parametrize("method", [Full(), HeadOnly(), Lora(rank=2)], ids=lambda method: method.kind)
def test_a_run_on_other_bytes_than_the_base_is_refused(method, tmp_path):
    base, other = TINY["bert"](tmp_path / "base"), TINY["bert"](tmp_path / "other", seed=1)
    _run(tmp_path / "run", base, method)
    record = {"facts": {"model_fingerprint": weights_fingerprint(base)}}
    (tmp_path / "run" / "record.json").write_text(json.dumps(record))
    assert _loaded(tmp_path / "run", base)[1] is not None
    shutil.copytree(base, tmp_path / "moved")
    assert _loaded(tmp_path / "run", tmp_path / "moved")[1] is not None, "bytes count, paths do not"
    with pytest.raises(ModelError, match="was tuned from other files"):
        _loaded(tmp_path / "run", other)


def test_an_adapter_of_another_shape_is_refused(tmp_path):
    base, other = TINY["bert"](tmp_path / "base"), TINY["bert"](tmp_path / "other", hidden_size=16)
    _run(tmp_path / "run", base, Lora(rank=2))
    with pytest.raises(ModelError, match="does not fit the network"):
        _loaded(tmp_path / "run" / "adapter", other)


def test_prompts_are_adapters_too(tmp_path):
    base = TINY["llama"](tmp_path / "base")
    _run(tmp_path / "run", base, AnyPeft(config_class="PromptTuningConfig", config={"num_virtual_tokens": 2}))
    assert describe_checkpoint(tmp_path / "run").kind == "adapter"
    assert _loaded(tmp_path / "run", base)[1].active_peft_config.num_virtual_tokens == 2


def test_folders_that_are_nothing_of_the_kind_are_told(tmp_path):
    with pytest.raises(ModelError, match=r"no model \(config.json\), no adapter"):
        describe_checkpoint(tmp_path)
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"an adapter without adapter_model\.safetensors"):
        describe_checkpoint(tmp_path)
    (tmp_path / "adapter_model.safetensors").write_bytes(b"not it")
    with pytest.raises(ModelError, match="not a whole safetensors file"):
        describe_checkpoint(tmp_path)
    base = TINY["bert"](tmp_path / "base")
    _run(tmp_path / "run", base, Lora(rank=2))
    (tmp_path / "run" / "adapter" / "adapter_config.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be read as JSON"):
        describe_checkpoint(tmp_path / "run")


_OTHERS = {
    "causal": ("llama", AutoModelForCausalLM, "CAUSAL_LM", ["q_proj", "v_proj"], None),
    "causal with its head": ("llama", AutoModelForCausalLM, "CAUSAL_LM", ["q_proj", "lm_head"], None),
    "gpt2": ("gpt2", AutoModelForCausalLM, "CAUSAL_LM", ["c_attn"], None),
    "no type": ("llama", AutoModelForCausalLM, None, ["q_proj"], None),
    "bare decoder": ("llama", AutoModel, "FEATURE_EXTRACTION", ["q_proj"], None),
    "bare encoder": ("bert", AutoModel, "FEATURE_EXTRACTION", ["query", "value"], None),
    "bare, no type": ("bert", AutoModel, None, ["query"], None),
    "classifier": ("llama", AutoModelForSequenceClassification, "SEQ_CLS", ["q_proj"], None),
    "prompts": ("llama", AutoModelForCausalLM, "CAUSAL_LM", None, 3),
}


@pytest.mark.parametrize("which", _OTHERS)
def test_adapters_of_others_are_read_as_peft_reads_them(which, tmp_path):
    name, kind, task_type, targets, prompts = _OTHERS[which]
    base = TINY[name](tmp_path / "base")
    config = (
        PromptTuningConfig(task_type=task_type, num_virtual_tokens=prompts)
        if prompts
        else LoraConfig(r=2, task_type=task_type, target_modules=targets)
    )
    plain = kind.from_pretrained(base)
    plain.config.pad_token_id = 0
    model = get_peft_model(plain, config)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(1)
        for weight_name, weight in model.named_parameters():
            if "lora_B" in weight_name or "lora_embedding_B" in weight_name:
                weight.normal_(0.0, 0.1)
    model.save_pretrained(tmp_path / "adapter")
    network, again = _loaded(tmp_path / "adapter", base)
    batch = {name: tensor for name, tensor in tiny_batch(network).items() if name != "labels"}
    expected, found = StateReader(model.eval()), StateReader(again)
    last = lambda hidden, mask: pool(hidden, mask, "last_token")  # noqa: E731
    for state, values in expected.read(batch, last).items():
        assert torch.allclose(found.read(batch, last)[state], values, atol=1e-6), state
