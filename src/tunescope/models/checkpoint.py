"""Any tuned checkpoint, as other tools or we left it: what it is, and the model it makes of a base model."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from tunescope.errors import ModelError
from tunescope.hub.fingerprint import weights_fingerprint
from tunescope.models.base import BaseModelSpec
from tunescope.models.language_model import load_language_model
from tunescope.models.network import Network, load_network
from tunescope.models.packed import PackedWeights, is_packed
from tunescope.models.saving import ADAPTER, HEAD, MODEL, PACKED, kept_in, load_adapter, load_packed, load_tuned
from tunescope.models.tokenizer import has_tokenizer, load_tokenizer
from tunescope.models.weights import weight_shapes
from tunescope.tasks.spec import TaskKind

_ADAPTER_CONFIG = "adapter_config.json"
_ADAPTER_WEIGHTS = "adapter_model.safetensors"
_IN_FILE = "base_model.model."
"""What peft puts before a parameter's name."""
_RECORD = "record.json"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A tuned model before its weights are read."""

    folder: Path
    """Holds `model/`, `packed/`, `adapter/` or `head.safetensors` of a run of ours; else the model or adapter itself."""
    kind: Literal["model", "adapter", "head"]
    is_run: bool
    """Whether it is what a run of ours keeps, or the `packed/` of one."""
    task_kind: TaskKind
    num_labels: int
    base_name: str | None
    """Hub id of the base model that an adapter names; None where it names none."""


def describe_checkpoint(folder: Path) -> Checkpoint:
    """What lies in a folder: a whole model, a peft adapter, or what a run of ours keeps.

    Raises:
        ModelError: If it is none of them.
    """
    found = kept_in(folder)
    if len(found) == 1:
        inside = folder / found[0]
        if found[0] == HEAD:
            kind, labels = _kind_of_heads(_file_shapes(inside))
            return Checkpoint(
                folder=folder, kind="head", is_run=True, task_kind=kind, num_labels=labels, base_name=None
            )
        described = describe_checkpoint(inside)
        return Checkpoint(**(vars(described) | {"folder": folder, "is_run": True}))
    if is_packed(folder):
        kind, labels = _kind_of_heads(PackedWeights(folder, where=str(folder)).shapes)
        return Checkpoint(folder=folder, kind="model", is_run=True, task_kind=kind, num_labels=labels, base_name=None)
    if (folder / _ADAPTER_CONFIG).is_file():
        weights = folder / _ADAPTER_WEIGHTS
        if not weights.is_file():
            raise ModelError(f"{folder}: an adapter without adapter_model.safetensors. Save it as safetensors.")
        kind, labels = _kind_of_heads(_file_shapes(weights))
        name = _json(folder / _ADAPTER_CONFIG).get("base_model_name_or_path")
        return Checkpoint(
            folder=folder,
            kind="adapter",
            is_run=False,
            task_kind=kind,
            num_labels=labels,
            base_name=name if isinstance(name, str) and name else None,
        )
    if (folder / "config.json").is_file():
        kind, labels = _kind_of_heads(weight_shapes(folder, where=str(folder)))
        return Checkpoint(folder=folder, kind="model", is_run=False, task_kind=kind, num_labels=labels, base_name=None)
    raise ModelError(
        f"{folder}: no model (config.json), no adapter ({_ADAPTER_CONFIG}) and no run's artifact "
        f"({ADAPTER}/, {MODEL}/, {PACKED}/ or {HEAD}) is in it."
    )


def load_checkpoint(checkpoint: Checkpoint, base: BaseModelSpec, base_folder: Path) -> tuple[Network, Any]:
    """The base network, and the tuned model on a base of its own.

    Args:
        checkpoint: From `describe_checkpoint`.
        base: The base model; for a whole model it gives the tokenizer where the checkpoint brings none.
        base_folder: Where its files lie.

    Returns:
        The network that the tuned model was made from or reads text by, and the tuned model, in evaluation mode.

    Raises:
        ModelError: If the checkpoint is of another base model, or cannot be read.
    """
    require_own_base(checkpoint, base, base_folder)
    kind, labels = checkpoint.task_kind, checkpoint.num_labels
    if checkpoint.kind == "model" and not checkpoint.is_run:
        name = str(checkpoint.folder)
        spec = BaseModelSpec(name=name, trust_remote_code=base.trust_remote_code, discard_head=True)
        tokenizer = None if has_tokenizer(checkpoint.folder) else load_tokenizer(base, base_folder)
        network = load_network(spec, checkpoint.folder, task_kind=kind, num_labels=labels, seed=0, tokenizer=tokenizer)
        return network, network.model
    discarding = base.model_copy(update={"discard_head": True})
    network = load_network(discarding, base_folder, task_kind=kind, num_labels=labels, seed=0)
    if is_packed(checkpoint.folder):
        return network, load_packed(network, checkpoint.folder).eval()
    if checkpoint.is_run:
        return network, load_tuned(network, checkpoint.folder)
    under = replace(network, model=_adapted_kind(checkpoint.folder, network, base, base_folder))
    return network, load_adapter(under, checkpoint.folder).eval()


def _adapted_kind(folder: Path, network: Network, base: BaseModelSpec, base_folder: Path) -> Any:
    """The kind of model that an adapter was made for: with the LM head, without any, or with the task's head as here."""
    if _json(folder / _ADAPTER_CONFIG).get("task_type") == "CAUSAL_LM":
        return load_language_model(base, base_folder, purpose="drift")
    backbone = getattr(network.model, network.backbone_prefix)
    paths = [name.removeprefix(_IN_FILE) for name in _file_shapes(folder / _ADAPTER_WEIGHTS)]
    is_bare = any(hasattr(backbone, path.split(".", 1)[0]) for path in paths) and not any(
        hasattr(network.model, path.split(".", 1)[0]) for path in paths
    )
    return backbone if is_bare else network.model


