"""A base model as the language model it was pretrained as."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunescope.errors import ModelError
from tunescope.models.base import BaseModelSpec
from tunescope.models.network import is_decoder, quiet


def load_language_model(spec: BaseModelSpec, folder: Path) -> Any:
    """The causal language model of a folder, in fp32 and evaluation mode.

    Raises:
        ModelError: If the architecture has none or reads both ways, or any of its weights is not in the checkpoint.
    """
    from transformers import AutoModelForCausalLM

    try:
        with quiet():
            model, info = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype="float32",
                use_safetensors=True,
                output_loading_info=True,
                local_files_only=True,
                trust_remote_code=spec.trust_remote_code,
            )
    except (OSError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ModelError(f"base model '{spec.name}' cannot be loaded as a causal language model: {reason}") from error
    if not is_decoder(model.config, model.base_model):
        raise ModelError(
            f"base model '{spec.name}' is an encoder ({type(model).__name__}): it reads both ways, and has no next word to be "
            "asked for. Take zero_shot out of `baselines`."
        )
    missing = sorted(info["missing_keys"])
    if missing:
        raise ModelError(
            f"base model '{spec.name}': its checkpoint lacks {len(missing)} tensors of the language model ({missing[0]}, ...). "
            "A zero-shot baseline needs the pretrained LM head: take it out of `baselines`, or use a causal LM checkpoint."
        )
    return model.eval()
