"""Rows laid end to end give the states, logits and gradients of the padded batch, or the network says why not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from torch import nn

from tiny import TINY, tiny_batch, tiny_bert, tiny_llama, tiny_network
from tunescope.methods import AnyPeft, Full
from tunescope.models import padding_free
from tunescope.models.alignment import align_decoder, align_encoder
from tunescope.models.checkpointing import enable_checkpointing
from tunescope.models.network import Network
from tunescope.models.padding import pad_batch
from tunescope.models.padding_free import ATTENTION, PaddingNeededError, Rows, prepare_padding_free

_SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
_SHARED = {**_SIZES, "num_key_value_heads": 2, "head_dim": 8}
_PACKED: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", _SHARED),
    "mistral": ("MistralConfig", {**_SHARED, "sliding_window": 20}),
    "qwen2": ("Qwen2Config", {**_SIZES, "num_key_value_heads": 2}),
    "qwen3": ("Qwen3Config", _SHARED),
    "gemma": ("GemmaConfig", _SHARED),
    "gemma3": ("Gemma3TextConfig", _SHARED),
    "gpt2": ("GPT2Config", {"n_embd": 32, "n_layer": 2, "n_head": 4}),
    "gptneox": ("GPTNeoXConfig", _SIZES),
    "opt": ("OPTConfig", {**_SIZES, "ffn_dim": 48, "word_embed_proj_dim": 32}),
    "bert": ("BertConfig", _SIZES),
    "roberta": ("RobertaConfig", {**_SIZES, "pad_token_id": 1}),
    "distilbert": ("DistilBertConfig", {"dim": 32, "hidden_dim": 48, "n_layers": 2, "n_heads": 4}),
    "electra": ("ElectraConfig", _SIZES),
    "modernbert": ("ModernBertConfig", _SIZES),
}
_PADDED: dict[str, tuple[str, dict[str, Any], str]] = {
    "a window shorter than a row": (
        "MistralConfig",
        {**_SHARED, "sliding_window": 8},
        r"its attention has a window of 8 tokens, and rows are longer",
    ),
    "scores capped": ("Gemma2Config", _SHARED, r"the model's attention is 'eager', not PyTorch's own \(sdpa\)"),
    "a bias by distance": ("BloomConfig", {"hidden_size": 32, "n_layer": 2, "n_head": 4}, r"attention is 'eager'"),
    "attention of its own": ("FalconConfig", _SIZES, r"its states would be off by 0\.\d+ of the largest"),
    "a pooler in two parts": (
        "AlbertConfig",
        {**_SIZES, "embedding_size": 16},
        r"its logits would be \(6, 20, 2\) for \(6, 2\)",
    ),
}
_WITHOUT_QUESTIONS = ("gemma", "gemma3")
"""Transformers has no question-answering head for them."""
_ENCODERS = ("Bert", "Roberta", "DistilBert", "Electra", "ModernBert", "Albert")
_LENGTHS = (20, 20, 11, 3, 3, 1)
FORMS = ("row by row", "by likeness")
each_form = pytest.mark.parametrize("form", FORMS)


@each_form
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize(
    "name, kind",
    [
        *((name, "classification") for name in _PACKED),
        *((name, "question_answering") for name in _PACKED if name not in _WITHOUT_QUESTIONS),
    ],
)
def test_the_same_logits_and_gradients_in_float64(
    name: str, kind: str, side: Any, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use(form, monkeypatch)
    network = _network(*_PACKED[name], kind=kind)
    batch = _batch(network, side=side)
    expected, expected_gradients = _loss_and_gradients(network.model, batch)
    prepared = prepare_padding_free(network, network.model, _batch(network))
    with _counted_tokens(network) as counted, prepared.on():
        found, gradients = _loss_and_gradients(network.model, batch)
    assert counted == [sum(_LENGTHS)]
    tolerance = 1e-5 if name in ("gemma", "gemma3") else 1e-10  # whose norms compute in float32
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=0.0)
    assert expected_gradients.keys() == gradients.keys()
    for key, gradient in expected_gradients.items():
        assert float((gradients[key] - gradient).abs().max()) <= tolerance * float(gradient.abs().max()) + 1e-13, key


@pytest.mark.parametrize("case", _PADDED)
def test_what_would_change_is_refused_and_left_as_it_was(case: str) -> None:
    config, fields, reason = _PADDED[case]
    network = _network(config, fields)
    batch = _batch(network)
    before, attention = network.model(**batch).logits, network.model.config._attn_implementation
    with pytest.raises(PaddingNeededError, match=reason):
        prepare_padding_free(network, network.model, batch)
    assert network.model.config._attn_implementation == attention
    assert torch.equal(network.model(**batch).logits, before)


def test_learned_vectors_before_every_row_are_refused(tmp_path: Path) -> None:
    for config, fields in {
        "PrefixTuningConfig": {"num_virtual_tokens": 2},
        "PromptTuningConfig": {"num_virtual_tokens": 3},
    }.items():
        network = tiny_network(tiny_llama(tmp_path / config))
        model = AnyPeft(config_class=config, config=fields).apply(network.model, "classification", seed=0)
        with pytest.raises(PaddingNeededError, match="the method gives every row learned vectors of its own"):
            prepare_padding_free(network, model, tiny_batch(network))


def test_other_calls_of_a_prepared_model_are_as_before(tmp_path: Path) -> None:
    for name, make in TINY.items():
        network = tiny_network(make(tmp_path / name))
        batch = tiny_batch(network)
        before = network.model(**batch).logits
        prepare_padding_free(network, network.model, batch)
        assert network.model.config._attn_implementation == ATTENTION
        assert torch.equal(network.model(**batch).logits, before)
        assert "forward" not in vars(getattr(network.model, network.backbone_prefix))


def test_an_error_inside_leaves_the_backbone_its_own_forward(tmp_path: Path) -> None:
    network = tiny_network(tiny_llama(tmp_path))
    prepared = prepare_padding_free(network, network.model, tiny_batch(network))
    with pytest.raises(RuntimeError, match="of the loss"), prepared.on():
        raise RuntimeError("of the loss")
    assert "forward" not in vars(getattr(network.model, network.backbone_prefix))


def test_padding_inside_a_text_is_numbered_as_roberta_does() -> None:
    network = _network("RobertaConfig", _PACKED["roberta"][1])
    prepared = prepare_padding_free(network, network.model, _batch(network))
    batch = _batch(network)
    batch["input_ids"][0, 7] = batch["input_ids"][2, 0] = network.model.config.pad_token_id
    expected = network.model(**batch).logits
    with prepared.on():
        torch.testing.assert_close(network.model(**batch).logits, expected, rtol=1e-10, atol=1e-14)


def test_what_an_architecture_asserts_is_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = tiny_network(tiny_llama(tmp_path))
    forward = type(network.model.model).forward

    def strict(self: Any, input_ids: Any = None, attention_mask: Any = None, **kwargs: Any) -> Any:
        assert input_ids.shape == attention_mask.shape
        return forward(self, input_ids=input_ids, attention_mask=attention_mask, **kwargs)

    monkeypatch.setattr(type(network.model.model), "forward", strict)
    with pytest.raises(PaddingNeededError, match="LlamaModel cannot be called so: "):
        prepare_padding_free(network, network.model, tiny_batch(network))
    assert network.model.config._attn_implementation == "sdpa"


def test_what_the_model_brought_along_is_refused_and_kept(tmp_path: Path) -> None:
    network = tiny_network(tiny_llama(tmp_path))
    backbone = network.model.model
    own = backbone.forward
    backbone.forward = lambda *args, **kwargs: own(*args, **kwargs)
    wrapper = backbone.forward
    with pytest.raises(PaddingNeededError, match="LlamaModel has been given another forward pass than its class's"):
        prepare_padding_free(network, network.model, tiny_batch(network))
    assert backbone.forward is wrapper
    del backbone.forward
    backbone.config.output_hidden_states = True
    with pytest.raises(PaddingNeededError, match=r"its config\.json asks for the states of every layer"):
        prepare_padding_free(network, network.model, tiny_batch(network))


def test_a_model_is_prepared_twice_as_once(tmp_path: Path) -> None:
    network = tiny_network(tiny_llama(tmp_path))
    batch = tiny_batch(network)
    expected = network.model(**batch).logits
    for _ in range(2):
        with prepare_padding_free(network, network.model, batch).on():
            torch.testing.assert_close(network.model(**batch).logits, expected, rtol=0.0, atol=1e-5)


def test_rows_padded_for_attention_take_at_most_twice_their_places() -> None:
    rows = Rows(lengths=(512, *(10,) * 255), device="cpu")
    assert [len(group.lengths) for group in rows.alike] == [1, 255]
    draw = np.random.default_rng(0)
    for lengths in (draw.integers(1, 400, 64).tolist() for _ in range(20)):
        for order in (lengths, sorted(lengths, reverse=True)):
            groups = Rows(lengths=tuple(order), device="cpu").alike
            assert [length for group in groups for length in group.lengths] == order
            assert all(group.is_real.numel() <= 2 * sum(group.lengths) for group in groups)


def test_the_trial_leaves_random_numbers_and_mode_alone(tmp_path: Path) -> None:
    network = tiny_network(tiny_bert(tmp_path, hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1))
    network.model.train()
    state = torch.random.get_rng_state()
    prepare_padding_free(network, network.model, tiny_batch(network))
    assert network.model.training
    assert torch.equal(torch.random.get_rng_state(), state)


@each_form
def test_attention_weights_are_dropped_in_training_only(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use(form, monkeypatch)
    network = tiny_network(
        tiny_bert(tmp_path, hidden_dropout_prob=0.0, classifier_dropout=0.0, attention_probs_dropout_prob=0.5)
    )
    batch = tiny_batch(network)
    prepared = prepare_padding_free(network, network.model, batch)
    expected = network.model.eval()(**batch).logits
    with prepared.on():
        torch.testing.assert_close(network.model(**batch).logits, expected, rtol=0.0, atol=1e-6)
        network.model.train()
        draws = [network.model(**batch).logits for _ in range(2)]
    assert not torch.allclose(draws[0], draws[1], atol=1e-4)


def test_layers_computed_again_see_the_same_rows(tmp_path: Path) -> None:
    for name, make in TINY.items():
        no_dropout = {
            "gpt2": ("resid_pdrop", "embd_pdrop", "attn_pdrop"),
            "bert": ("hidden_dropout_prob", "attention_probs_dropout_prob"),
        }.get(name, ())
        network = tiny_network(make(tmp_path / name, **dict.fromkeys(no_dropout, 0.0)))
        batch = tiny_batch(network)
        model = Full().apply(network.model, "classification", seed=0).double().train()
        prepared = prepare_padding_free(network, model, batch)
        _, expected = _loss_and_gradients(model, batch)
        enable_checkpointing(model)
        model.train()
        with prepared.on():
            loss = model(**batch).logits.square().sum()
        loss.backward()  # outside, as a training does it
        for key, parameter in model.named_parameters():
            torch.testing.assert_close(parameter.grad, expected[key], rtol=1e-9, atol=1e-14)
            parameter.grad = None


def _use(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The form for GPUs is right on a CPU too."""
    if form == "by likeness":
        monkeypatch.setattr(padding_free, "_row_by_row", padding_free._by_likeness)


