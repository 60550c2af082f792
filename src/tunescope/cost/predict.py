"""Architecture, method, rows and device -> seconds, memory and disk of a job, with the assumptions behind them.

Operations of a forward pass over T tokens in rows of L: 2 W T for the linear modules (W their weights; embeddings are
look-ups) + 4 L Q T a layer for scores and mixing (Q the query width). Backward: as much again for the gradients of the
activations (twice for attention), and as much again for those of the weights, where these are trained. So full fine-tuning
costs 6 W T, LoRA 4 W T and its adapters 6 each weight, a trained head 2 W T; gradient checkpointing adds a forward pass.
Seconds are operations over the device's reached speed, plus the traffic of activations and of AdamW's step (28 bytes read and
written a trained parameter, 20 more to add up and clip gradients) over its memory speed, plus the start of each operation.

Memory: 4 bytes a parameter (fp32 masters), and of each trained one 4 for its gradient, 8 for AdamW's moments and, on a CPU,
4 for the best weights so far; activations as in `activations.py`; the process itself.

Disk: what stays (full fine-tuning keeps the model in fp32 or packed, other methods what they trained; predictions; the metric log).
`scratch_gib` is what a run under way holds beside it and frees at its end: checkpoints of weights, moments and best weights, 16
bytes a trained parameter, twice while a new one replaces the last.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

from tunescope.cost.activations import Precision, evaluation_activation_bytes, training_activation_bytes
from tunescope.cost.architecture import Architecture
from tunescope.cost.devices import DeviceProfile
from tunescope.cost.kept_states import BYTES_PER_TENSOR, kept_states_gib, num_states
from tunescope.cost.trainable import Trains

_GIB = 2.0**30
_PROCESS_GIB = 0.48
"""Resident memory of Python with torch, transformers, peft, datasets and sklearn imported (measured, Linux)."""
_CUDA_GIB = 0.5
"""What a CUDA context and the libraries' workspaces take on a GPU."""
_GPU_SLACK = 1.05
"""A caching allocator's unused rest."""
_START_S = 0.5
"""Seconds that a job takes beside its work in a process that is warm: reading data and tokens again, keeping the artifact.
Measured over the 83 jobs of `studies/demo.yaml`: 0.3 for a training, 0.06 for an evaluation, and 0.4 between two jobs."""
WORKER_START_S = 5.0
"""Seconds that a worker takes once, for its imports: 1.7 on an idle machine with its files in memory, 5.1 on a busy one."""
_LOAD_BYTES_PER_S = 1e9
_COMPARE_GFLOPS = 15.0
"""Float64 products of NumPy on two ordinary cores."""
_OPERATIONS_PER_LAYER = 40
_LONGEST_OVER_MEAN = 2.0
"""Longest over mean length of a step's rows: 1.5 (MRPC) to 2.8 (SST-2) with 32 rows a step, 1.7 in SQuAD v2."""
_PREDICTION_BYTES = 150
_BYTES_PER_ID = 8
_TOKENS_HELD_BYTES = 16.0 * 2**20
"""As `drift.sequence_sample.token_limit`, per state and model."""
_DRIFT_BYTES = 200_000
"""Tables of a job of drift: 20 KB for a model of few blocks, more for more layer pairs."""
_LOG_BYTES = 250
_PACKED_SHARE = 0.66
"""Bytes of a packed full model over its plain ones. Measured on all-MiniLM: 0.55 to 0.70 outside of the word embeddings, 0.65
after 2,240 steps at 2e-5; weights as small as a 1.1 B decoder's take 0.03 more. docs/decisions/0009 has the table."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Examples as far as cost goes."""

    num: int
    mean_tokens: float
    """Mean tokens of what the model reads at once: an example, or a window of one."""
    longest: int
    """Tokens of the longest."""
    windows: float = 1.0
    """Rows of tokens an example is cut into, on average."""

    @property
    def num_tokens(self) -> float:
        return self.num * self.windows * self.mean_tokens


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a job is expected to need."""

    seconds: float
    memory_gib: float
    """Peak: of the device's memory on a GPU, of the process (resident set) on a CPU."""
    disk_gib: float
    """What it leaves in the store."""
    scratch_gib: float = 0.0
    """What it holds beside that while it runs."""
    assumptions: tuple[str, ...] = ()


