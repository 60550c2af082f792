"""A backbone computes the real tokens of a padded batch and nothing else.

The rows are laid end to end as one long row, each token keeping its position in its own, and attention stays inside rows.
Everything else in a transformer looks at one token at a time, so the states are those of the padded batch. Where that does
not hold (a bias by distance, a window, a prefix in the cache) a trial says so before training.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tunescope.models.network import Network

if TYPE_CHECKING:
    from torch import Tensor, nn

ATTENTION = "tunescope_rows"
"""Name under which transformers finds `attend_within_rows`."""
_TOLERANCE = 1e-4
"""Of the largest value: rounding is some 1e-6, a token that sees another row is off by far more."""
_UNKNOWN_TO_US = ("softcap", "s_aux", "position_bias")
"""Arguments of attention functions that change more than who sees whom."""
_LEARNED_VECTORS = "the method gives every row learned vectors of its own"


class PaddingNeededError(Exception):
    """Why rows cannot be laid end to end; one sentence."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """Rows laid end to end: `lengths` are their tokens, `device` where the tokens lie."""

    lengths: tuple[int, ...]
    device: Any

    @cached_property
    def positions(self) -> Tensor:
        """(tokens,) position of each token in its row."""
        import torch

        return torch.cat([torch.arange(length, device=self.device) for length in self.lengths])

    @cached_property
    def alike(self) -> tuple[Rows, ...]:
        """The rows in groups of neighbours, none longer than twice another of its group where longer rows come first."""
        groups: list[list[int]] = []
        for length in self.lengths:
            if not groups or not groups[-1][0] / 2 <= length <= groups[-1][0]:
                groups.append([])
            groups[-1].append(length)
        return tuple(Rows(lengths=tuple(group), device=self.device) for group in groups)

    @cached_property
    def is_real(self) -> Tensor:
        """(rows, longest) bool: which places of the rows, padded on the right, hold a token."""
        import torch

        places = torch.arange(max(self.lengths), device=self.device)
        return places < torch.tensor(self.lengths, device=self.device)[:, None]


class PaddingFree:
    """A network's backbone, called so that it computes real tokens only; made by `prepare_padding_free`."""

    def __init__(self, backbone: Any) -> None:
        self._backbone = backbone
        self._padding_position = _padding_position(backbone)

    @contextmanager
    def on(self) -> Iterator[None]:
        """Inside, the backbone takes padded batches as ever and gives the same states, 0 at the padding."""
        self._backbone.forward = self._forward
        try:
            yield
        finally:
            del self._backbone.forward  # the class's own is found again

    def _forward(self, **kwargs: Any) -> Any:  # by name alone: `alignment` has named what the head passed by place
        import torch

        ids, mask = kwargs.get("input_ids"), kwargs.get("attention_mask")
        if ids is None or mask is None or kwargs.get("past_key_values") is not None or ids.shape != mask.shape:
            raise PaddingNeededError(_LEARNED_VECTORS)
        rows = Rows(lengths=tuple(mask.sum(dim=1).tolist()), device=ids.device)
        kept = mask.flatten().nonzero().squeeze(1)
        if kwargs.get("position_ids") is None and self._padding_position is not None:
            kwargs["position_ids"] = _positions_beside_padding(ids, self._padding_position)
        for name in ("input_ids", "token_type_ids", "position_ids"):
            if kwargs.get(name) is not None:
                kwargs[name] = kwargs[name].flatten()[kept][None]
        if kwargs.get("position_ids") is None:
            kwargs["position_ids"] = rows.positions[None]
        kwargs["attention_mask"] = torch.ones(1, 1, 1, 1, dtype=torch.bool, device=ids.device)  # passed on untouched
        output = type(self._backbone).forward(self._backbone, **kwargs, tunescope_rows=rows)
        if output.get("hidden_states") is not None:
            raise PaddingNeededError("its config.json asks for the states of every layer")
        states = output.last_hidden_state[0]
        padded = states.new_zeros(mask.numel(), states.shape[1]).index_copy(0, kept, states)
        output.last_hidden_state = padded.view(*mask.shape, -1)
        if output.get("pooler_output") is not None:  # that of the first row alone
            output.pooler_output = self._backbone.pooler(output.last_hidden_state)
        return output