def _network(config: str, fields: dict[str, Any], *, kind: str = "classification") -> Network:
    settings = {"vocab_size": 60, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "use_cache": False}
    made = getattr(transformers, config)(**(settings | fields), num_labels=2)
    made.pad_token_id = made.pad_token_id or 0
    for name in ("cls_token_id", "sep_token_id"):
        if hasattr(made, name):
            setattr(made, name, 2)
    auto = {
        "classification": transformers.AutoModelForSequenceClassification,
        "question_answering": transformers.AutoModelForQuestionAnswering,
    }[kind]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = auto.from_config(made).double().eval()
        for weight in model.parameters():
            weight.data += 0.05 * torch.randn_like(weight)
    prefix = model.base_model_prefix
    is_decoder = not config.startswith(_ENCODERS)
    align = align_decoder if is_decoder else align_encoder
    align(getattr(model, prefix), one_output_per_row=kind == "classification")
    return Network(model=model, tokenizer=None, is_decoder=is_decoder, head_names=(), backbone_prefix=prefix)


def _batch(network: Network, *, side: Any = "right") -> dict[str, torch.Tensor]:
    draw = np.random.default_rng(0)
    rows = [draw.integers(5, 60, length).tolist() for length in _LENGTHS]
    return pad_batch(rows, network.model.config.pad_token_id, is_decoder=network.is_decoder, side=side)


def _loss_and_gradients(
    model: nn.Module, batch: dict[str, torch.Tensor]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    output = model(**batch)
    if "logits" in output:
        loss = output.logits.square().sum()
    else:
        real = batch["attention_mask"].bool()
        loss = (output.start_logits[real].square() + output.end_logits[real].pow(3)).sum()
    loss.backward()
    gradients = {key: weight.grad for key, weight in model.named_parameters() if weight.grad is not None}
    model.zero_grad(set_to_none=True)
    return loss.detach(), gradients


@contextmanager
def _counted_tokens(network: Network) -> Iterator[list[int]]:
    """How many tokens the first linear module of a block was given, by call."""
    counted: list[int] = []
    blocks = (module for name, module in network.model.named_modules() if name.endswith((".0", "_layers.0")))
    linear = next(
        module
        for block in blocks
        for module in block.modules()
        if type(module).__name__ in ("Linear", "Conv1D") and getattr(module, "weight", None) is not None
    )
    hook = linear.register_forward_pre_hook(lambda _, args: counted.append(args[0].numel() // args[0].shape[-1]))
    try:
        yield counted
    finally:
        hook.remove()
