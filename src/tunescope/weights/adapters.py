"""What a peft adapter adds to each parameter: plain LoRA as factors, any other kind merged by peft, one module at a time.

Each module is laid out alone under its full name, so that peft itself resolves rank and alpha patterns, rsLoRA, the
orientation of GPT-2's Conv1D and what else an adapter's config says; nothing of that is copied here.
"""

from __future__ import annotations

import copy
import dataclasses
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tunescope.errors import ModelError
from tunescope.weights.checkpoint import Checkpoint
from tunescope.weights.names import another_base, current_name, owners, pair_prefixes
from tunescope.weights.update import WHOLE_MODEL, LowRank, ModuleUpdate

ADAPTER_CONFIG = "adapter_config.json"
_WEIGHTS = "adapter_model.safetensors"
_IN_FILE = "base_model.model."
_NAME = "default"
_FACTORS = ({"lora_A.weight", "lora_B.weight"}, {"lora_embedding_A", "lora_embedding_B"})
_NEEDS_NO_DATA = (True, False, "gaussian", "orthogonal", "eva")
"""Initialisations of LoRA that leave the base weights as they are; what they drew is overwritten by the file."""
_SIZED_BY_ALL = ("RANDLORA",)
"""Kinds whose tensors are as large as the largest adapted module, so that no module can be laid out alone."""
_OF_OTHER_MODULES = (
    "modules_to_save",
    "exclude_modules",
    "layers_to_transform",
    "layers_pattern",
    "layer_replication",
    "target_parameters",
    "trainable_token_indices",
    "eva_config",
)


@dataclass(frozen=True, kw_only=True)
class _Adapter:
    config: Any
    file: Checkpoint
    skeleton: Any
    """The backbone on the meta device: what kind each module is."""
    base: Checkpoint
    base_names: dict[str, str]
    """Parameter name under the head -> name in the base checkpoint."""


def adapter_updates(
    folder: Path, base_folder: Path, base: Checkpoint, *, trust_remote_code: bool
) -> Iterator[ModuleUpdate]:
    """The updates of `module_updates` for an adapter folder; names and shapes are checked before the first is made.

    Raises:
        ModelError: As `module_updates`.
    """
    from peft.mapping import PEFT_TYPE_TO_PREFIX_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING

    where = str(folder)
    config = _read_config(folder)
    file = Checkpoint((folder / _WEIGHTS,), where=where)
    file.refuse_half("Its rounding would be measured with the update. Keep the adapter in float32.")
    kind = config.peft_type
    no_update = _why_no_update(config, PEFT_TYPE_TO_TUNER_MAPPING.get(kind))
    names = [name.removeprefix(_IN_FILE) for name in file.shapes if ".original_module." not in name]
    adapted, plain = owners(names, PEFT_TYPE_TO_PREFIX_MAPPING[kind])
    if no_update:
        adapted, plain = {}, [name for name in plain if not name.startswith("prompt_embeddings")]

    base_names = _names_under_head(adapted, plain, base)
    adapter = _Adapter(
        config=config,
        file=file,
        skeleton=_lay_out(base_folder, trust_remote_code=trust_remote_code) if adapted else None,
        base=base,
        base_names=base_names,
    )
    parts = {name.split(".", 1)[0] for name in base_names if name.rpartition(".")[0] in adapted or name in plain}
    replaced = _replaced(adapter, plain, parts, strict=not no_update)
    known = {owner: rest for owner, rest in adapted.items() if _is_of_backbone(owner, base_names)}
    strangers = sorted(owner for owner in adapted if owner not in known and owner.split(".", 1)[0] in parts)
    if adapted and (strangers or not known):
        first = (strangers or sorted(adapted))[0]
        raise another_base(where, base.where, f"{first} is adapted and not in the base")
    return _updates(adapter, known, replaced, no_update)


def _updates(
    adapter: _Adapter, known: dict[str, list[str]], replaced: dict[str, str], no_update: str
) -> Iterator[ModuleUpdate]:
    if no_update:
        yield ModuleUpdate(module=WHOLE_MODEL, shape=(), base=None, change=None, reason=no_update)
    for owner, rest in known.items():
        if set(rest) in _FACTORS and _is_plain_lora(adapter.config, _module(adapter, owner)):
            yield _factors(adapter, owner, rest)
        else:
            yield from _merged(adapter, owner, rest)
    for base_name, name in replaced.items():
        base = adapter.base.read(base_name)
        change = adapter.file.read(name).astype(np.float64)
        change -= base
        yield ModuleUpdate(module=base_name, shape=base.shape, base=base, change=change)


def _read_config(folder: Path) -> Any:
    from peft import PeftConfig

    for name in (ADAPTER_CONFIG, _WEIGHTS):
        if not (folder / name).is_file():
            raise ModelError(f"{folder}: {name} is missing. Train the run again.")
    try:
        return PeftConfig.from_pretrained(str(folder))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(f"{folder}: {ADAPTER_CONFIG} cannot be used: {' '.join(str(error).split())}") from error


