"""A base folder and a tuned folder -> what was added to each parameter, one module in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tunescope.errors import ModelError
from tunescope.models.packed import is_packed
from tunescope.models.saving import ADAPTER, HEAD, MODEL, PACKED, kept_in
from tunescope.models.weights import INDEX, SINGLE
from tunescope.weights.adapters import ADAPTER_CONFIG, adapter_updates
from tunescope.weights.checkpoint import Checkpoint
from tunescope.weights.names import match
from tunescope.weights.packed import PackedCheckpoint
from tunescope.weights.update import ModuleUpdate


def module_updates(
    tuned: Path, base: Path, *, base_is_half: bool = False, trust_remote_code: bool = False
) -> Iterator[ModuleUpdate]:
    """What fine-tuning added to each parameter of the base model, parameter by parameter.

    A full model gives every parameter of the base that it has, dW = tuned - base in float64 (exact: both are
    float32). An adapter gives the parameters that it adapts or replaces: plain LoRA as factors, never multiplied out;
    every other kind that peft can merge as a dense dW, merged by peft in float64 on that module alone. A kind without
    a dW (soft prompts) gives one entry that says so. A head alone gives none, and new heads are left out throughout.

    Args:
        tuned: What `save_tuned` wrote to, or such a `model`, `packed` or `adapter` folder itself.
        base: The base model's folder: config.json and safetensors.
        base_is_half: The base model has no weights but float16 or bfloat16, and training did start from exactly
            these values (widened to float32). Without it such a base is refused: tuned weights that started from
            an unrounded copy would show the rounding as an update of full rank.
        trust_remote_code: Run Python code that the base model brings along to lay out its modules.

    Yields:
        One entry per parameter, named as in the base checkpoint, in its order for a full model.

    Raises:
        ModelError: At once, if files are missing or damaged, the tuned model belongs to another base, or weights are
            in half precision; while reading, if a value is NaN or infinite.
    """
    if not base.is_dir():
        raise ModelError(f"{base}: is not a folder. Give the base model's folder.")
    before = Checkpoint.of_model(base, where=str(base))
    if not base_is_half:
        before.refuse_half(
            "An update is measured from the exact weights it started from; against rounded ones the rounding would "
            "look like an update. Give the float32 base, or say base_is_half if training started from these values."
        )
    kind, place = _what_is_there(tuned)
    if kind == ADAPTER:
        return adapter_updates(place, base, before, trust_remote_code=trust_remote_code)
    if kind == MODEL:
        return _full_updates(Checkpoint.of_model(place, where=str(place)), before)
    if kind == PACKED:
        return _full_updates(PackedCheckpoint(place, before), before)
    Checkpoint((place,), where=str(place))  # a head says nothing of the base, but a broken file is still told
    return iter(())


def _what_is_there(tuned: Path) -> tuple[str, Path]:
    if not tuned.is_dir():
        raise ModelError(f"{tuned}: is not a folder. Give the folder of a tuned model.")
    found = kept_in(tuned)
    if len(found) == 1:
        return found[0], tuned / found[0]
    if not found and is_packed(tuned):
        return PACKED, tuned
    if not found and (tuned / ADAPTER_CONFIG).is_file():
        return ADAPTER, tuned
    if not found and any((tuned / name).is_file() for name in (SINGLE, INDEX)):
        return MODEL, tuned
    raise ModelError(
        f"{tuned}: expected one of {ADAPTER}/, {MODEL}/, {PACKED}/ and {HEAD}, or a model's or an adapter's own files, "
        f"found {' and '.join(found) or 'none'}. Train the run again."
    )


def _full_updates(after: Checkpoint, before: Checkpoint) -> Iterator[ModuleUpdate]:
    after.refuse_half(
        "Rounding to half precision is larger than most updates and would be measured in their place (a rank-8 update "
        "looks like rank 300 and more). Give the float32 weights, or the adapter."
    )
    pairs = match(after.shapes, before.shapes, where=after.where, of=before.where)
    return (
        _difference(name, before, twin, after)
        for name, twin in pairs.items()
        if before.is_number(name) and after.is_number(twin)
    )


def _difference(name: str, before: Checkpoint, twin: str, after: Checkpoint) -> ModuleUpdate:
    base = before.read(name)
    change = after.read(twin).astype(np.float64)
    change -= base
    return ModuleUpdate(module=name, shape=base.shape, base=base, change=change)
