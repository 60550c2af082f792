"""Puts a peft adapter on a model: the head trained and saved with it, every weight drawn from the seed, nothing else."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from tunescope.errors import ModelError, did_you_mean
from tunescope.methods.head import head_modules, head_parameters
from tunescope.methods.method import TaskKind

if TYPE_CHECKING:
    from torch import nn

ALL_LINEAR = "all-linear"
_KNOWN_WARNINGS = (".*is_gradient_checkpointing.* is deprecated", "fan_in_fan_out is set to False")  # peft mends both
_PEFT_ADDS = ("classifier", "score")  # to modules_to_save, by itself, for SEQ_CLS


def adapt(model: Any, peft_config: Any, *, kind: str, task_kind: TaskKind, seed: int) -> nn.Module:
    """Wraps a model with a peft adapter, the head among its `modules_to_save`.

    So `save_pretrained` writes adapter and head, and plain `PeftModel.from_pretrained` on the same base gives the same
    logits. Classification and regression have peft's task type SEQ_CLS. Question answering has none: the wrapper that
    QUESTION_ANS selects drops `position_ids` and `token_type_ids` (peft 0.21), which changes BERT's logits silently.

    Args:
        model: A Hugging Face model with a head; changed in place.
        peft_config: An instance of a peft config class; changed in place.
        kind: The method's name, for error messages.
        task_kind: What the head is for.
        seed: Draws the adapter's weights.

    Returns:
        The `PeftModel`; exactly adapter, head and what else the config names (`bias`, `modules_to_save`) train.

    Raises:
        ModelError: If target modules are missing, peft refuses, the head would not train, or base weights changed.
    """
    import torch
    from peft import get_peft_model

    heads = head_modules(model)
    num_head = sum(model.get_parameter(name).numel() for name in head_parameters(model))
    where = f"method {kind} on {type(model).__name__}"
    _settle_head(peft_config, heads, where=where, task_kind=task_kind)
    _refuse_missing_targets(peft_config, model, where=where)
    linear = ", ".join(linear_names(model))
    before = [(name, weight, _checksum(weight)) for name, weight in model.named_parameters()]

    with torch.random.fork_rng(devices=range(torch.cuda.device_count())), warnings.catch_warnings():
        for known in _KNOWN_WARNINGS:
            warnings.filterwarnings("ignore", message=known)
        torch.manual_seed(seed)
        try:
            wrapped: nn.Module = get_peft_model(model, peft_config)
        except (ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
            raise ModelError(
                f"{where}: peft's {type(peft_config).__name__} does not fit this model: {_one_line(error)}. "
                f"Its linear modules: {linear}."
            ) from error

    kept = {id(weight) for weight in wrapped.parameters()}
    changed = [name for name, weight, total in before if id(weight) not in kept or _checksum(weight) != total]
    if changed:
        raise ModelError(
            f"{where}: this {type(peft_config).__name__} rewrites {len(changed)} of the base weights when it starts "
            f"(the first: {changed[0]}), so its adapter would not load onto the plain base model. Choose another "
            f"initialisation, such as the default."
        )
    trained = {name: weight.numel() for name, weight in wrapped.named_parameters() if weight.requires_grad}
    in_head = re.compile(rf"(^|\.)({'|'.join(map(re.escape, heads))})\.modules_to_save\.")
    num_head_trained = sum(count for name, count in trained.items() if in_head.search(name))
    if num_head_trained != num_head:
        raise ModelError(
            f"{where}: {num_head} head weights should be trained, with {type(peft_config).__name__} "
            f"{num_head_trained} would be. Choose another config class."
        )
    if len(trained) == sum(1 for name in trained if in_head.search(name)):
        raise ModelError(
            f"{where}: {type(peft_config).__name__} trains nothing but the head here. Give it target modules; the "
            f"linear ones: {linear}."
        )
    return wrapped


def _checksum(weight: Any) -> float | None:
    """The same for the same values; some initialisations write through `.data`, which leaves no other trace."""
    import torch

    return None if weight.is_meta else float(weight.detach().sum(dtype=torch.float64))


def _settle_head(peft_config: Any, heads: tuple[str, ...], *, where: str, task_kind: TaskKind) -> None:
    name = type(peft_config).__name__
    if not hasattr(peft_config, "modules_to_save"):
        raise ModelError(
            f"{where}: {name} has no modules_to_save, so it cannot train the task's head. Choose another class."
        )
    if task_kind == "question_answering" and peft_config.is_prompt_learning:
        raise ModelError(
            f"{where}: {name} puts virtual tokens before the text, so answer positions no longer fit; it works for "
            f"classification and regression only."
        )
    asked = list(peft_config.modules_to_save or [])
    if task_kind == "question_answering":
        peft_config.modules_to_save = [*asked, *(head for head in heads if head not in asked)]
    else:
        peft_config.task_type = "SEQ_CLS"
        added = (*asked, *_PEFT_ADDS)
        peft_config.modules_to_save = [*asked, *(head for head in heads if head not in added)] or None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")


def linear_names(model: nn.Module) -> list[str]:
    """Last parts of the names of the model's linear layers, head excluded, each once: `q_proj`, `down_proj`, ..."""
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    prefix = getattr(model, "base_model_prefix", "")
    backbone = getattr(model, prefix, model) if prefix else model
    return sorted(
        {name.rsplit(".", 1)[-1] for name, m in backbone.named_modules() if isinstance(m, nn.Linear | Conv1D)}
    )


def missing_from(targets: str | Collection[str] | None, names: Iterable[str]) -> tuple[str, ...]:
    """Targets that no module name matches, by peft's rule: the whole name or its end after a dot, or a whole regex.

    Example:
        >>> missing_from(["q_proj", "query"], ["layers.0.self_attn.q_proj"])
        ('query',)
    """
    names = list(names)
    if targets is None or targets == ALL_LINEAR:
        return ()
    if isinstance(targets, str):
        return () if any(re.fullmatch(targets, name) for name in names) else (targets,)
    return tuple(
        sorted(target for target in targets if not any(n == target or n.endswith(f".{target}") for n in names))
    )


def missing_from_architecture(targets: str | Collection[str] | None, config: Any) -> tuple[str, ...]:
    """Targets that an architecture lacks, told from its config alone: the backbone is laid out without weights."""
    import torch
    from transformers import AutoModel

    with torch.device("meta"):
        backbone = AutoModel.from_config(config)
    prefix = backbone.base_model_prefix
    return missing_from(targets, [f"{prefix}.{name}" for name, _ in backbone.named_modules() if name])


def _refuse_missing_targets(peft_config: Any, model: Any, *, where: str) -> None:
    targets = getattr(peft_config, "target_modules", None)
    missing = missing_from(targets, [name for name, _ in model.named_modules() if name])
    if missing:
        raise ModelError(
            f"{where}: target_modules names what the model does not have: {', '.join(missing)}. "
            f"{did_you_mean(missing[0], linear_names(model))}"
        )