def _why_no_update(config: Any, tuner: Any) -> str:
    """Why this kind of adapter has no dW that one module tells; empty if it has."""
    kind = config.peft_type.value
    if config.is_prompt_learning or config.is_adaption_prompt:
        return f"{kind} adds tokens or prompts beside the weights and changes none"
    if tuner is None or tuner.uses_shared_state or kind in _SIZED_BY_ALL:
        return f"{kind} keeps tensors that its modules share, so one module's update is not in its file alone"
    start = getattr(config, "init_lora_weights", True)
    if start not in _NEEDS_NO_DATA:
        return f"{kind} started by {start}, which rewrites the base weights, so its factors are not the whole update"
    if getattr(config, "layer_replication", None):
        return f"{kind} repeats blocks of the base (layer_replication), so a parameter has several updates"
    return ""


def _names_under_head(adapted: dict[str, list[str]], plain: list[str], base: Checkpoint) -> dict[str, str]:
    """Parameter names as the adapter's file has them -> names in the base checkpoint."""
    modules = {current_name(name).rpartition(".")[0] for name in base.shapes}
    paths = {*adapted, *(_unwrapped(name).rpartition(".")[0] for name in plain)}
    of_tuned, of_base = pair_prefixes(paths, modules)
    return {
        of_tuned + current_name(name).removeprefix(of_base): name
        for name in base.shapes
        if current_name(name).startswith(of_base)
    }


def _unwrapped(name: str) -> str:
    """A parameter's name without peft's wrappers; LoRA's `bias: all` writes biases under these names too."""
    return re.sub(r"\.base_layer\.|\.modules_to_save\.[^.]+\.", ".", name)


def _is_of_backbone(owner: str, base_names: dict[str, str]) -> bool:
    return f"{owner}.weight" in base_names


def _replaced(adapter: _Adapter, plain: list[str], parts: set[str], *, strict: bool) -> dict[str, str]:
    """Base name -> name in the file, for parameters kept whole: `modules_to_save`, trained biases. New heads are left out."""
    file, base, found = adapter.file, adapter.base, {}
    for short in plain:
        name, now = f"{_IN_FILE}{short}" if f"{_IN_FILE}{short}" in file.shapes else short, _unwrapped(short)
        base_name = adapter.base_names.get(now)
        if base_name is None:
            if strict and now.split(".", 1)[0] in parts:
                raise another_base(file.where, base.where, f"{now} is kept and not in the base")
            continue
        if file.shapes[name] != base.shapes[base_name]:
            sizes = f"{base_name} is {base.shapes[base_name]} in the base and {file.shapes[name]} here"
            raise another_base(file.where, base.where, sizes)
        found[base_name] = name
    return found


def _lay_out(folder: Path, *, trust_remote_code: bool) -> Any:
    import torch
    from transformers import AutoConfig, AutoModel

    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code, local_files_only=True)
        with torch.device("meta"):
            return AutoModel.from_config(config, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{folder}: its modules cannot be laid out from config.json: {' '.join(str(error).split())}"
        ) from error


def _module(adapter: _Adapter, owner: str) -> Any:
    """The backbone's own module at a path that a head's prefix stands before."""
    parts = owner.split(".")
    for start in range(min(3, len(parts))):
        try:
            return adapter.skeleton.get_submodule(".".join(parts[start:]))
        except AttributeError:
            continue
    raise another_base(adapter.file.where, adapter.base.where, f"{owner} is adapted and not a module of the base")


def _is_plain_lora(config: Any, module: Any) -> bool:
    """Whether dW = scale * B A is all there is: no DoRA or other variant, on a module with a matrix for weight."""
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    variants = [f.name for f in dataclasses.fields(config) if f.metadata.get("is_lora_variant")]
    return (
        config.peft_type.value == "LORA"
        and not any(getattr(config, name) for name in variants)
        and isinstance(module, nn.Linear | nn.Embedding | Conv1D)
    )


def _factors(adapter: _Adapter, owner: str, rest: list[str]) -> ModuleUpdate:
    from torch import nn

    base_name, file = adapter.base_names[f"{owner}.weight"], adapter.file
    module = _module(adapter, owner)
    name_a, name_b = (f"{_IN_FILE}{owner}.{name}" for name in sorted(rest))
    A, B = file.read(name_a), file.read(name_b)
    layer = _injected(adapter, owner, module, on_meta=True)
    rank = layer.r[_NAME]
    if A.shape[0] != rank or B.shape[1] != rank:
        raise ModelError(
            f"{file.where}: {owner}: {ADAPTER_CONFIG} says rank {rank}, the factors are {A.shape} and {B.shape}. "
            f"Is the config the weights' own?"
        )
    # Linear keeps (out, in) and dW = B A; Embedding and Conv1D keep the transpose, dW = A' B'.
    left, right = (B, A) if isinstance(module, nn.Linear) else (A.T, B.T)
    shape = (left.shape[0], right.shape[1])
    if shape != adapter.base.shapes[base_name]:
        sizes = f"{base_name} is {adapter.base.shapes[base_name]} in the base and its update {shape}"
        raise another_base(file.where, adapter.base.where, sizes)
    return ModuleUpdate(
        module=base_name,
        shape=shape,
        base=adapter.base.read(base_name),
        change=LowRank(B=left, A=right, scale=float(layer.scaling[_NAME])),
    )


