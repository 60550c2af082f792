"""Where a text model's hidden states are: what enters block 1, what each block gives, what the norm after the last gives.

Found in the model's structure, not by the names of its classes, and read by hooks during its own forward pass: Hugging
Face's `hidden_states` overwrite the last block's output with the final norm's, and put all layers in memory at once.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from tunescope.errors import ModelError

EMBEDDINGS = "embeddings"
"""What enters block 1: positions, token types and any norm or scale of theirs included."""
FINAL_NORM = "final_norm"
"""What the norm after the last block gives, where there is one."""

Kept = TypeVar("Kept")


def block_name(number: int) -> str:
    """Name of a block's own output, blocks counted from 1.

    Example:
        >>> block_name(3)
        'block_03'
    """
    return f"block_{number:02d}"


def find_states(model: nn.Module) -> tuple[str, ...]:
    """Names of a model's states, from its input to its output; runs it on two tokens.

    Returns:
        `embeddings`, `block_01` ... `block_NN` and, where there is a norm after the last block, `final_norm`.

    Raises:
        ModelError: As `StateReader`.
    """
    return StateReader(model).names


def backbone_of(model: nn.Module) -> nn.Module:
    """The part of a Hugging Face model that turns token ids into hidden states, under any head and PEFT wrapper."""
    inner: Any = model
    if hasattr(inner, "get_base_model"):
        inner = inner.get_base_model()
    backbone: nn.Module = getattr(inner, "base_model", inner)
    return backbone


class StateReader:
    """Reads every state of a text model: plain, with a task's head, under a PEFT wrapper or merged.

    The blocks are the one outermost list of modules as long as the config has layers (as it has layer groups, where
    blocks share weights as ALBERT's do). The final norm is whichever norm outside the blocks is given the last block's
    output. Hooks are in the model only while `read` runs, and what they see is never changed.

    Args:
        model: Of a kind that can be read.
        is_tried: Whether it runs on two tokens first: `names` are then known, and errors come before any batch. Where a
            batch is read at once, that one does as well.

    Raises:
        ModelError: If no such list is found or more than one, or the blocks run another number of times than the config
            has layers, as in models with skipped or repeated layers.
    """

    names: tuple[str, ...]
    """The states, from the model's input to its output; none before anything was read."""

    def __init__(self, model: nn.Module, *, is_tried: bool = True) -> None:
        self.model = model
        self._parts = _find_parts(model)
        self.names = ()
        if not is_tried:
            return
        device = next(model.parameters()).device
        two_tokens = {"input_ids": torch.zeros(1, 2, dtype=torch.int64, device=device)}
        two_tokens["attention_mask"] = torch.ones_like(two_tokens["input_ids"])
        was_training = model.training
        model.eval()
        try:
            with torch.no_grad():
                self.names = tuple(self._states(two_tokens, lambda hidden, mask: None))
        finally:
            model.train(was_training)

    def read(self, batch: Mapping[str, Tensor], keep: Callable[[Tensor, Tensor], Kept]) -> dict[str, Kept]:
        """Runs the model on a batch; `keep` is handed one state after the other, so no more than one is held here.

        Tokens may stand elsewhere in a row than in the batch (encoders see the attended ones first), each row's in the
        order they came in. A learned prefix or prompt is left out: states are of the batch's own tokens.

        Args:
            batch: Arguments of the forward pass; `input_ids` (n, length) and `attention_mask` (n, length) among them.
            keep: (hidden_NSD in the model's own dtype, mask_NS: not 0 where a token is) -> what is to be kept.

        Returns:
            Name of the state -> what `keep` gave, by `names`.

        Raises:
            ModelError: If the blocks run another number of times than they should, or other states come by than before.
        """
        states = self._states(batch, keep)
        self.names = self.names or tuple(states)
        if tuple(states) != self.names:
            raise ModelError(
                f"{self._parts.where}: expected the states {self.names} in every batch, got {tuple(states)}"
            )
        return states

    def _states(self, batch: Mapping[str, Tensor], keep: Callable[[Tensor, Tensor], Kept]) -> dict[str, Kept]:
        under_way = _Pass(self._parts, batch, keep)
        with ExitStack() as hooks:
            for handle in under_way.hooks():
                hooks.callback(handle.remove)
            self.model(**batch)
        return under_way.states()


@dataclass(frozen=True, kw_only=True)
class _Parts:
    where: str
    """What errors begin with."""
    backbone: nn.Module
    blocks: tuple[nn.Module, ...]
    norms: tuple[nn.Module, ...]
    """Those outside the blocks."""
    num_blocks: int
    """Runs of a block in one forward pass: `len(blocks)`, or more where blocks share weights."""


def _find_parts(model: nn.Module) -> _Parts:
    backbone: Any = backbone_of(model)
    where = f"hidden states of {type(backbone).__name__}"
    config = getattr(backbone, "config", None)
    if config is None or not hasattr(config, "get_text_config"):
        raise ModelError(f"{where}: not a Hugging Face model: it has no config. Load it with transformers.")
    config = config.get_text_config()
    num_blocks = getattr(config, "num_hidden_layers", None)
    if not isinstance(num_blocks, int) or num_blocks < 1:
        raise ModelError(
            f"{where}: its config ({config.model_type}) has no num_hidden_layers, so no block can be told."
        )
    lengths = {num_blocks, getattr(config, "num_hidden_groups", num_blocks)}
    lists = {
        name: module
        for name, module in backbone.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) in lengths
    }
    outermost = [name for name in lists if not any(name.startswith(f"{other}.") for other in lists)]
    if len(outermost) != 1:
        found = f"{len(outermost)} ({', '.join(outermost)})" if outermost else "none"
        raise ModelError(
            f"{where}: expected one list of {num_blocks} blocks, as its config ({config.model_type}) says, found {found}. "
            f"Of an encoder-decoder give the encoder alone; other such architectures cannot be read."
        )
    blocks = lists[outermost[0]]
    inside = {id(module) for module in blocks.modules()}
    norms = [part for part in backbone.modules() if "norm" in type(part).__name__.lower() and id(part) not in inside]
    return _Parts(where=where, backbone=backbone, blocks=tuple(blocks), norms=tuple(norms), num_blocks=num_blocks)


