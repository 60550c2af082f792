"""Whole Hugging Face model folders of a few kilobytes, random but complete: config, safetensors, tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

WORDS_TEXT = "the a cat dog bird sat ran flew on under mat tree is was not good bad who what where . ? : ,"
WORDS = tuple(WORDS_TEXT.split())
"""What every tiny tokenizer knows beside its special tokens; other words become its unknown token."""


def tiny_llama(folder: Path, *, seed: int = 0, **config: Any) -> Path:
    """A Llama with 4 heads, 2 key/value heads and no pad token; `<unk>` 0, `<s>` 1 in front of every text, `</s>` 2."""
    tokenizer = _save_tokenizer(folder, ["<unk>", "<s>", "</s>"], unk="<unk>", bos="<s>", eos="</s>")
    settings: dict[str, Any] = {
        "vocab_size": tokenizer.get_vocab_size(),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "initializer_range": 0.2,
        "tie_word_embeddings": False,
    }
    return _save(LlamaForCausalLM, LlamaConfig(**(settings | config)), folder, seed)


def tiny_gpt2(folder: Path, *, seed: int = 0, **config: Any) -> Path:
    """A GPT-2: learned positions, and one special token, `<|endoftext|>` 0, for everything."""
    token = "<|endoftext|>"
    tokenizer = _save_tokenizer(folder, [token], unk=token, eos=token)
    settings: dict[str, Any] = {
        "vocab_size": tokenizer.get_vocab_size(),
        "n_embd": 32,
        "n_layer": 2,
        "n_head": 4,
        "n_positions": 128,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "initializer_range": 0.2,
    }
    return _save(GPT2LMHeadModel, GPT2Config(**(settings | config)), folder, seed)


def tiny_bert(folder: Path, *, seed: int = 0, **config: Any) -> Path:
    """A BERT with its pooler; `[PAD]` 0, `[UNK]` 1, `[CLS]` 2 and `[SEP]` 3 put in as BERT does."""
    tokenizer = _save_tokenizer(
        folder, ["[PAD]", "[UNK]", "[CLS]", "[SEP]"], unk="[UNK]", pad="[PAD]", cls="[CLS]", sep="[SEP]"
    )
    settings: dict[str, Any] = {
        "vocab_size": tokenizer.get_vocab_size(),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 128,
        "initializer_range": 0.2,
    }
    return _save(BertModel, BertConfig(**(settings | config)), folder, seed)


def _save(model_class: Any, config: Any, folder: Path, seed: int) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = model_class(config)
        for weight in model.parameters():  # biases and norms too, so that none is a constant
            weight.data += 0.02 * torch.randn_like(weight)
    model.save_pretrained(folder)
    return folder


def _save_tokenizer(
    folder: Path,
    special: list[str],
    *,
    unk: str,
    pad: str | None = None,
    bos: str | None = None,
    eos: str | None = None,
    cls: str | None = None,
    sep: str | None = None,
) -> Any:
    ids = {word: index for index, word in enumerate([*special, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token=unk))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    first, last = bos or cls, sep
    if first is not None:
        end = f" {last}" if last else ""
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{first} $A{end}",
            pair=f"{first} $A{end} $B:1{f' {last}:1' if last else ''}",
            special_tokens=[(token, ids[token]) for token in (first, last) if token],
        )
    named = {"unk_token": unk, "pad_token": pad, "bos_token": bos, "eos_token": eos, "cls_token": cls, "sep_token": sep}
    inputs = ["input_ids", "token_type_ids", "attention_mask"] if sep else ["input_ids", "attention_mask"]
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_input_names=inputs,
        **{name: token for name, token in named.items() if token is not None},
    )
    fast.save_pretrained(folder)
    return tokenizer


TINY = {"llama": tiny_llama, "gpt2": tiny_gpt2, "bert": tiny_bert}
"""Every tiny model by name."""

TEXTS = ("the cat sat", "where is the good dog ?", "the bird flew under the tree . who sat on the mat ?")


def tiny_network(
    folder: Path, *, task_kind: Any = "classification", num_labels: int = 2, seed: int = 7, **spec: Any
) -> Any:
    """A tiny folder's network."""
    from tunescope.models.base import BaseModelSpec
    from tunescope.models.network import load_network

    base = BaseModelSpec(name=str(folder), **spec)
    return load_network(base, folder, task_kind=task_kind, num_labels=num_labels, seed=seed)


def tiny_batch(network: Any, texts: Sequence[str] = TEXTS, *, side: Any = "right") -> dict[str, torch.Tensor]:
    """Texts as a padded batch for the network; encoders get a first and a second segment."""
    from tunescope.models.padding import pad_batch

    encoded = [network.tokenizer(text, None if network.is_decoder else "the cat") for text in texts]
    types = None if network.is_decoder else [row["token_type_ids"] for row in encoded]
    rows = [row["input_ids"] for row in encoded]
    return pad_batch(rows, network.tokenizer.pad_token_id, is_decoder=network.is_decoder, side=side, token_types=types)


def logits_of(model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    """Each row's logits: (labels,) where rows are classified, (2, its tokens) where tokens are, padding left out."""
    out = model(**batch)
    if hasattr(out, "logits"):
        return list(out.logits)
    both = torch.stack([out.start_logits, out.end_logits], dim=1)
    return [row[:, mask.bool()] for row, mask in zip(both, batch["attention_mask"], strict=True)]
