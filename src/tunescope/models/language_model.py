"""A base model as the language model it was pretrained as, and a tuned model's backbone in its place."""

from __future__ import annotations

import copy
from collections import OrderedDict
from pathlib import Path
from typing import Any, Literal

from tunescope.errors import ModelError
from tunescope.models.base import BaseModelSpec
from tunescope.models.network import Network, is_decoder, quiet

Purpose = Literal["zero_shot", "retention", "drift"]
_LEAVE_OUT: dict[Purpose, str] = {
    "zero_shot": "Take zero_shot out of `baselines`.",
    "retention": "Take `retention` out of the study: it is not measured for encoders.",
    "drift": "An adapter of type CAUSAL_LM needs a decoder as its base.",
}
_LACKS_HEAD: dict[Purpose, str] = {
    "zero_shot": "A zero-shot baseline needs the pretrained LM head: take it out of `baselines`, or use a causal LM checkpoint.",
    "retention": "Retention needs the pretrained LM head: take it out of the study, or use a causal LM checkpoint.",
    "drift": "An adapter of type CAUSAL_LM needs the LM head that it was made under: use the causal LM checkpoint.",
}


def load_language_model(spec: BaseModelSpec, folder: Path, *, purpose: Purpose = "zero_shot") -> Any:
    """The causal language model of a folder, in fp32 and evaluation mode.

    Args:
        spec: The base model.
        folder: Where its files lie.
        purpose: What it is loaded for, so that errors can say what to leave out.

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
        raise _no_next_word(spec.name, type(model).__name__, purpose)
    missing = sorted(info["missing_keys"])
    if missing:
        raise ModelError(
            f"base model '{spec.name}': its checkpoint lacks {len(missing)} tensors of the language model "
            f"({missing[0]}, ...). {_LACKS_HEAD[purpose]}"
        )
    return model.eval()


def tuned_language_model(tuned_model: Any, network: Network, language_model: Any) -> Any:
    """A tuned model's backbone under the LM head of its base model: what fine-tuning left of the language model.

    The head is the base model's own tensor, also where it was pretrained as one with the input embeddings and those
    were tuned: both language models then put the same question to two backbones. The task's head plays no part. An
    adapter stays in place, and virtual tokens (prompt and prefix tuning) stand in front of every text; their own
    logits, where there are any, come before the text's.

    No weight is copied: the result shares the backbone with `tuned_model` and the head with `language_model`, moves and
    changes with them, and sets both to evaluation mode. It is for reading only, not for saving.

    Args:
        tuned_model: What a method's `apply` or `load_tuned` gave, made from `network`.
        network: What it was made from.
        language_model: The same base model, from `load_language_model`, on the same device.

    Returns:
        A causal language model in evaluation mode. Unlike a network's, its output has a state for every token.

    Raises:
        ModelError: If the network is an encoder, or its backbone is not of the class that the language model has.
    """
    name = network.model.config.name_or_path
    if not network.is_decoder:
        raise _no_next_word(name, type(network.model).__name__, "retention")
    is_adapted = hasattr(tuned_model, "get_base_model")
    inside = tuned_model.get_base_model() if is_adapted else tuned_model
    backbone = getattr(inside, network.backbone_prefix)
    prefix = language_model.base_model_prefix
    pretrained = getattr(language_model, prefix, None)
    if type(backbone) is not type(pretrained):
        raise ModelError(
            f"base model '{name}': the task's network has the backbone {type(backbone).__name__}, the language model "
            f"{type(pretrained).__name__}, so the tuned one does not fit under its LM head. {_LEAVE_OUT['retention']}"
        )
    tuned = _with_module(language_model, prefix, _without_hooks(backbone))
    if is_adapted and tuned_model.active_peft_config.is_prompt_learning:
        from peft import PeftModelForCausalLM

        tuned = _with_module(tuned_model, "base_model", tuned)
        tuned.__class__ = PeftModelForCausalLM  # its forward is the one that knows logits of every token
    return tuned.eval()


def _with_module(model: Any, name: str, module: Any) -> Any:
    """A copy that shares everything with a model but one direct child."""
    changed = copy.copy(model)
    changed._modules = {**model._modules, name: module}
    return changed


def _without_hooks(backbone: Any) -> Any:
    """A copy that shares every weight; `align_decoder`'s hooks on a classifier leave the last token's state alone."""
    bare = copy.copy(backbone)
    for name in (
        *("_forward_hooks", "_forward_hooks_with_kwargs", "_forward_hooks_always_called"),
        *("_forward_pre_hooks", "_forward_pre_hooks_with_kwargs"),
    ):
        assert hasattr(bare, name), f"torch keeps hooks elsewhere than in {name}"
        setattr(bare, name, OrderedDict())
    return bare


def _no_next_word(name: str, class_name: str, purpose: Purpose) -> ModelError:
    return ModelError(
        f"base model '{name}' is an encoder ({class_name}): it reads both ways, and has no next word to be "
        f"asked for. {_LEAVE_OUT[purpose]}"
    )
