"""What training changed, to disk and back, bit for bit: an adapter, a whole model (as it is or packed), or a head."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunescope.errors import ModelError
from tunescope.methods.head import head_parameters
from tunescope.models.network import Network, quiet
from tunescope.models.packed import PackedWeights, Twin, write_packed
from tunescope.models.weights import weight_files, weight_shapes

if TYPE_CHECKING:
    from torch import nn

ADAPTER = "adapter"
MODEL = "model"
PACKED = "packed"
HEAD = "head.safetensors"
_ADAPTER_WEIGHTS = "adapter_model.safetensors"


def kept_in(folder: Path) -> list[str]:
    """Which of what `save_tuned` writes lie in a folder; of a run there is one."""
    return [name for name in (ADAPTER, MODEL, PACKED, HEAD) if (folder / name).exists()]


def save_tuned(model: nn.Module, method_kind: str, out: Path, *, base: Mapping[str, Twin] | None = None) -> None:
    """Writes what a method trained.

    `full`: a Hugging Face folder `out/model`, for `from_pretrained` of the same class; with `base` the same in less space,
    `out/packed`, which `load_tuned` and `unpack_model` read. `head_only`: the head's tensors in `out/head.safetensors`.
    Adapters: `out/adapter`, for `PeftModel.from_pretrained` on the base model under the same head class; the head is in it.

    Args:
        model: What the method's `apply` gave, trained.
        method_kind: The method's `kind`.
        out: An existing folder that holds none of them.
        base: Name in the model -> the base checkpoint's tensor that it started from, for those that have one; a full model
            is then packed against them. None keeps it as it is.

    Raises:
        ModelError: If a tensor is of a type that cannot be packed.
        OSError: If it cannot be written.
    """
    from safetensors.torch import save_file

    tuned: Any = model
    if hasattr(tuned, "get_base_model"):
        tuned.save_pretrained(out / ADAPTER, safe_serialization=True, save_embedding_layers=False)
        _sort_sets(out / ADAPTER / "adapter_config.json")
    elif method_kind == "head_only":
        state = tuned.state_dict()
        head = {name: state[name].detach().cpu().contiguous() for name in head_parameters(tuned)}
        save_file(head, out / HEAD, metadata={"format": "pt"})
    elif base is None:
        with quiet():
            tuned.save_pretrained(out / MODEL)
    else:
        with quiet():
            tuned.save_pretrained(out / PACKED, state_dict={})  # config and the code that the model brought: no weights
        write_packed(tuned.state_dict(), out / PACKED, base)


def _sort_sets(config: Path) -> None:
    """peft writes its sets of module names in whatever order the process hashes strings: equal adapters, other bytes."""
    content = json.loads(config.read_text(encoding="utf-8"))
    for name, value in content.items():
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            content[name] = sorted(value)
    config.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def load_tuned(network: Network, out: Path) -> Any:
    """Puts what `save_tuned` wrote back on the base network.

    Args:
        network: Fresh from `load_network` with the same base model and task; changed in place.
        out: The folder that `save_tuned` wrote to.

    Returns:
        The tuned model in evaluation mode, every tensor as it was saved.

    Raises:
        ModelError: If the folder does not hold exactly one of the four, or what it holds does not fit the network.
    """
    found = kept_in(out)
    if len(found) != 1:
        raise ModelError(
            f"{out}: expected one of {ADAPTER}/, {MODEL}/, {PACKED}/ and {HEAD}, found {' and '.join(found) or 'none'}. "
            f"Train the run again."
        )
    load = {ADAPTER: load_adapter, MODEL: _load_model, PACKED: load_packed, HEAD: _load_head}[found[0]]
    return load(network, out / found[0]).eval()


def load_adapter(network: Network, folder: Path) -> Any:
    """Puts a folder with a peft adapter on the base network, which is changed in place.

    Raises:
        ModelError: If it does not fit the network.
    """
    import torch
    from peft import PeftModel, get_peft_model_state_dict

    saved = _read(folder / _ADAPTER_WEIGHTS)
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.* is deprecated")
        warnings.filterwarnings("ignore", message="Found missing adapter keys")  # checked below, as an error
        try:
            model = PeftModel.from_pretrained(network.model, folder)
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
            reason = " ".join(str(error).split())
            raise ModelError(
                f"{folder}: does not fit the network: {reason}. Is it the same base model and task?"
            ) from error
    # peft keeps an embedding's or LM head's own weight where it is adapted; a base layer's bias is no sign of that.
    embeddings = any(name.endswith(".base_layer.weight") for name in saved)
    inside = get_peft_model_state_dict(model, save_embedding_layers=embeddings)
    _require_same(inside, saved, folder)
    return model


def load_packed(network: Network, folder: Path) -> Any:
    """Unpacks a folder of packed weights into the base network, which is changed in place.

    Raises:
        ModelError: If it does not fit the network, was packed against another base model, or is damaged.
    """
    import torch

    packed = PackedWeights(folder, where=str(folder))
    inside = network.model.state_dict()
    _require_shapes(inside, packed.shapes, folder)
    with torch.no_grad():
        for name in packed.shapes:  # one by one: the weights are never held twice
            if name not in packed.same_as:
                base = None if packed.base_name(name) is None else inside[name]
                inside[name].copy_(packed.tensor(name, base))
        for name, other in packed.same_as.items():
            inside[name].copy_(inside[other])
    return network.model


def _load_model(network: Network, folder: Path) -> Any:
    import torch
    from safetensors import SafetensorError, safe_open

    inside = network.model.state_dict()
    _require_shapes(inside, weight_shapes(folder, where=str(folder)), folder)
    for path in weight_files(folder, where=str(folder)):
        try:
            with safe_open(path, framework="pt") as file, torch.no_grad():
                for name in file.keys():  # noqa: SIM118 - not a dict
                    inside[name].copy_(file.get_tensor(name))  # one by one: the weights are never held twice
        except (OSError, SafetensorError) as error:
            raise ModelError(f"{path}: not a whole safetensors file ({error}). Train the run again.") from error
    return network.model


def _load_head(network: Network, path: Path) -> Any:
    saved = _read(path)
    inside = network.model.state_dict()
    _require_shapes(
        {name: inside[name] for name in network.head_names}, {n: tuple(t.shape) for n, t in saved.items()}, path
    )
    network.model.load_state_dict(saved, strict=False)
    return network.model


def _read(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors: dict[str, Any] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: not a whole safetensors file ({error}). Train the run again.") from error
    return tensors


def _require_shapes(inside: dict[str, Any], saved: dict[str, tuple[int, ...]], path: Path) -> None:
    wanted = {name: tuple(tensor.shape) for name, tensor in inside.items()}
    if wanted != saved:
        odd = sorted(name for name in wanted.keys() | saved.keys() if wanted.get(name) != saved.get(name))
        raise ModelError(
            f"{path}: does not fit the network: {len(odd)} tensors differ in name or shape, the first {odd[0]} "
            f"(expected {wanted.get(odd[0], 'none')}, found {saved.get(odd[0], 'none')}). Is it the same base model and task?"
        )


def _require_same(inside: dict[str, Any], saved: dict[str, Any], path: Path) -> None:
    import torch

    _require_shapes(inside, {name: tuple(tensor.shape) for name, tensor in saved.items()}, path)
    differing = [name for name, tensor in saved.items() if not torch.equal(inside[name].cpu(), tensor)]
    if differing:
        raise ModelError(
            f"{path}: {len(differing)} tensors were not taken over, the first {differing[0]}. Report this."
        )
