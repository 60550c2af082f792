"""Makes what a network says independent of padding: left, right or none, and whatever id pads.

Hugging Face's classes leave three gaps. Decoder classifiers read the last token whose id is not the pad id, so a text
that ends with that very id is read one token early. Decoders that learned positions (GPT-2) number left padding too.
Encoders read position 0, which is padding in a left-padded row. Hooks on the backbone close them; on right-padded
batches whose texts do not end with the pad id they change no logit, so a plain Hugging Face class gives the same.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from tunescope.models.padding import positions_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    Arguments = tuple[tuple[()], dict[str, Any]]


def align_decoder(backbone: nn.Module, *, one_output_per_row: bool) -> None:
    """Hooks a causal backbone: positions are counted over attended tokens, and a classifier reads the last of them.

    With `one_output_per_row`, `last_hidden_state` holds the last attended token's state at *every* position, so that
    whichever position the head picks is the right one; per-token states are in `hidden_states`. Calls without a 2-D
    attention mask pass untouched. The hooks keep nothing, so a copied model behaves like the original.

    Args:
        backbone: Turns token ids into hidden states; part of a Hugging Face model with a head.
        one_output_per_row: True for classification and regression, False where each token has logits.
    """
    names = _argument_names(backbone)

    def number_positions(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        kwargs = {**dict(zip(names, args, strict=False)), **kwargs}
        mask = _mask_of(kwargs)
        if mask is not None and "position_ids" in names and kwargs.get("position_ids") is None:
            kwargs["position_ids"] = positions_of(mask)[:, -_width(kwargs) :]
        return (), kwargs

    def last_attended_everywhere(_: nn.Module, __: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        mask = _mask_of(kwargs)
        if mask is not None:
            states = output.last_hidden_state
            last = _last_attended(mask[:, -states.shape[1] :])
            picked = states.gather(1, last[:, None, None].expand(-1, 1, states.shape[2]))
            output.last_hidden_state = picked.expand_as(states)
        return output

    backbone.register_forward_pre_hook(number_positions, with_kwargs=True)
    if one_output_per_row:
        backbone.register_forward_hook(last_attended_everywhere, with_kwargs=True)


def align_encoder(backbone: nn.Module, *, one_output_per_row: bool) -> None:
    """Hooks a bidirectional backbone: it sees every row's attended tokens first, so position 0 is the first of them.

    States per token come out in the order that went in: `hidden_states`, and `last_hidden_state` too unless
    `one_output_per_row`, where heads read its position 0. Attention maps stay in the backbone's order. Calls without
    a 2-D attention mask pass untouched; where the mask is longer than the rows, its start is for a learned prefix.

    Args:
        backbone: Turns token ids into hidden states; part of a Hugging Face model with a head.
        one_output_per_row: True for classification and regression, False where each token has logits.
    """
    import torch

    names = _argument_names(backbone)
    order: Tensor | None = None  # of the call under way

    def attended_first(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        nonlocal order
        kwargs = {**dict(zip(names, args, strict=False)), **kwargs}
        mask = _mask_of(kwargs)
        order = None
        if mask is not None:
            start = mask.shape[1] - _width(kwargs)
            prefix, own = mask[:, :start], mask[:, start:]
            order = (own == 0).to(own.dtype).argsort(dim=1, stable=True)
            for name in ("input_ids", "token_type_ids", "inputs_embeds"):
                if kwargs.get(name) is not None:
                    kwargs[name] = _rearranged(kwargs[name], order)
            kwargs["attention_mask"] = torch.cat([prefix, _rearranged(own, order)], dim=1)
            if kwargs.get("position_ids") is not None:
                kwargs["position_ids"] = None  # counted from 0, as the backbone does by itself
        return (), kwargs

    def as_it_came(_: nn.Module, __: tuple[Any, ...], ___: dict[str, Any], output: Any) -> Any:
        if order is not None:
            back = order.argsort(dim=1)
            if not one_output_per_row:
                output.last_hidden_state = _rearranged(output.last_hidden_state, back)
            if output.get("hidden_states") is not None:
                output.hidden_states = tuple(_rearranged(states, back) for states in output.hidden_states)
        return output

    backbone.register_forward_pre_hook(attended_first, with_kwargs=True)
    backbone.register_forward_hook(as_it_came, with_kwargs=True)


def _argument_names(backbone: nn.Module) -> tuple[str, ...]:
    return tuple(name for name in inspect.signature(type(backbone).forward).parameters if name != "self")


def _mask_of(kwargs: dict[str, Any]) -> Tensor | None:
    import torch

    mask = kwargs.get("attention_mask")
    return mask if isinstance(mask, torch.Tensor) and mask.dim() == 2 else None


def _width(kwargs: dict[str, Any]) -> int:
    tokens = kwargs["input_ids"] if kwargs.get("input_ids") is not None else kwargs["inputs_embeds"]
    return int(tokens.shape[1])


def _last_attended(mask: Tensor) -> Tensor:
    """(n,) index of the last attended token of each row of an (n, length) mask."""
    import torch

    places = torch.arange(mask.shape[1], device=mask.device)
    return (places * (mask != 0)).argmax(dim=1)


def _rearranged(values: Tensor, order: Tensor) -> Tensor:
    """Rows of (n, length) or (n, length, width) values in the given (n, length) order of places."""
    if values.dim() == 3:
        return values.gather(1, order[:, :, None].expand(-1, -1, values.shape[2]))
    return values.gather(1, order)
