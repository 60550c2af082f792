"""Left, right and no padding give equal logits, and a text may end with the pad id."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from tiny import TINY, logits_of, tiny_batch, tiny_bert, tiny_llama, tiny_network
from tunescope.methods import AnyPeft
from tunescope.models.padding import pad_batch

KINDS = ("classification", "regression", "question_answering")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", TINY)
def test_padding_does_not_bear_on_logits(name: str, kind: str, tmp_path: Path) -> None:
    network = tiny_network(TINY[name](tmp_path), task_kind=kind)
    left, right = (tiny_batch(network, side=side) for side in ("left", "right"))
    with torch.no_grad():
        for index, (one, other) in enumerate(
            zip(logits_of(network.model, left), logits_of(network.model, right), strict=True)
        ):
            own = {
                key: values[index : index + 1, : int(right["attention_mask"][index].sum())]
                for key, values in right.items()
            }
            (alone,) = logits_of(network.model, own)
            torch.testing.assert_close(one, alone, atol=1e-5, rtol=0)
            torch.testing.assert_close(other, alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_left_padding_needs_no_positions_from_the_caller(name: str, tmp_path: Path) -> None:
    network = tiny_network(TINY[name](tmp_path))
    batch = tiny_batch(network, side="left")
    with torch.no_grad():
        with_positions = network.model(**batch).logits
        del batch["position_ids"]
        without = network.model(**batch).logits
    assert torch.equal(with_positions, without)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_text_that_ends_with_the_pad_id_is_read_to_its_end(name: str, side: str, tmp_path: Path) -> None:
    network = tiny_network(TINY[name](tmp_path))
    pad = network.tokenizer.pad_token_id
    ending, longer = [4, 5, 6, pad], [4, 5, 6, 7, 8, 9]
    with torch.no_grad():
        logits = network.model(**pad_batch([ending, longer], pad, is_decoder=True, side=side)).logits
        states = network.model(**pad_batch([ending], pad, is_decoder=True), output_hidden_states=True).hidden_states[-1]
        plain = type(network.model).from_pretrained(_saved(network, tmp_path / "plain"))
        early = plain(**pad_batch([ending], pad, is_decoder=True)).logits
    expected = network.model.score(states[:, -1])
    torch.testing.assert_close(logits[:1], expected, atol=1e-5, rtol=0)
    assert (early - expected).abs().max() > 1e-3, "the plain class reads one token early; if not, the hook can go"


@pytest.mark.parametrize("name", TINY)
def test_a_plain_class_gives_the_same_logits_on_right_padded_text(name: str, tmp_path: Path) -> None:
    network = tiny_network(TINY[name](tmp_path))
    plain = type(network.model).from_pretrained(_saved(network, tmp_path / "plain"))
    batch = tiny_batch(network)
    with torch.no_grad():
        assert torch.equal(network.model(**batch).logits, plain(**batch).logits)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", TINY)
def test_hidden_states_come_out_in_the_order_that_went_in(name: str, kind: str, tmp_path: Path) -> None:
    network = tiny_network(TINY[name](tmp_path), task_kind=kind)
    batches = [tiny_batch(network, side=side) for side in ("left", "right")]
    with torch.no_grad():
        left, right = (network.model(**batch, output_hidden_states=True).hidden_states for batch in batches)
    for one, other in zip(left, right, strict=True):
        masks = [batch["attention_mask"].bool() for batch in batches]
        torch.testing.assert_close(one[masks[0]], other[masks[1]], atol=1e-5, rtol=0)


@pytest.mark.parametrize("config_class", ["PromptTuningConfig", "PrefixTuningConfig"])
@pytest.mark.parametrize("tiny", [tiny_llama, tiny_bert])
def test_a_learned_prefix_is_not_taken_for_padding(tiny, config_class: str, tmp_path: Path) -> None:
    network = tiny_network(tiny(tmp_path))
    method = AnyPeft(config_class=config_class, config={"num_virtual_tokens": 3})
    model = method.apply(network.model, "classification", seed=1).eval()
    with torch.no_grad():
        left, right = (model(**tiny_batch(network, side=side)).logits for side in ("left", "right"))
    torch.testing.assert_close(left, right, atol=1e-5, rtol=0)


def test_a_copied_model_does_not_lean_on_the_original(tmp_path: Path) -> None:
    network = tiny_network(tiny_llama(tmp_path))
    batch = tiny_batch(network, side="left")
    with torch.no_grad():
        expected = network.model(**batch).logits
        twin = copy.deepcopy(network.model)
        network.model.model.embed_tokens.weight.zero_()
        assert torch.equal(twin(**batch).logits, expected)


def _saved(network, folder: Path) -> Path:
    network.model.save_pretrained(folder)
    return folder
