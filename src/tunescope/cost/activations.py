"""Bytes of the tensors between the weights: what a forward pass makes, and what backward still needs of it.

Counted from the modules of transformers 5.23 with `sdpa` attention, per token and layer. Letters: H hidden,
Q query width, K key/value width, I intermediate, L tokens of a row, S = heads x L scores, r rank.

Saved for backward, whatever is trained:
    both norms' inputs 2 H and statistics; rotated or cut q, k, v and the mixed values 4 Q, the mask L, log-sums `heads`
    (fused attention; 6 Q where one module makes q, k and v, as its output stays for q's sake); with attention dropout on a
    CPU, where the fused kernel has none: copies of q, k, v 3 Q, softmax, noise and dropped scores 3 S; hidden dropout's
    noise (4 bytes a value on a CPU, 1 on a GPU); the activation's inputs: silu/gelu gate, its output and the up projection 3 I where gated, else gelu I, gelu_new (plain Python) 4 I, relu 0.
Saved because a weight is trained:
    the input of every trained or adapted linear module (with adapter dropout: noise and result, in its place), the RMS norms'
    scaled values 2 H, and r per adapted module.
Under bf16 autocast, products and their inputs take 2 bytes, one copy for each module that reads them; norms, residual stream
and unfused attention stay at 4 bytes; every linear weight is kept a second time at 2 bytes until backward is over.

On a CPU the room of temporaries counts too: with glibc's default malloc about `_HOLES` of it stays in use (with
MALLOC_MMAP_THRESHOLD_=1048576 a process holds little but what is saved, and takes a third to a half longer to compute; the likely cause is that
an aligned block does not fit the hole left by one of its size, glibc before 2.38). The share is the one fitted constant here;
predicted over measured peaks are 0.84 to 1.10 (benchmarks/results/memory_prediction.md). A GPU's caching allocator reuses
such holes whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tunescope.cost.architecture import Architecture
from tunescope.cost.trainable import Trains

Precision = Literal["fp32", "bf16"]
_HOLES = 0.75
"""Share of the freed temporaries' room that a CPU process still holds at its peak."""


@dataclass(frozen=True, kw_only=True)
class _Values:
    """Values per token: always fp32, or in the products' precision."""

    wide: float
    narrow: float

    def num_bytes(self, precision: Precision) -> float:
        return 4.0 * self.wide + (2.0 if precision == "bf16" else 4.0) * self.narrow


def training_activation_bytes(
    arch: Architecture,
    trains: Trains,
    *,
    num_tokens: int,
    longest: int,
    precision: Precision,
    on_gpu: bool,
    gradient_checkpointing: bool = False,
) -> float:
    """Bytes of activations at the peak of one micro-batch, forward and backward.

    Args:
        arch: The base model.
        trains: What is trained in it.
        num_tokens: Tokens of the micro-batch, padding included.
        longest: Tokens of its longest row.
        precision: Of the matrix products.
        on_gpu: Whether a caching allocator and fused dropout are at work.
        gradient_checkpointing: Whether each layer keeps its input alone and is computed again in backward.
    """
    saved, made = _layer_bytes(arch, trains, longest, precision, on_gpu)
    passing = _widest_bytes(arch, longest, precision)
    ends = 3.0 * 4.0 * arch.hidden
    if trains.is_head_only:
        return num_tokens * (ends + (passing if on_gpu else made))
    if gradient_checkpointing:
        layers = 4.0 * arch.hidden * arch.layers
        layers += saved if on_gpu else saved + (made - saved) * _HOLES
    else:
        layers = saved * arch.layers if on_gpu else (saved + (made - saved) * _HOLES) * arch.layers
    weight_copies = 2.0 * arch.linear_weights if precision == "bf16" else 0.0
    return num_tokens * (ends + layers + passing) + weight_copies


def evaluation_activation_bytes(
    arch: Architecture, *, num_tokens: int, longest: int, precision: Precision, on_gpu: bool
) -> float:
    """Bytes of activations at the peak of one batch without backward: what one layer makes, each tensor freed in turn.

    Args:
        arch: The base model.
        num_tokens: Tokens of the batch, padding included.
        longest: Tokens of its longest row.
        precision: Of the matrix products.
        on_gpu: Whether a caching allocator is at work.
    """
    weight_copies = 2.0 * arch.linear_weights if precision == "bf16" else 0.0
    passing = _widest_bytes(arch, longest, precision) * (1.0 if on_gpu else 1.0 + _HOLES)
    return num_tokens * (3.0 * 4.0 * arch.hidden + passing) + weight_copies


