"""Loads a base model's tokenizer and gives it a pad token without adding one to the vocabulary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunescope.errors import ModelError
from tunescope.models.base import BaseModelSpec

_VOCABULARY = ("tokenizer.json", "*.model", "vocab.txt", "vocab.json")
"""Where a tokenizer's words may stand; sentencepiece has its own names, each ending in `.model`."""

MAX_UNKNOWN = 0.5
"""Share of a task's tokens that a tokenizer may not know before it is taken for the wrong one."""


def has_tokenizer(folder: Path) -> bool:
    """Whether a tokenizer's words lie in a folder."""
    return any(next(folder.glob(pattern), None) for pattern in _VOCABULARY)


def load_tokenizer(spec: BaseModelSpec, folder: Path) -> Any:
    """The tokenizer that lies beside the weights.

    Where there is no pad token, an existing token pads: the unknown token, else the end-of-text token. No row is ever
    added to the embeddings. Padding is masked, and a network from `load_network` goes by the mask alone, so it does no
    harm that a text may hold the same token.

    Args:
        spec: The base model.
        folder: Where its files lie.

    Returns:
        A fast Hugging Face tokenizer with a pad token, padding on the right.

    Raises:
        ModelError: If there is no tokenizer, it is not a fast one, or no token can pad.
    """
    from transformers import AutoTokenizer

    # transformers makes a tokenizer of five special tokens out of nothing, under which every word is unknown.
    if not has_tokenizer(folder):
        raise ModelError(
            f"base_model {spec.name}: its folder has no tokenizer (none of {', '.join(_VOCABULARY)}). "
            f"Copy the files that the model was trained with, tokenizer.json and tokenizer_config.json, beside the weights."
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, trust_remote_code=spec.trust_remote_code, local_files_only=True
        )
    except Exception as error:  # the tokenizers library raises bare Exception
        raise ModelError(
            f"base_model {spec.name}: no tokenizer can be read from its folder (expected tokenizer.json and "
            f"tokenizer_config.json): {error}"
        ) from error
    if not tokenizer.is_fast:
        raise ModelError(
            f"base_model {spec.name}: its tokenizer ({type(tokenizer).__name__}) is not a fast one, so characters cannot "
            f"be matched with tokens. Save it as tokenizer.json with tokenizer.save_pretrained of its fast class."
        )
    if tokenizer.pad_token_id is None:
        stand_in = tokenizer.unk_token if tokenizer.unk_token_id is not None else tokenizer.eos_token
        if stand_in is None:
            raise ModelError(
                f"base_model {spec.name}: its tokenizer has no pad, unknown or end-of-text token to pad with. "
                f'Name one in tokenizer_config.json, such as "pad_token": "</s>".'
            )
        tokenizer.pad_token = stand_in
    tokenizer.padding_side = "right"
    return tokenizer
