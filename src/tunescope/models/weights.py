"""The weight files of a model folder: safetensors and nothing else, read without loading what they hold."""

from __future__ import annotations

import json
from pathlib import Path

from tunescope.errors import ModelError

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"


def weight_files(folder: Path, *, where: str) -> tuple[Path, ...]:
    """The folder's weight files: one, or the shards its index names.

    Raises:
        ModelError: If an index cannot be read, or a file that it names is not in the folder.
    """
    if (folder / SINGLE).is_file():
        return (folder / SINGLE,)
    if not (folder / INDEX).is_file():
        return ()
    try:
        names = sorted(set(json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise ModelError(
            f"{where}: {INDEX} is not an index of weight files ({error}). Fetch the model again."
        ) from error
    absent = [name for name in names if "/" in name or not (folder / name).is_file()]
    if absent:
        raise ModelError(f"{where}: {INDEX} names {', '.join(absent)}, not in its folder. Fetch the model again.")
    return tuple(folder / name for name in names)


def check_weight_files(folder: Path, *, where: str) -> None:
    """Refuses a folder whose weights are not safetensors. A pickle can run code when it is read; none is ever read.

    Raises:
        ModelError: If the folder has no safetensors, or holds an adapter instead of a model.
    """
    if weight_files(folder, where=where):
        return
    if (folder / "adapter_config.json").is_file():
        raise ModelError(f"{where}: its folder holds a peft adapter, not a model. Name the adapter's base model.")
    pickles = sorted(path.name for path in folder.glob("*.bin"))
    if pickles:
        raise ModelError(
            f"{where}: its weights are pickles ({pickles[0]}), which can run code when read; only safetensors are. "
            f'If you trust their source, convert them once: python -c "from transformers import AutoModelForCausalLM as M; '
            f"M.from_pretrained('IN').save_pretrained('OUT')\" and copy config and tokenizer along."
        )
    raise ModelError(f"{where}: its folder has no {SINGLE} and no {INDEX}. Fetch the model again.")


def check_finite(folder: Path, *, where: str) -> None:
    """Reads every weight once, a tensor at a time, for values that are no numbers: one makes every score meaningless.

    Raises:
        ModelError: Naming file and tensor, if a value is NaN or infinite, or a file is not whole.
    """
    import torch
    from safetensors import SafetensorError, safe_open

    for path in weight_files(folder, where=where):
        try:
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 - not a dict
                    tensor = file.get_tensor(name)
                    if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                        raise ModelError(
                            f"{where}: {path.name}: tensor {name} holds values that are NaN or infinite. Fetch the model again."
                        )
        except (OSError, SafetensorError) as error:
            raise ModelError(
                f"{where}: {path.name} is not a whole safetensors file ({error}). Fetch the model again."
            ) from error


def weight_shapes(folder: Path, *, where: str) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor in the folder's weight files, from their headers.

    Raises:
        ModelError: If a file is not whole.
    """
    from safetensors import SafetensorError, safe_open

    shapes: dict[str, tuple[int, ...]] = {}
    for path in weight_files(folder, where=where):
        try:
            with safe_open(path, framework="np") as file:
                for name in file.keys():  # noqa: SIM118 - not a dict
                    shapes[name] = tuple(file.get_slice(name).get_shape())
        except (OSError, SafetensorError) as error:
            raise ModelError(
                f"{where}: {path.name} is not a whole safetensors file ({error}). Fetch the model again."
            ) from error
    return shapes
