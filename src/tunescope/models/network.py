"""A base model and a task become a network: the pretrained backbone tensor for tensor, and a head that is new.

Hugging Face's `from_pretrained` of a head class matches weights by name prefix, and where the prefixes differ it draws
the whole backbone at random and says so in a warning (LlamaForQuestionAnswering in transformers 5). So the backbone is
loaded by itself, checked, and handed to the head class, which then has only its head to draw.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunescope.errors import ModelError
from tunescope.methods.head import head_parameters
from tunescope.models.alignment import align_decoder, align_encoder
from tunescope.models.base import BaseModelSpec
from tunescope.models.tokenizer import load_tokenizer
from tunescope.models.weights import check_weight_files, weight_shapes
from tunescope.tasks.spec import TaskKind


@dataclass(frozen=True, kw_only=True)
class Network:
    """A model with a head for one task, and what text must pass through before it."""

    model: Any
    """Hugging Face model with a head, fp32, on the CPU, in evaluation mode; logits do not depend on padding."""
    tokenizer: Any
    """Fast tokenizer with a pad token."""
    is_decoder: bool
    """Whether attention is causal, so that only the last token has seen all."""
    head_names: tuple[str, ...]
    """Names of the parameters that are new; all others are the checkpoint's."""
    backbone_prefix: str
    """Attribute of `model` that holds the backbone."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A network before its weights are there."""

    config: Any
    """Hugging Face config, settled for the task."""
    tokenizer: Any
    head_class: Any
    skeleton: Any
    """An instance of `head_class` on the meta device."""
    head_names: tuple[str, ...]
    """Names of the parameters that will be new."""


def load_network(
    spec: BaseModelSpec, folder: Path, *, task_kind: TaskKind, num_labels: int, seed: int, tokenizer: Any = None
) -> Network:
    """Loads a base model under a new head.

    Every backbone tensor comes from the checkpoint, in fp32; a pooler that the head does not use is left out. The
    head is drawn by the model's own initialisation from `seed`; the global generators are left as they were.

    Args:
        spec: The base model.
        folder: Where its config, safetensors and tokenizer lie.
        task_kind: Picks the head: one logit per label, one score, or a start and an end logit per token.
        num_labels: Labels of a classification, 2 or more; for the other kinds it is settled by the kind.
        seed: Draws the head.
        tokenizer: From `load_tokenizer`, in place of the folder's own.

    Raises:
        ModelError: If files are missing or damaged, the architecture has no such head or is an encoder-decoder,
            weights for the backbone are missing, a trained head is there and not to be discarded, a dropout is set
            that the architecture does not have, or the tokenizer has more tokens than the model.
        ValueError: If a classification has fewer than 2 labels.
    """
    import torch

    laid = lay_out(spec, folder, task_kind=task_kind, num_labels=num_labels, tokenizer=tokenizer)
    config, tokenizer, head_class, head_names = laid.config, laid.tokenizer, laid.head_class, laid.head_names
    skeleton, prefix, where = laid.skeleton, laid.skeleton.base_model_prefix, f"base_model {spec.name}"
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())), quiet():
        expected = getattr(skeleton, prefix).state_dict().keys()
        backbone = _load_backbone(spec, folder, config, expected=set(expected))
        state = {f"{prefix}.{name}": backbone[name] for name in expected}
        torch.manual_seed(seed)
        model, told = head_class.from_pretrained(
            None, config=config, state_dict=state, dtype=torch.float32, output_loading_info=True
        )
    _check_assembled(model, state, set(told["missing_keys"]), head_names, where=where)

    model.config.pad_token_id = tokenizer.pad_token_id  # after the layers were made: a padding_idx gets no gradient
    model.config.name_or_path = model.name_or_path = spec.name
    reads_left = is_decoder(config, getattr(model, prefix))
    (align_decoder if reads_left else align_encoder)(
        getattr(model, prefix), one_output_per_row=task_kind != "question_answering"
    )
    return Network(
        model=model, tokenizer=tokenizer, is_decoder=reads_left, head_names=head_names, backbone_prefix=prefix
    )