def predict_training(
    architecture: Architecture,
    trains: Trains,
    device: DeviceProfile,
    *,
    train: Rows,
    selection: Rows,
    num_steps: int,
    batch_size: int,
    num_scorings: int,
    micro_batch_tokens: int,
    evaluation_batch_tokens: int,
    precision: Precision = "fp32",
    gradient_checkpointing: bool = False,
    padding_free: bool = True,
    keep_best: bool = True,
    keep_weights: bool = True,
    pack_weights: bool = False,
) -> Prediction:
    """One training, its scorings of the selection rows included.

    Args:
        architecture: The base model.
        trains: What the method trains in it.
        device: Where.
        train: Rows to train on.
        selection: Rows scored `num_scorings` times.
        num_steps: Optimiser steps.
        batch_size: Rows per step; a long context's windows are a row each.
        num_scorings: How often the selection rows are scored.
        micro_batch_tokens: Tokens, padding included, computed at once; a single longer row may be more.
        evaluation_batch_tokens: The same for scoring.
        precision: "bf16" is autocast over fp32 masters.
        gradient_checkpointing: Whether layers are computed again in backward.
        padding_free: Whether rows are laid end to end; else they are padded to the longest of their portion.
        keep_best: Whether the best weights so far are kept aside.
        keep_weights: Whether the tuned weights stay in the store; a sweep's trials leave none.
        pack_weights: Whether a full model is kept as its difference from the base model's.
    """
    step_rows = min(float(batch_size), train.num * train.windows)
    step_tokens = step_rows * train.mean_tokens
    portions = max(1.0, (1.0 if padding_free else 1.5) * step_tokens / micro_batch_tokens)
    padding = min(1.0 + (_LONGEST_OVER_MEAN - 1.0) / portions, train.longest / train.mean_tokens)
    computed = step_tokens * (1.0 if padding_free else padding)
    work = _training_operations(
        architecture, trains, computed, min(train.longest, 1.3 * train.mean_tokens), gradient_checkpointing
    )
    at_once = _tokens_at_once(step_rows, train.longest, micro_batch_tokens, in_rows=not padding_free)
    activation_bytes = partial(
        training_activation_bytes,
        architecture,
        trains,
        num_tokens=at_once,
        longest=train.longest,
        precision=precision,
        on_gpu=device.is_gpu,
    )
    activations = activation_bytes(gradient_checkpointing=gradient_checkpointing)
    passes = 1.0 if trains.is_head_only else 3.0
    step_s = (
        work / _speed(device, precision)
        + passes * activation_bytes() * (computed / at_once) / (device.bandwidth_gb_s * 1e9)
        + 48.0 * trains.num_parameters / (device.bandwidth_gb_s * 1e9)
        + passes
        * math.ceil(computed / micro_batch_tokens)
        * architecture.layers
        * _OPERATIONS_PER_LAYER
        * device.kernel_s
    )
    scoring_s = _forward_s(architecture, selection, device, evaluation_batch_tokens, precision)
    total = architecture.backbone_parameters + trains.adapter_parameters + trains.head_parameters
    trained = trains.num_parameters
    best = 4.0 * trained if keep_best and not device.is_gpu else 0.0
    second_gradient = 4.0 * architecture.vocab * architecture.hidden if trains.is_full and portions > 1 else 0.0
    training_bytes = 4.0 * total + 12.0 * trained + best + second_gradient + activations
    scoring_bytes = 4.0 * total + 12.0 * trained + 2.0 * best
    scoring_bytes += _evaluation_bytes(architecture, selection, device, evaluation_batch_tokens, precision)
    saved = 0 if not keep_weights else total if trains.is_full else trained
    is_packed = pack_weights and keep_weights and trains.is_full
    kept_bytes = (
        4.0 * saved * (_PACKED_SHARE if is_packed else 1.0) + _PREDICTION_BYTES * selection.num + _LOG_BYTES * num_steps
    )
    return Prediction(
        seconds=_START_S + 4.0 * total / _LOAD_BYTES_PER_S + num_steps * step_s + num_scorings * scoring_s,
        memory_gib=_with_process(max(training_bytes, scoring_bytes), device),
        disk_gib=kept_bytes / _GIB,
        scratch_gib=32.0 * trained / _GIB,
        assumptions=(
            *_assumptions(device),
            "rows are laid end to end, so no padding is computed (compute.padding_free)"
            if padding_free
            else f"the longest of a step's rows is {_LONGEST_OVER_MEAN:g} times the mean; sorted into portions, padding falls with their number",
            *(
                [f"a packed full model takes {_PACKED_SHARE:g} of its bytes (compute.pack_weights)"]
                if is_packed
                else []
            ),
        ),
    )


