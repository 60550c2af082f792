"""Every tokenizer can pad, and none grew for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tiny import tiny_bert, tiny_gpt2, tiny_llama, tiny_network
from tunescope.errors import ModelError
from tunescope.models.base import BaseModelSpec
from tunescope.models.tokenizer import load_tokenizer


@pytest.mark.parametrize("tiny, pad", [(tiny_llama, "<unk>"), (tiny_gpt2, "<|endoftext|>"), (tiny_bert, "[PAD]")])
def test_an_existing_token_pads(tiny, pad: str, tmp_path: Path) -> None:
    network = tiny_network(tiny(tmp_path))
    assert network.tokenizer.pad_token == pad
    assert network.model.config.pad_token_id == network.tokenizer.pad_token_id == 0
    assert len(network.tokenizer) == network.model.get_input_embeddings().weight.shape[0]


def test_end_of_text_pads_where_there_is_no_unknown_token(tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path)
    _settings(folder, unk_token=None)
    tokenizer = load_tokenizer(BaseModelSpec(name="m"), folder)
    assert (tokenizer.pad_token, tokenizer.pad_token_id) == ("</s>", 2)


def test_nothing_to_pad_with(tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path)
    _settings(folder, unk_token=None, eos_token=None)
    with pytest.raises(ModelError, match=r"base_model m: its tokenizer has no pad, unknown or end-of-text token"):
        load_tokenizer(BaseModelSpec(name="m"), folder)


def test_the_pad_row_still_learns(tmp_path: Path) -> None:
    """A padding_idx would stop the gradient of a token that texts hold too."""
    network = tiny_network(tiny_gpt2(tmp_path))
    assert network.model.get_input_embeddings().padding_idx is None


def test_no_tokenizer(tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    with pytest.raises(ModelError, match=r"base_model m: its folder has no tokenizer \(none of tokenizer\.json, "):
        load_tokenizer(BaseModelSpec(name="m"), folder)


def test_none_is_made_up_for_an_encoder_either(tmp_path: Path) -> None:
    """transformers 5 builds a BERT tokenizer that knows no word where there are no files."""
    folder = tiny_bert(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    with pytest.raises(ModelError, match=r"base_model m: its folder has no tokenizer"):
        load_tokenizer(BaseModelSpec(name="m"), folder)


def test_a_tokenizer_that_cannot_be_read(tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path)
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelError, match=r"base_model m: no tokenizer can be read"):
        load_tokenizer(BaseModelSpec(name="m"), folder)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"model": 3}'])
def test_a_tokenizer_that_is_none(text: str, tmp_path: Path) -> None:
    (tiny_llama(tmp_path) / "tokenizer.json").write_text(text)
    with pytest.raises(ModelError, match=r"base_model m: no tokenizer can be read"):
        load_tokenizer(BaseModelSpec(name="m"), tmp_path)


def test_a_tokenizer_larger_than_the_model(tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path / "small", vocab_size=20)
    with pytest.raises(ModelError, match=r"tokenizer has 27 tokens and the model embeddings for 20"):
        tiny_network(folder)


def _settings(folder: Path, **changes: str | None) -> None:
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