def lay_out(
    spec: BaseModelSpec, folder: Path, *, task_kind: TaskKind, num_labels: int, tokenizer: Any = None
) -> Layout:
    """What `load_network` will make, as far as config, tokenizer and the weights' headers tell; no weights are read.

    Raises:
        ModelError: As `load_network`, except for weights that are missing.
        ValueError: If a classification has fewer than 2 labels.
    """
    import torch

    if task_kind == "classification" and num_labels < 2:
        raise ValueError(f"lay_out: a classification has 2 labels or more, got {num_labels}")
    where = f"base_model {spec.name}"
    check_weight_files(folder, where=where)
    config = _read_config(spec, folder)
    tokenizer = load_tokenizer(spec, folder) if tokenizer is None else tokenizer
    if len(tokenizer) > config.vocab_size:
        raise ModelError(
            f"{where}: its tokenizer has {len(tokenizer)} tokens and the model embeddings for {config.vocab_size}. "
            f"Use the tokenizer that the model was trained with."
        )
    head_class = _head_class(spec, folder, config, task_kind)
    _settle_config(config, spec, task_kind=task_kind, num_labels=num_labels)

    try:
        with torch.device("meta"):
            skeleton = head_class(copy.deepcopy(config))
    except (ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise ModelError(f"{where}: {head_class.__name__} cannot be built from its config.json: {error}") from error
    prefix = skeleton.base_model_prefix
    if not hasattr(skeleton, prefix):
        raise ModelError(
            f"{where}: {head_class.__name__} has no backbone of its own to load weights into. Choose another model."
        )
    head_names = head_parameters(skeleton)
    _refuse_trained_head(spec, folder, skeleton, head_names, num_labels=config.num_labels)
    _refuse_new_pooler(folder, getattr(skeleton, prefix), where=where)
    return Layout(config=config, tokenizer=tokenizer, head_class=head_class, skeleton=skeleton, head_names=head_names)


def dropout_fields(config: Any) -> tuple[str, ...]:
    """Names of a Hugging Face config's dropout probabilities, such as `hidden_dropout_prob` or `attn_pdrop`."""
    return tuple(
        name
        for name, value in config.to_dict().items()
        if ("dropout" in name or name.endswith("pdrop"))
        and (value is None or (isinstance(value, int | float) and not isinstance(value, bool)))
    )


def _read_config(spec: BaseModelSpec, folder: Path) -> Any:
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig

    where = f"base_model {spec.name}"
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=spec.trust_remote_code, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, StrictDataclassError) as error:
        raise ModelError(f"{where}: its config.json cannot be used: {' '.join(str(error).split())}") from error
    if config.is_encoder_decoder:
        raise ModelError(
            f"{where}: {config.model_type} is an encoder-decoder; base models here are decoders (Llama, GPT-2) or "
            f"encoders (BERT). Choose one of those."
        )
    if getattr(config, "quantization_config", None) is not None:
        raise ModelError(
            f"{where}: its weights are quantised; training keeps fp32 weights. Use the unquantised repository."
        )
    return config


def _settle_config(config: Any, spec: BaseModelSpec, *, task_kind: TaskKind, num_labels: int) -> None:
    config.num_labels = {"classification": num_labels, "regression": 1, "question_answering": 2}[task_kind]
    config.problem_type = {"classification": "single_label_classification", "regression": "regression"}.get(task_kind)
    config.use_cache = False
    pad_id = getattr(config, "pad_token_id", None)
    if pad_id is not None and not 0 <= pad_id < config.vocab_size:  # some Llama 2 conversions say -1
        config.pad_token_id = None
    if spec.dropout is not None:
        fields = dropout_fields(config)
        if not fields:
            raise ModelError(
                f"base_model {spec.name}: dropout is set to {spec.dropout}, but {config.model_type} has no dropout. "
                f"Remove base_model.dropout."
            )
        for name in fields:
            setattr(config, name, spec.dropout)


def _head_class(spec: BaseModelSpec, folder: Path, config: Any, task_kind: TaskKind) -> Any:
    from transformers import AutoModelForQuestionAnswering, AutoModelForSequenceClassification
    from transformers.dynamic_module_utils import get_class_from_dynamic_module
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_QUESTION_ANSWERING_MAPPING,
        MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    )

    if task_kind == "question_answering":
        auto, mapping = AutoModelForQuestionAnswering, MODEL_FOR_QUESTION_ANSWERING_MAPPING
    else:
        auto, mapping = AutoModelForSequenceClassification, MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING
    brought_along = getattr(config, "auto_map", None) or {}
    if spec.trust_remote_code and auto.__name__ in brought_along:
        return get_class_from_dynamic_module(brought_along[auto.__name__], str(folder))
    if type(config) not in mapping:
        raise ModelError(
            f"base_model {spec.name}: transformers has no {task_kind.replace('_', ' ')} head for the architecture "
            f"'{config.model_type}' ({auto.__name__} does not list it). Choose another base model for this task."
        )
    return mapping[type(config)]


