"""A tuned backbone under its base model's own LM head: what is in it, what is shared, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import PeftModelForCausalLM, PrefixTuningConfig, PromptTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from tiny import TEXTS, TINY, tiny_batch, tiny_network
from tunescope.errors import ModelError
from tunescope.inference.language import compare_language, language_scores, text_windows
from tunescope.methods import AnyPeft, Full, HeadOnly, Lora
from tunescope.models.base import BaseModelSpec
from tunescope.models.language_model import load_language_model, tuned_language_model
from tunescope.models.saving import load_tuned, save_tuned

DECODERS = ("llama", "gpt2")
KINDS = ("classification", "question_answering")
_READ = {"precision": "fp32", "batch_tokens": 64}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("tied", [True, False])
def test_full_fine_tuning_is_measured_under_the_base_models_head(
    name: str, kind: str, tied: bool, tmp_path: Path
) -> None:
    folder = TINY[name](tmp_path, tie_word_embeddings=tied)
    network = tiny_network(folder, task_kind=kind)
    base = _language_model(folder)
    head = base.get_output_embeddings().weight.clone()
    tuned = _moved(Full().apply(network.model, kind, seed=1))
    found = tuned_language_model(tuned, network, base)

    plain = AutoModelForCausalLM.from_pretrained(folder, tie_word_embeddings=False).eval()
    with torch.no_grad():
        plain.get_output_embeddings().weight.copy_(head)
    backbone = getattr(tuned, network.backbone_prefix)
    getattr(plain, plain.base_model_prefix).load_state_dict(backbone.state_dict())
    batch = _batch(network)
    with torch.no_grad():
        logits = found(**batch).logits
        assert torch.equal(logits[0, :4], plain(**batch).logits[0, :4])
        assert not torch.allclose(logits, base(**batch).logits)
    assert torch.equal(base.get_output_embeddings().weight, head)
    assert not torch.equal(
        backbone.get_input_embeddings().weight, _language_model(folder).get_input_embeddings().weight
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", DECODERS)
def test_making_one_changes_neither_the_tuned_nor_the_base_model(name: str, kind: str, tmp_path: Path) -> None:
    folder = TINY[name](tmp_path)
    network = tiny_network(folder, task_kind=kind)
    tuned, base = _moved(Lora(rank=2).apply(network.model, kind, seed=1)), _language_model(folder)
    batch, windows = tiny_batch(network), text_windows(network.tokenizer, TEXTS, window=8)
    with torch.no_grad():
        before = tuned(**batch)[0], base(**_batch(network)).logits
        found = tuned_language_model(tuned, network, base)
        first = language_scores(found, windows, **_READ)
        after = tuned(**batch)[0], base(**_batch(network)).logits
    for one, other in zip(before, after, strict=True):
        assert torch.equal(one, other)
    assert first.loss == language_scores(tuned_language_model(tuned, network, base), windows, **_READ).loss
    held = {id(weight) for weight in (*tuned.parameters(), *base.parameters())}
    assert {id(weight) for weight in found.parameters()} < held, "no weight is copied"


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize(
    "method",
    [Lora(rank=2), Lora(rank=2, use_dora=True), AnyPeft(config_class="IA3Config"), HeadOnly(), Full()],
    ids=["lora", "dora", "ia3", "head_only", "full"],
)
def test_before_training_nothing_is_forgotten(name: str, method, tmp_path: Path) -> None:
    """B = 0 in LoRA; a fresh head plays no part."""
    folder = TINY[name](tmp_path)
    network = tiny_network(folder)
    base = _language_model(folder)
    tuned = tuned_language_model(method.apply(network.model, "classification", seed=1), network, base)
    found = compare_language(base, tuned, text_windows(network.tokenizer, TEXTS, window=8), **_READ)
    assert found.kl == 0.0
    assert found.tuned.loss == found.base.loss


@pytest.mark.parametrize("name", DECODERS)
def test_a_reloaded_adapter_and_the_merged_model_say_the_same(name: str, tmp_path: Path) -> None:
    folder = TINY[name](tmp_path / "base")
    tuned = _moved(Lora(rank=2).apply(tiny_network(folder).model, "classification", seed=1))
    save_tuned(tuned, "lora", tmp_path)
    windows = text_windows(tiny_network(folder).tokenizer, TEXTS, window=8)
    again, other = tiny_network(folder, seed=9), tiny_network(folder, seed=9)
    base = _language_model(folder)
    adapted = tuned_language_model(load_tuned(again, tmp_path), again, base)
    merged = tuned_language_model(load_tuned(other, tmp_path).merge_and_unload(), other, base)
    found = [compare_language(base, one, windows, **_READ) for one in (adapted, merged)]
    assert found[0].kl == pytest.approx(found[1].kl, rel=1e-3)
    assert found[0].kl > 1e-4


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.* is deprecated")
@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("config_class", [PromptTuningConfig, PrefixTuningConfig])
def test_virtual_tokens_stand_in_front_of_every_text(config_class, name: str, tmp_path: Path) -> None:
    """Against the same prompt learnt on peft's own causal language model."""
    folder = TINY[name](tmp_path)
    network = tiny_network(folder)
    method = AnyPeft(config_class=config_class.__name__, config={"num_virtual_tokens": 5})
    tuned = _moved(method.apply(network.model, "classification", seed=1)).eval()
    base = _language_model(folder)
    found = tuned_language_model(tuned, network, base)

    plain = AutoModelForCausalLM.from_pretrained(folder).eval()
    own = get_peft_model(plain, config_class(task_type="CAUSAL_LM", num_virtual_tokens=5)).eval()
    assert isinstance(own, PeftModelForCausalLM)
    own.prompt_encoder.load_state_dict(tuned.prompt_encoder.state_dict())
    windows = text_windows(network.tokenizer, TEXTS, window=8)
    nats = 0.0
    for window in windows:
        ids = torch.tensor([window.input_ids])
        labels = ids.clone()
        labels[:, : window.num_read_before] = -100
        with torch.no_grad():
            loss = own(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels).loss
        nats += float(loss) * int((labels[:, 1:] != -100).sum())
    compared = compare_language(base, found, windows, **_READ)
    assert compared.tuned.nats.sum() == pytest.approx(nats, rel=1e-5)
    assert compared.kl > 1e-4
    assert compared.base.loss == language_scores(_language_model(folder), windows, **_READ).loss
    long = text_windows(network.tokenizer, [" ".join(["the cat sat"] * 60)], window=126)
    with pytest.raises(
        ModelError, match=r"126 tokens and 5 virtual ones does not fit into the model's 128 .* to 123 or"
    ):
        language_scores(found, long, **_READ)