def prepare_padding_free(network: Network, model: nn.Module, batch: dict[str, Tensor]) -> PaddingFree:
    """Prepares a network to compute real tokens only, if a trial gives what the padded batch gives.

    The model's attention is then `attend_within_rows`, which is PyTorch's SDPA as before in every other call.

    Args:
        network: What the model was made from.
        model: What a method's `apply` gave.
        batch: Inputs of the forward pass, padded on the right, of rows of unlike length; the longest that there will be
            among them.

    Raises:
        PaddingNeededError: If the states or logits differ, or the architecture cannot be called so; what it said then is the
            error's cause. The model is as it was.
    """
    import torch

    backbone = getattr(network.model, network.backbone_prefix)
    before = backbone.config._attn_implementation
    if before not in ("sdpa", ATTENTION):
        raise PaddingNeededError(f"the model's attention is '{before}', not PyTorch's own (sdpa)")
    if "forward" in vars(backbone):
        raise PaddingNeededError(f"{type(backbone).__name__} has been given another forward pass than its class's")
    prepared = PaddingFree(backbone)
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            expected = _outputs(model, backbone, batch)
            _register()
            backbone.config._attn_implementation = ATTENTION
            _compare(expected, _outputs(model, backbone, batch))
            with prepared.on():
                found = _called_so(model, backbone, batch)
            _compare(expected, found)
    finally:
        backbone.config._attn_implementation = before
        model.train(was_training)
    backbone.config._attn_implementation = ATTENTION
    return prepared