def _layer_bytes(
    arch: Architecture, trains: Trains, longest: int, precision: Precision, on_gpu: bool
) -> tuple[float, float]:
    """Bytes per token of one layer: saved for backward, and made in forward altogether."""
    hidden, query, scores = arch.hidden, arch.query_width, float(arch.heads * longest)
    unfused = arch.attention_dropout > 0.0 and not on_gpu
    noise_bytes = 1.0 if on_gpu else 4.0
    noise = arch.hidden_dropouts * hidden if arch.hidden_dropout > 0.0 else 0
    norms = 2 * hidden + (2 if arch.rms_norm else 4)
    attention = (
        _Values(wide=3 * query + 3 * scores, narrow=0)
        if unfused
        else _Values(wide=arch.heads, narrow=(6 if arch.has_joint_qkv else 4) * query + longest)
    )
    saved = _Values(wide=norms + attention.wide, narrow=attention.narrow + _activation_inputs(arch))
    trained = _trained_inputs(arch, trains, precision, unfused)
    wide_trained = 2 * hidden if trains.is_full and arch.rms_norm else 0
    saved_bytes = (
        saved.num_bytes(precision)
        + _Values(wide=wide_trained, narrow=trained).num_bytes(precision)
        + noise * (noise_bytes if noise_bytes == 1.0 or precision == "fp32" else 2.0)
    )
    return saved_bytes, max(saved_bytes, _made(arch, trains, longest, unfused, noise).num_bytes(precision))


def _activation_inputs(arch: Architecture) -> int:
    """Values per token that the MLP's activation keeps."""
    if arch.gated_mlp:
        return 3 * arch.intermediate
    if arch.activation in ("gelu_new", "gelu_fast", "gelu_python"):
        return 4 * arch.intermediate
    return 0 if arch.activation == "relu" else arch.intermediate


def _trained_inputs(arch: Architecture, trains: Trains, precision: Precision, unfused: bool) -> float:
    """Values per token kept because a linear module's own weight, or its adapter's, is trained."""
    shapes = arch.linear_shapes().values()
    chosen = (
        [(linear, 1.0) for linear in shapes] if trains.is_full else [(x, n / arch.layers) for x, n in trains.adapted]
    )
    total = sum(share * trains.rank for _, share in chosen)
    if not trains.is_full and trains.rank == 0:  # IA3 keeps what it scales
        return total + sum(share * linear.outputs for linear, share in chosen)
    if trains.use_dora:
        total += sum(share * 2 * linear.outputs for linear, share in chosen)
    if trains.dropout > 0.0:
        return total + sum(share * 2 * linear.inputs for linear, share in chosen)
    kept: dict[str, float] = {}
    for linear, share in chosen:
        if linear.reads == "attended" and not unfused:
            continue  # the fused kernel keeps its own output
        if linear.reads == "product" and arch.activation == "relu":
            kept[linear.reads] = max(kept.get(linear.reads, 0.0), share * linear.inputs)
        elif precision == "bf16":
            kept[linear.reads] = kept.get(linear.reads, 0.0) + share * linear.inputs
        else:
            kept[linear.reads] = max(kept.get(linear.reads, 0.0), share * linear.inputs)
    return total + sum(kept.values())


def _made(arch: Architecture, trains: Trains, longest: int, unfused: bool, noise: int) -> _Values:
    """Values per token that the operations of one layer's forward pass write, views left out."""
    hidden, query, kv = arch.hidden, arch.query_width, arch.kv_width
    scores = float(arch.heads * longest)
    adapters = sum(n / arch.layers * (trains.rank + 3 * x.outputs) for x, n in trains.adapted)
    if trains.dropout > 0.0:
        adapters += sum(n / arch.layers * 2 * x.inputs for x, n in trains.adapted)
    if arch.gated_mlp:
        # norms: square, scale, weight; residuals; o and down. q, k: product, 2 x cos/sin, half negated, cat, sum; cache; repeat.
        wide = 8.0 * hidden + 6
        repeats = 2 * query if arch.kv_heads < arch.heads else 0
        narrow = 2 * hidden + 5.5 * query + 6.5 * kv + 2 * kv + repeats + 4 * arch.intermediate
    else:
        # residual sums, norms; q, k, v, o and down, dropped values; activation.
        wide = 4.0 * hidden + 4
        narrow = 2 * hidden + 3 * query + noise + (2 * query if arch.is_decoder else 0)
        narrow += (9 if arch.activation == "gelu_new" else 2) * arch.intermediate
    if unfused:  # scaled q and k, copies, mixed values twice; scores, masked, safe softmax, noise, dropped
        wide += 6.25 * scores + (5 if arch.is_decoder and not arch.gated_mlp else 7) * query
    else:
        narrow += query + arch.heads
    return _Values(wide=wide + noise, narrow=narrow + longest + adapters)


def _widest_bytes(arch: Architecture, longest: int, precision: Precision) -> float:
    """Bytes per token of the widest operation, with what it reads and writes: the MLP's, or attention's."""
    mlp = _Values(wide=2 * arch.hidden, narrow=(3 if arch.gated_mlp else 2) * arch.intermediate)
    attention = _Values(wide=2 * arch.hidden, narrow=5 * arch.query_width + longest)
    return max(mlp.num_bytes(precision), attention.num_bytes(precision))