def test_an_encoder_has_no_next_word_to_forget(tmp_path: Path) -> None:
    folder, other = TINY["bert"](tmp_path / "bert"), TINY["gpt2"](tmp_path / "gpt2")
    network = tiny_network(folder)
    with pytest.raises(ModelError, match=r"is an encoder \(BertFor.*no next word.* Take `retention` out of the study"):
        tuned_language_model(network.model, network, _language_model(other))
    with pytest.raises(ModelError, match=r"(?s)'bert'.*Take `retention` out of the study"):
        load_language_model(BaseModelSpec(name="bert"), folder, purpose="retention")


def test_a_language_model_of_another_architecture_is_refused(tmp_path: Path) -> None:
    network = tiny_network(TINY["llama"](tmp_path / "llama"))
    with pytest.raises(ModelError, match=r"has the backbone LlamaModel, the language model GPT2Model"):
        tuned_language_model(network.model, network, _language_model(TINY["gpt2"](tmp_path / "gpt2")))


@pytest.mark.parametrize(
    "purpose, remedy", [("zero_shot", "take it out of `baselines`"), ("retention", "of the study")]
)
def test_a_checkpoint_without_its_lm_head_is_no_language_model(purpose, remedy: str, tmp_path: Path) -> None:
    folder = TINY["llama"](tmp_path)
    tensors = load_file(folder / "model.safetensors")
    del tensors["lm_head.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=rf"lacks 1 tensors of the language model \(lm_head.weight, .*{remedy}"):
        load_language_model(BaseModelSpec(name="org/bare"), folder, purpose=purpose)


def _language_model(folder: Path):
    return load_language_model(BaseModelSpec(name=str(folder)), folder)


def _batch(network):
    batch = tiny_batch(network)
    return {name: batch[name] for name in ("input_ids", "attention_mask")}


def _moved(model):
    """Every trained weight moved a little."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(5)
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(0.05 * torch.randn_like(weight))
    return model