def require_own_base(checkpoint: Checkpoint, base: BaseModelSpec, base_folder: Path) -> None:
    """By name where an adapter and BASE both have one; by the base's bytes where a run of ours recorded them.

    Raises:
        ModelError: If the checkpoint is of another base model.
    """
    named = checkpoint.base_name
    is_other = (
        named is not None
        and not _is_path(named)
        and not _is_path(base.name)
        and named.rsplit("/", 1)[-1]
        != base.name.rsplit("/", 1)[-1]  # hub ids that moved to an organisation kept the end
    )
    if is_other:
        raise ModelError(
            f"{checkpoint.folder}: this adapter is of base model '{named}', not of '{base.name}'. Give that one as BASE."
        )
    record = checkpoint.folder / _RECORD
    if not checkpoint.is_run or not record.is_file():
        return
    facts = _json(record).get("facts")
    made_from = facts.get("model_fingerprint") if isinstance(facts, dict) else None
    if made_from is not None and made_from != weights_fingerprint(base_folder):
        raise ModelError(
            f"{checkpoint.folder}: this run was tuned from other files than those of '{base.name}' (their SHA-256 is not "
            f"the recorded {str(made_from)[:12]}...). Give the base model that it was tuned from as BASE."
        )


def _is_path(name: str) -> bool:
    return name.startswith((".", "/", "~"))


def _kind_of_heads(shapes: dict[str, tuple[int, ...]]) -> tuple[TaskKind, int]:
    """What a checkpoint's head is for, and its outputs; a classification of two where it has none."""
    for name, shape in shapes.items():
        parts = name.split(".")
        if "qa_outputs" in parts and name.endswith("weight"):
            return "question_answering", 2
        if ("score" in parts or "classifier" in parts) and len(shape) == 2 and "lora_" not in name:
            if parts[-2] in ("dense", "pooler"):
                continue
            return ("regression", 1) if shape[0] == 1 else ("classification", shape[0])
    return "classification", 2


def _file_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: not a whole safetensors file ({error}).") from error


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read as JSON ({error}).") from error
    return content if isinstance(content, dict) else {}