def predict_evaluation(
    architecture: Architecture,
    device: DeviceProfile,
    *,
    rows: Rows,
    evaluation_batch_tokens: int,
    precision: Precision = "fp32",
    num_words: int | None = None,
) -> Prediction:
    """The scores of a model on some rows; predictions are kept.

    Args:
        architecture: The base model; an adapter's part is left out.
        device: Where.
        rows: Rows to score.
        evaluation_batch_tokens: Tokens, padding included, computed at once.
        precision: Of the matrix products.
        num_words: For zero-shot: label words, each of which is a pass with logits over the vocabulary.
    """
    weights = 4.0 * architecture.backbone_parameters
    needed = weights + _evaluation_bytes(architecture, rows, device, evaluation_batch_tokens, precision)
    passes_s = _forward_s(architecture, rows, device, evaluation_batch_tokens, precision)
    if num_words is not None:
        vocabulary = 0 if architecture.tied_embeddings else architecture.vocab * architecture.hidden
        at_once = _tokens_at_once(rows.num * rows.windows, rows.longest, evaluation_batch_tokens)
        needed += 4.0 * vocabulary + (2.0 if precision == "bf16" else 4.0) * at_once * architecture.vocab
        logits = 2.0 * rows.num_tokens * architecture.vocab * architecture.hidden
        passes_s = num_words * (passes_s + logits / _speed(device, precision))
    return Prediction(
        seconds=_START_S + weights / _LOAD_BYTES_PER_S + passes_s,
        memory_gib=_with_process(needed, device),
        disk_gib=_PREDICTION_BYTES * rows.num / _GIB,
        assumptions=_assumptions(device),
    )


def predict_baseline(rows: Rows) -> Prediction:
    """A baseline that reads no model: majority, random, a published value.

    Args:
        rows: Rows to score.
    """
    return Prediction(
        seconds=_START_S / 2 + 2e-4 * rows.num,
        memory_gib=_PROCESS_GIB,
        disk_gib=_PREDICTION_BYTES * rows.num / _GIB,
        assumptions=("counting labels costs 0.2 ms a row",),
    )


def predict_representation(
    architecture: Architecture,
    device: DeviceProfile,
    *,
    rows: Rows,
    num_poolings: int,
    num_kept: int,
    evaluation_batch_tokens: int,
) -> Prediction:
    """What comparisons need of a base model's hidden states on some rows, and the states themselves where they are kept.

    Args:
        architecture: The base model.
        device: Where.
        rows: Rows to represent.
        num_poolings: Ways to pool.
        num_kept: Of these, how many are kept.
        evaluation_batch_tokens: Tokens, padding included, computed at once.
    """
    plain = predict_evaluation(architecture, device, rows=rows, evaluation_batch_tokens=evaluation_batch_tokens)
    states = num_states(architecture)
    at_once = _tokens_at_once(rows.num * rows.windows, rows.longest, evaluation_batch_tokens)
    one_batch = 4.0 * at_once * architecture.hidden * states
    # Held, float32: examples up to the limit. Summed: moments in float64, whatever the number of examples.
    are_held = rows.num <= _held_limit(architecture)
    held = (4.0 * rows.num if are_held else 8.0 * architecture.hidden) * architecture.hidden * states * num_poolings
    products = 4.0 * rows.num * min(rows.num, architecture.hidden) * architecture.hidden * states * num_poolings
    terms = (16.0 * rows.num if are_held else 32.0) + BYTES_PER_TENSOR
    return Prediction(
        seconds=plain.seconds + products / (_COMPARE_GFLOPS * 1e9),
        memory_gib=plain.memory_gib + (one_batch + (0.0 if device.is_gpu else held)) / _GIB,
        disk_gib=(terms * states * num_poolings + _BYTES_PER_ID * rows.num) / _GIB
        + kept_states_gib(architecture, num_examples=rows.num, num_poolings=num_kept),
        assumptions=plain.assumptions,
    )


def predict_drift(
    architecture: Architecture,
    device: DeviceProfile,
    *,
    rows: Rows,
    num_models: int,
    num_pooled: int,
    num_of_tokens: int,
    num_kept: int,
    is_base_kept: bool,
    evaluation_batch_tokens: int,
) -> Prediction:
    """Hidden states of several models side by side on some rows, compared layer by layer.

    Args:
        architecture: The base model's, and with it every other's.
        device: Where the models are; the comparison runs on the CPU.
        rows: Rows to read.
        num_models: Models in memory at once.
        num_pooled: Ways to pool texts into vectors, each compared.
        num_of_tokens: Reads that keep the vectors of single tokens.
        num_kept: Of these, how many of the tuned model's are kept.
        is_base_kept: Whether the base model's states are there already, so that it is not read again.
        evaluation_batch_tokens: Tokens, padding included, computed at once.
    """
    plain = predict_evaluation(architecture, device, rows=rows, evaluation_batch_tokens=evaluation_batch_tokens)
    states = num_states(architecture)
    at_once = _tokens_at_once(rows.num * rows.windows, rows.longest, evaluation_batch_tokens)
    one_model = 4.0 * at_once * architecture.hidden * states
    held = 4.0 * min(rows.num, _held_limit(architecture)) * architecture.hidden * states * num_pooled
    held += max(_TOKENS_HELD_BYTES, 8.0 * architecture.hidden**2) * states * num_of_tokens
    more_weights = 4.0 * architecture.backbone_parameters * (num_models - 1)
    products = (
        8.0
        * rows.num
        * min(rows.num, architecture.hidden)
        * architecture.hidden
        * states
        * (num_pooled + num_of_tokens)
    )
    return Prediction(
        seconds=(num_models - is_base_kept) * plain.seconds + (num_models - 1) * products / (_COMPARE_GFLOPS * 1e9),
        memory_gib=plain.memory_gib + (more_weights + one_model + (0.0 if device.is_gpu else num_models * held)) / _GIB,
        disk_gib=_DRIFT_BYTES / _GIB + kept_states_gib(architecture, num_examples=rows.num, num_poolings=num_kept),
        assumptions=(*plain.assumptions, f"comparing reaches {_COMPARE_GFLOPS:g} GFLOP/s in float64"),
    )


