"""Any two models from Python: what was read, what is said of weights, and positions counted as each model counts them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import RobertaConfig, RobertaModel

from tiny import TINY, tiny_network
from tunescope.api.drift import drift_between
from tunescope.drift.two_models import _encoded_texts, _require_positions, compare_models
from tunescope.errors import DataError, ModelError
from tunescope.hub.source import Source
from tunescope.methods import AnyPeft, Full, Lora
from tunescope.models.saving import save_tuned

CKA = "debiased_linear_cka"
TEXTS = [f"the {animal} {deed} on the mat" for animal in ("cat", "dog", "bird") for deed in ("sat", "ran", "flew")]


def _compared(base, tuned, texts=TEXTS, **more):
    return compare_models(str(base), str(tuned), texts, source=Source(), measures=(CKA, "relative_change"), **more)


def _run(folder, base, method):
    folder.mkdir()
    model = method.apply(tiny_network(base).model, "classification", 1)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(0.05 * torch.randn_like(weight))
    save_tuned(model, method.kind, folder)
    return folder


@pytest.mark.parametrize("name", ["llama", "gpt2", "bert"])
def test_a_model_is_0_from_itself(name, tmp_path):
    base = TINY[name](tmp_path / "base")
    found = _compared(base, base, pooling=("mean", "all_tokens"))
    assert found.ids == tuple(str(number) for number in range(1, 10))
    values = {row.value for row in found.rows if row.measure == CKA}
    assert max(abs(value - 1.0) for value in values) < 1e-6
    assert {row.value for row in found.rows if row.measure == "relative_change" and row.pooling == "mean"} == {0.0}
    assert all(row.relative_norm == 0.0 for row in found.updates)
    assert (found.truncated, found.notes) == (0.0, ())


def test_the_first_texts_are_read_and_long_ones_cut(tmp_path):
    base = TINY["bert"](tmp_path / "base")
    found = _compared(base, base, num_examples=5, max_length=6)
    assert found.ids == ("1", "2", "3", "4", "5")
    assert found.truncated == 1.0


def test_weights_are_left_out_where_nobody_asks(tmp_path):
    base = TINY["bert"](tmp_path / "base")
    run = _run(tmp_path / "run", base, Lora(rank=2))
    assert _compared(base, run, weights=False).updates == ()
    assert len(_compared(base, run).updates) > 0


def test_a_half_precision_base_is_exact_for_our_runs_and_a_note_for_other_models(tmp_path):
    base = TINY["bert"](tmp_path / "base")
    path = base / "model.safetensors"
    halved = {
        name: tensor.bfloat16() if tensor.is_floating_point() else tensor for name, tensor in load_file(path).items()
    }
    save_file(halved, path, metadata={"format": "pt"})
    run = _run(tmp_path / "run", base, Full())
    assert _compared(base, run).updates
    found = _compared(base, run / "model")
    assert found.updates == ()
    assert found.notes[0].startswith("no comparison of the weights:")


def test_a_text_without_a_token_is_told(tmp_path):
    tokenizer = tiny_network(TINY["gpt2"](tmp_path / "base")).tokenizer
    with pytest.raises(DataError, match="text 2 has no token"):
        _encoded_texts(["the cat", " ", "the dog"], tokenizer, 16)


def test_positions_are_counted_as_the_model_counts_them(tmp_path):
    network = tiny_network(TINY["llama"](tmp_path / "base"))
    _, encoded = _encoded_texts([" ".join(["cat"] * 31)], network.tokenizer, 64)  # <s> in front: 32 tokens
    assert int(encoded.lengths.max()) == 32
    sizes = {
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 8,
        "vocab_size": 30,
    }
    for positions, fits in ((34, True), (33, False)):
        roberta = RobertaModel(RobertaConfig(max_position_embeddings=positions, pad_token_id=1, **sizes))
        if fits:
            _require_positions(roberta, encoded, "r")
        else:
            with pytest.raises(ModelError, match="the longest text is 32 tokens, and the model has 31 positions"):
                _require_positions(roberta, encoded, "r")
    prompt = AnyPeft(config_class="PromptTuningConfig", config={"num_virtual_tokens": 2})
    tuned = prompt.apply(
        tiny_network(TINY["llama"](tmp_path / "short", max_position_embeddings=33)).model, "classification", 1
    )
    with pytest.raises(ModelError, match="the model has 31 positions"):
        _require_positions(tuned, encoded, "p")


@pytest.mark.parametrize("name", ["llama", "bert"])
def test_tokens_have_their_interval_over_texts(name, tmp_path, monkeypatch):
    base = TINY[name](tmp_path / "base")
    run = _run(tmp_path / "run", base, Full())
    texts = tmp_path / "texts.txt"
    texts.write_text("\n\n".join(f"{text} {end}" for text in TEXTS for end in ("now", "where ?")), encoding="utf-8")

    def blocks():
        found = drift_between(str(base), str(run), text=texts, pooling="all_tokens", weights=False)
        return [row for row in found.rows if row.state.startswith("block_")]

    whole = blocks()
    assert [row.state for row in whole] == ["block_01", "block_02"]
    for row in whole:
        assert (row.measure, row.num_examples) == (CKA, 18)
        assert row.ci_low < row.value < row.ci_high
        assert row.standard_error > 0.0
        assert "interval" not in row.note
    monkeypatch.setattr("tunescope.drift.sequence_sample.MOST_SEQUENCES", 16)
    for row, other in zip(whole, blocks(), strict=True):
        assert "interval by jackknife over 16 of 18 sequences, scaled" in other.note
        assert other.value == pytest.approx(row.value, abs=1e-6)
        assert other.ci_low < other.value < other.ci_high
        assert other.standard_error != row.standard_error


def test_batches_change_nothing(tmp_path):
    base = TINY["llama"](tmp_path / "base")
    run = _run(tmp_path / "run", base, Lora(rank=2))
    one, other = (
        _compared(base, run, batch_tokens=tokens, weights=False, pooling=("mean", "all_tokens")) for tokens in (8, 4096)
    )
    for first, second in zip(one.rows, other.rows, strict=True):
        assert (first.value is None) == (second.value is None)
        if first.value is not None:
            assert np.isclose(first.value, second.value, rtol=0.0, atol=1e-5)