def _refuse_trained_head(
    spec: BaseModelSpec, folder: Path, skeleton: Any, head_names: tuple[str, ...], *, num_labels: int
) -> None:
    if spec.discard_head:
        return
    shapes = weight_shapes(folder, where=f"base_model {spec.name}")
    trained = [f"{name} {shapes[name]}" for name in head_names if name in shapes]
    if trained:
        raise ModelError(
            f"base_model {spec.name}: its weights bring a trained head ({', '.join(trained)}); the task needs one with "
            f"{num_labels} outputs, and the head is new in every study, so that all methods start alike. "
            f"To throw the trained one away say base_model.discard_head: true."
        )


def _refuse_new_pooler(folder: Path, backbone: Any, *, where: str) -> None:
    """A checkpoint of a masked language model alone has no pooler, and a head above one would read random features."""
    needed = [name for name in backbone.state_dict() if "pooler" in name]
    if needed and not any("pooler" in name for name in weight_shapes(folder, where=where)):
        raise ModelError(
            f"{where}: its weights have no pooler ({', '.join(needed)}), which {type(backbone).__name__} reads its head from. "
            f"A pooler is pretrained with BERT's next-sentence task; take a checkpoint that kept it."
        )


def _load_backbone(spec: BaseModelSpec, folder: Path, config: Any, *, expected: set[str]) -> dict[str, Any]:
    """The backbone's tensors by name, all of them from the checkpoint."""
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModel

    where = f"base_model {spec.name}"
    try:
        backbone, told = AutoModel.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=spec.trust_remote_code,
            local_files_only=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{where}: its weights cannot be loaded: {error}") from error
    state: dict[str, Any] = backbone.state_dict()
    absent = sorted(expected & set(told["missing_keys"]) | expected - state.keys())
    if absent or told["mismatched_keys"] or told["error_msgs"]:
        faults = [*absent, *(str(key) for key in told["mismatched_keys"]), *told["error_msgs"]]
        raise ModelError(
            f"{where}: {len(faults)} of {len(expected)} backbone tensors are not in its weights or do not fit, and would "
            f"be random: {', '.join(faults[:8])}{', ...' if len(faults) > 8 else ''}. Is config.json the weights' own?"
        )
    return state


def _check_assembled(
    model: Any, state: dict[str, Any], new: set[str], head_names: tuple[str, ...], *, where: str
) -> None:
    import torch

    inside = model.state_dict()
    lost = [
        name
        for name, tensor in state.items()
        # A value that is not a number is taken over too; who reads the weights tells of it.
        if name not in inside
        or not (
            torch.equal(inside[name], tensor)
            or (
                inside[name].shape == tensor.shape
                and torch.allclose(inside[name], tensor, rtol=0.0, atol=0.0, equal_nan=True)
            )
        )
    ]
    if lost or new != set(head_names):
        raise ModelError(
            f"{where}: {type(model).__name__} did not take the backbone over: {len(lost)} of {len(state)} tensors differ, "
            f"new are {sorted(new)} where {sorted(head_names)} were expected. Choose another base model, and report this."
        )
    unreal = [name for name, tensor in (*model.named_parameters(), *model.named_buffers()) if tensor.is_meta]
    assert not unreal, f"never materialised: {unreal}"


def is_decoder(config: Any, backbone: Any) -> bool:
    """Whether the architecture reads left to right only.

    It does if transformers knows a causal language model for it and no masked one; where it knows neither (code that
    the repository brought along), the backbone's attention layers are asked.
    """
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )

    if getattr(config, "is_decoder", False):
        return True
    causal = config.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    masked = config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    if causal or masked:
        return not masked
    return any(getattr(module, "is_causal", False) for module in backbone.modules())


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps transformers' progress bars and loading report off the terminal; what they tell is checked instead."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