class _Pass(Generic[Kept]):
    """One forward pass: what its hooks have kept so far."""

    def __init__(self, parts: _Parts, batch: Mapping[str, Tensor], keep: Callable[[Tensor, Tensor], Kept]) -> None:
        self._parts = parts
        self._keep = keep
        self._num_rows, self._num_tokens = batch["input_ids"].shape
        self._batch_mask = self._mask = batch["attention_mask"]
        self._argument_names = [name for name in inspect.signature(parts.backbone.forward).parameters if name != "self"]
        self._num_run = 0
        self._last: Any = None
        self._kept: dict[str, Kept] = {}

    def hooks(self) -> Iterator[RemovableHandle]:
        """Puts the hooks in, one after the other."""
        parts = self._parts
        yield parts.backbone.register_forward_pre_hook(self._begin, with_kwargs=True)
        for block in parts.blocks:
            yield block.register_forward_pre_hook(self._enter_block, with_kwargs=True)
            yield block.register_forward_hook(self._leave_block)
        for norm in parts.norms:
            yield norm.register_forward_hook(self._leave_norm)

    def states(self) -> dict[str, Kept]:
        """All that was kept.

        Raises:
            ModelError: If the blocks ran another number of times than the config has layers.
        """
        if self._num_run != self._parts.num_blocks:
            raise ModelError(
                f"{self._parts.where}: its config has {self._parts.num_blocks} layers, and {self._num_run} blocks ran. "
                f"A model that skips or repeats layers cannot be read."
            )
        return self._kept

    def _begin(self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Starts over: X-LoRA runs its backbone twice, and the second run counts.

        Hooks run in the order they came in, so the mask is the one that tokens were rearranged by (`models.alignment`).
        """
        mask = {**dict(zip(self._argument_names, args, strict=False)), **kwargs}.get("attention_mask")
        self._mask = mask if isinstance(mask, Tensor) and mask.dim() == 2 else self._batch_mask
        self._num_run, self._last, self._kept = 0, None, {}

    def _enter_block(self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self._num_run == 0:
            self._hand_over(EMBEDDINGS, args[0] if args else kwargs.get("hidden_states"))

    def _leave_block(self, _: nn.Module, __: tuple[Any, ...], output: Any) -> None:
        self._num_run += 1
        self._last = output[0] if isinstance(output, tuple | list) else output
        self._hand_over(block_name(self._num_run), self._last)

    def _leave_norm(self, _: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if self._num_run == self._parts.num_blocks and args and args[0] is self._last:
            self._hand_over(FINAL_NORM, output)

    def _hand_over(self, name: str, hidden: Any) -> None:
        rows, tokens = self._num_rows, self._num_tokens
        shape = tuple(hidden.shape) if isinstance(hidden, Tensor) else ()
        if len(shape) != 3 or shape[0] != rows or shape[1] < tokens:
            found = shape or type(hidden).__name__
            raise ModelError(
                f"{self._parts.where}: expected {name} as ({rows} rows, {tokens} tokens, features), found {found}. "
                f"This architecture cannot be read."
            )
        # Learned tokens stand first: in states and mask (prompts), or in the mask alone (prefixes).
        self._kept[name] = self._keep(hidden[:, -tokens:], self._mask[:, -tokens:])