def _held_limit(architecture: Architecture) -> int:
    """As `drift.compare_states.held_limit`, which is not for planning to import."""
    return max(architecture.hidden, 2048)


def predict_retention(
    architecture: Architecture, device: DeviceProfile, *, rows: Rows, evaluation_batch_tokens: int
) -> Prediction:
    """A base and a tuned model as language models of plain text, side by side.

    Args:
        architecture: The base model's.
        device: Where.
        rows: Windows of text, at most.
        evaluation_batch_tokens: Tokens, padding included, computed at once.
    """
    one = predict_evaluation(
        architecture, device, rows=rows, evaluation_batch_tokens=evaluation_batch_tokens, num_words=1
    )
    return Prediction(
        seconds=2.0 * one.seconds,
        memory_gib=one.memory_gib + 4.0 * architecture.backbone_parameters / _GIB,
        disk_gib=_PREDICTION_BYTES * rows.num / _GIB,
        assumptions=one.assumptions,
    )


def _training_operations(
    arch: Architecture, trains: Trains, num_tokens: float, length: float, checkpointing: bool
) -> float:
    linear = 2.0 * arch.linear_weights
    attention = 4.0 * length * arch.query_width * arch.layers
    if trains.is_head_only:
        per_token = linear + attention
    else:
        adapters = 6.0 * trains.adapter_parameters
        per_token = (3.0 if trains.is_full else 2.0) * linear + 3.0 * attention + adapters
        per_token += linear + attention if checkpointing else 0.0
    return num_tokens * per_token


def _forward_s(arch: Architecture, rows: Rows, device: DeviceProfile, batch_tokens: int, precision: Precision) -> float:
    work = rows.num_tokens * (2.0 * arch.linear_weights + 4.0 * rows.mean_tokens * arch.query_width * arch.layers)
    batches = math.ceil(rows.num_tokens / batch_tokens)
    traffic = rows.num_tokens * arch.layers * 4.0 * (10 * arch.hidden + 4 * arch.intermediate)
    return (
        work / _speed(device, precision)
        + traffic / (device.bandwidth_gb_s * 1e9)
        + batches * arch.layers * _OPERATIONS_PER_LAYER * device.kernel_s
    )


def _evaluation_bytes(
    arch: Architecture, rows: Rows, device: DeviceProfile, batch_tokens: int, precision: Precision
) -> float:
    return evaluation_activation_bytes(
        arch,
        num_tokens=_tokens_at_once(rows.num * rows.windows, rows.longest, batch_tokens),
        longest=rows.longest,
        precision=precision,
        on_gpu=device.is_gpu,
    )


def _tokens_at_once(num_rows: float, longest: int, max_tokens: int, *, in_rows: bool = True) -> int:
    """Tokens of the largest portion, one row at least: whole rows of the longest length, or as many tokens as may be."""
    if not in_rows:
        return max(longest, min(longest * math.ceil(num_rows), max_tokens))
    return longest * max(1, min(math.ceil(num_rows), max_tokens // longest))


def _speed(device: DeviceProfile, precision: Precision) -> float:
    """Operations per second that the device is assumed to reach."""
    peak = device.bf16_tflops if precision == "bf16" else device.fp32_tflops
    return peak * 1e12 * device.utilisation


def _with_process(needed_bytes: float, device: DeviceProfile) -> float:
    if device.is_gpu:
        return _CUDA_GIB + _GPU_SLACK * needed_bytes / _GIB
    return _PROCESS_GIB + needed_bytes / _GIB


def _assumptions(device: DeviceProfile) -> tuple[str, ...]:
    return (
        f"{device.utilisation:.0%} of {device.name}'s peak is reached ({device.source})",
        f"a worker takes {WORKER_START_S:g} s to start and a job {_START_S:g} s, and weights load at {_LOAD_BYTES_PER_S / 1e9:g} GB/s",
    )