def _merged(adapter: _Adapter, owner: str, rest: list[str]) -> Iterator[ModuleUpdate]:
    """Merges one module by peft in float64: an update for every parameter that moves, for its weight if none does.

    The module starts in float32, as in training: some kinds draw fixed tensors from the base weight.
    """
    import torch
    from peft import set_peft_model_state_dict

    module = copy.deepcopy(_module(adapter, owner)).to_empty(device="cpu").float()
    names = {n: adapter.base_names.get(f"{owner}.{n}") for n, _ in module.named_parameters(recurse=False)}
    before = {own: adapter.base.tensor(name).double() for own, name in names.items() if name is not None}
    for own, value in before.items():
        if module.get_parameter(own).shape != value.shape:
            sizes = (
                f"{owner}.{own} is {tuple(module.get_parameter(own).shape)} by its config and {tuple(value.shape)} here"
            )
            raise ModelError(f"{adapter.base.where}: {sizes}. Is config.json the weights' own?")
    absent = sorted(names.keys() - before.keys())
    if absent:
        raise another_base(adapter.file.where, adapter.base.where, f"{owner}.{absent[0]} is not in the base")
    with torch.no_grad():
        for own, value in before.items():
            module.get_parameter(own).copy_(value)

    tensors = {f"{_IN_FILE}{owner}.{name}": adapter.file.tensor(f"{_IN_FILE}{owner}.{name}") for name in rest}
    try:
        layer = _injected(adapter, owner, module, on_meta=False)
    except (ValueError, NotImplementedError) as error:
        yield _none(adapter, owner, f"peft does not adapt this module alone: {' '.join(str(error).split())}")
        return
    layer.root.double()
    try:
        told = set_peft_model_state_dict(layer.root, tensors)
    except (RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise another_base(adapter.file.where, adapter.base.where, f"{owner}: {reason}") from error
    lost = [name for name in told.missing_keys if f".{_NAME}" in name and "base_layer" not in name]
    if lost or told.unexpected_keys:
        raise ModelError(
            f"{adapter.file.where}: {owner}: tensors are missing ({', '.join(lost) or 'none'}) or unknown to peft "
            f"({', '.join(told.unexpected_keys) or 'none'}). Train the run again."
        )
    try:
        layer.merge()
    except (ValueError, NotImplementedError, AttributeError) as error:
        yield _none(adapter, owner, f"peft cannot merge it: {' '.join(str(error).split())}")
        return
    after = dict(layer.get_base_layer().named_parameters(recurse=False))
    changes = {own: (after[own].detach().double() - value).numpy() for own, value in before.items()}
    for own in [own for own, change in changes.items() if change.any()] or ["weight"]:
        name = adapter.base_names[f"{owner}.{own}"]
        yield ModuleUpdate(module=name, shape=changes[own].shape, base=adapter.base.read(name), change=changes[own])


def _none(adapter: _Adapter, owner: str, reason: str) -> ModuleUpdate:
    name = adapter.base_names[f"{owner}.weight"]
    return ModuleUpdate(module=name, shape=adapter.base.shapes[name], base=None, change=None, reason=reason)


def _injected(adapter: _Adapter, owner: str, module: Any, *, on_meta: bool) -> Any:
    """peft's layer around one module, which stands alone in a tree that gives it its full name.

    The tree is kept as the layer's attribute `root`, outside its modules.
    """
    import torch
    from peft import inject_adapter_in_model
    from torch import nn

    config = copy.deepcopy(adapter.config)
    for name in _OF_OTHER_MODULES:
        if getattr(config, name, None) is not None:
            setattr(config, name, None)
    config.target_modules = [owner]
    config.inference_mode = True
    if hasattr(config, "bias"):
        config.bias = "none"
    if getattr(config, "init_lora_weights", None) in _NEEDS_NO_DATA:
        config.init_lora_weights = True
    *above, last = owner.split(".")
    root = place = nn.Module()
    for part in above:
        below = nn.Module()
        place.add_module(part, below)
        place = below
    place.add_module(last, module)
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = inject_adapter_in_model(config, root, adapter_name=_NAME, low_cpu_mem_usage=on_meta)
    layer = tree.get_submodule(owner)
    object.__setattr__(layer, "root", tree)
    return layer