def attend_within_rows(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    tunescope_rows: Rows | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Scaled dot-product attention in which a token sees its own row alone.

    Args:
        module: The attention layer.
        query: (1, heads, tokens, width), rows end to end.
        key: (1, key heads, tokens, width).
        value: (1, key heads, tokens, width).
        attention_mask: Not looked at where there are rows.
        dropout: Of the attention weights.
        scaling: Of the scores; 1 / sqrt(width) where absent.
        is_causal: Whether a token sees those before it only; the layer's own word where absent.
        tunescope_rows: The rows; absent in every other call, which is then transformers' own SDPA.
        kwargs: What the architecture says besides.

    Returns:
        (1, tokens, heads, width), and no weights.

    Raises:
        PaddingNeededError: If the architecture's attention is more than this.
    """
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if tunescope_rows is None:
        plain: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, is_causal=is_causal, **kwargs
        )
        return plain
    if unknown := [name for name in _UNKNOWN_TO_US if kwargs.get(name) is not None]:
        raise PaddingNeededError(f"its attention has {unknown[0]}")
    window = kwargs.get("sliding_window")
    if window is not None and window < max(tunescope_rows.lengths):
        raise PaddingNeededError(f"its attention has a window of {window} tokens, and rows are longer")
    causal = bool(getattr(module, "is_causal", True) if is_causal is None else is_causal)
    attend = _row_by_row if query.device.type == "cpu" else _by_likeness
    return attend(query, key, value, tunescope_rows, dropout, scaling, causal), None


def _row_by_row(
    query: Tensor, key: Tensor, value: Tensor, rows: Rows, dropout: float, scaling: float | None, causal: bool
) -> Tensor:
    """A call per row: no token is computed in vain."""
    from torch import cat, split_with_sizes
    from torch.nn.functional import scaled_dot_product_attention

    by_row = (split_with_sizes(states, rows.lengths, 2) for states in (query, key, value))
    attended = [
        scaled_dot_product_attention(
            q, k, v, dropout_p=dropout, scale=scaling, is_causal=causal, enable_gqa=q.shape[1] != k.shape[1]
        )
        for q, k, v in zip(*by_row, strict=True)
    ]
    return cat(attended, 2).transpose(1, 2)


def _by_likeness(
    query: Tensor, key: Tensor, value: Tensor, rows: Rows, dropout: float, scaling: float | None, causal: bool
) -> Tensor:
    """A call per neighbours of like length, padded for it: a GPU is kept waiting by many small calls. At most twice the places."""
    from torch import cat, split_with_sizes

    groups = rows.alike
    sizes = [sum(group.lengths) for group in groups]
    by_group = (split_with_sizes(states, sizes, 2) for states in (query, key, value))
    return cat(
        [
            _padded(q, k, v, group.is_real, dropout, scaling, causal)
            for group, q, k, v in zip(groups, *by_group, strict=True)
        ],
        1,
    )


def _padded(
    query: Tensor, key: Tensor, value: Tensor, real: Tensor, dropout: float, scaling: float | None, causal: bool
) -> Tensor:
    from torch.nn.functional import scaled_dot_product_attention

    def padded(states: Tensor) -> Tensor:
        spread = states.new_zeros(*real.shape, states.shape[1], states.shape[3])
        spread[real] = states[0].transpose(0, 1)
        return spread.transpose(1, 2)

    num_groups = query.shape[1] // key.shape[1]
    if not causal and num_groups > 1:  # with a mask, not every kernel shares keys among heads
        key, value = (states.repeat_interleave(num_groups, dim=1) for states in (key, value))
    attended = scaled_dot_product_attention(
        padded(query),
        padded(key),
        padded(value),
        attn_mask=None
        if causal
        else real[:, None, None, :],  # padding is to the right of real tokens, which see none of it
        dropout_p=dropout,
        scale=scaling,
        is_causal=causal,
        enable_gqa=query.shape[1] != key.shape[1],
    )
    return attended.transpose(1, 2)[real][None]


def _outputs(model: nn.Module, backbone: Any, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Everything real that a forward pass gives: the backbone's last states and the logits."""
    seen: list[Tensor] = []
    hook = backbone.register_forward_hook(lambda _, __, output: seen.append(output.last_hidden_state), prepend=True)
    try:
        output = model(**batch)
    finally:
        hook.remove()
    real = batch["attention_mask"].bool()
    if seen[0].shape[:2] != real.shape:
        raise PaddingNeededError(_LEARNED_VECTORS)
    found = {"states": seen[0][real]}
    for name in ("logits", "start_logits", "end_logits"):
        if output.get(name) is not None:
            found[name] = output[name][real] if output[name].shape == real.shape else output[name]
    return found


def _compare(expected: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    for name, right in expected.items():
        if found[name].shape != right.shape:
            raise PaddingNeededError(
                f"its {name.replace('_', ' ')} would be {tuple(found[name].shape)} for {tuple(right.shape)}"
            )
        apart = float((found[name] - right).abs().max() / right.abs().max().clamp(min=1e-30))
        if not apart <= _TOLERANCE:
            raise PaddingNeededError(f"its {name.replace('_', ' ')} would be off by {apart:.1g} of the largest")


def _called_so(model: nn.Module, backbone: Any, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    try:
        return _outputs(model, backbone, batch)
    except PaddingNeededError:
        raise
    except Exception as error:  # whatever an architecture finds wrong with such a call
        told = " ".join(str(error).split()) or type(error).__name__
        raise PaddingNeededError(f"{type(backbone).__name__} cannot be called so: {told}") from error


def _padding_position(backbone: Any) -> int | None:
    """The place in the position embeddings that is padding's own, in RoBERTa and its kin; None where there is none."""
    for name, module in backbone.named_modules():
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            return int(module.padding_idx)
    return None


def _positions_beside_padding(ids: Tensor, padding: int) -> Tensor:
    """(rows, length) positions as RoBERTa counts them: over tokens whose id is not the padding's, from one past it on."""
    counted = (ids != padding).long()
    return counted.cumsum(dim=1) * counted + padding


def _register() -> None:
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    AttentionInterface.register(ATTENTION, attend_within_rows)
    AttentionMaskInterface.register(ATTENTION, sdpa_mask)
