"""Whether a base model loads as it should: only the head new, the tokenizer stable, padding without effect."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from tunescope.hub.source import Source
from tunescope.models.base import BaseModelSpec
from tunescope.models.network import Network
from tunescope.models.padding import pad_batch
from tunescope.models.tokenizer import MAX_UNKNOWN, load_tokenizer
from tunescope.preflight.finding import Finding, Status
from tunescope.steps.inputs import network_for
from tunescope.tasks.data import Examples
from tunescope.tasks.encode import Encoded, encode
from tunescope.tasks.spec import TaskSpec

GOLDEN_SENTENCE = "The quick brown fox didn't jump over 13 lazy dogs."
PADDING_TOLERANCE = 1e-4
"""How far logits may differ with padding, as a share of the largest (of 1, where all are smaller)."""
_SHOWN_IDS = 24


@dataclass(frozen=True, kw_only=True)
class NetworkQuestion:
    """A base model under a task's head, and a few real rows to try it on."""

    base_model: BaseModelSpec
    task: TaskSpec
    examples: Examples
    source: Source


@dataclass(frozen=True, kw_only=True)
class NetworkFacts:
    """What loading a base model twice, with two seeds, and padding a few rows showed."""

    class_name: str
    num_parameters: int
    num_tensors: int
    head_names: tuple[str, ...]
    drawn: tuple[str, ...]
    """Tensors that differ between the two seeds: those that were drawn, not read."""
    pad_token: str
    pad_id: int
    model_pad_id: int | None
    golden_ids: tuple[int, ...]
    golden_ids_again: tuple[int, ...]
    """From a tokenizer loaded a second time."""
    golden_decoded: str
    num_unknown: int
    """Golden ids that are the unknown token."""
    unknown_share: float
    """Share of the rows' tokens that are the unknown token."""
    num_rows: int
    padding_difference: float
    """Largest absolute difference of a real row's logits alone, padded on the right and padded on the left."""
    largest_logit: float


def inspect_network(question: NetworkQuestion) -> NetworkFacts:
    """Loads a base model twice, encodes, and computes a few rows with and without padding, on the CPU.

    Raises:
        TunescopeError: If model, tokenizer or rows do not fit.
    """
    model, task = question.base_model, question.task
    first = network_for(model, task, question.source, seed=0, device="cpu")
    before = fingerprints(first.model)
    facts = {
        "class_name": type(first.model).__name__,
        "num_parameters": sum(weight.numel() for weight in first.model.parameters()),
    }
    del first
    network = network_for(model, task, question.source, seed=1, device="cpu")
    after = fingerprints(network.model)
    tokenizer = network.tokenizer
    again = load_tokenizer(model, question.source.model_folder(model.name, model.revision))
    ids = tuple(tokenizer(GOLDEN_SENTENCE)["input_ids"])
    encoded = encode(task, question.examples, tokenizer, is_decoder=network.is_decoder)
    difference, largest = padding_difference(network, encoded)
    return NetworkFacts(
        **facts,
        num_tensors=len(after),
        head_names=network.head_names,
        drawn=tuple(name for name, value in after.items() if before[name] != value),
        pad_token=tokenizer.pad_token,
        pad_id=tokenizer.pad_token_id,
        model_pad_id=network.model.config.pad_token_id,
        golden_ids=ids,
        golden_ids_again=tuple(again(GOLDEN_SENTENCE)["input_ids"]),
        golden_decoded=tokenizer.decode(ids, skip_special_tokens=True),
        num_unknown=0 if tokenizer.unk_token_id is None else ids.count(tokenizer.unk_token_id),
        unknown_share=encoded.share_of(tokenizer.unk_token_id),
        num_rows=len(encoded),
        padding_difference=difference,
        largest_logit=largest,
    )


def judge_network(subject: str, facts: NetworkFacts) -> Iterator[Finding]:
    """Puts the facts into findings."""

    def finding(status: Status, message: str) -> Finding:
        return Finding(section="model", subject=subject, status=status, message=message)

    strange = sorted(set(facts.drawn) - set(facts.head_names))
    if strange:
        yield finding(
            "fault",
            f"{len(strange)} tensors outside the head are drawn at random ({', '.join(strange[:3])}): they should be "
            "the checkpoint's. Take a checkpoint that has them",
        )
    elif not facts.drawn:
        yield finding("fault", "two seeds gave the same head: the head is not drawn from the seed. Report this")
    else:
        yield finding(
            "ok",
            f"{facts.class_name}, {facts.num_parameters:,} parameters in {facts.num_tensors} tensors; new are exactly "
            f"{', '.join(facts.head_names)}",
        )
    if facts.pad_id != facts.model_pad_id:
        yield finding(
            "fault", f"the tokenizer pads with id {facts.pad_id}, the model with {facts.model_pad_id}. Report this"
        )
    if facts.golden_ids != facts.golden_ids_again:
        yield finding("fault", f"two loads of the tokenizer give other ids for the same text: {GOLDEN_SENTENCE!r}")
    ids = " ".join(map(str, facts.golden_ids[:_SHOWN_IDS]))
    cut = f" ... ({len(facts.golden_ids)} ids)" if len(facts.golden_ids) > _SHOWN_IDS else ""
    back = f"which decode to {facts.golden_decoded!r}; pad token {facts.pad_token!r} ({facts.pad_id})"
    if facts.num_unknown:
        yield finding(
            "note",
            f"{facts.num_unknown} of {len(facts.golden_ids)} tokens of plain English are unknown to the tokenizer: "
            f"{GOLDEN_SENTENCE!r} is {ids}{cut}, {back}",
        )
    else:
        yield finding("ok", f"{GOLDEN_SENTENCE!r} is {ids}{cut}, {back}")
    if facts.unknown_share > MAX_UNKNOWN:
        yield finding(
            "fault",
            f"{facts.unknown_share:.0%} of the tokens of {facts.num_rows} real rows are unknown to the tokenizer: is it the "
            "model's own, and the text in its language?",
        )
    allowed = PADDING_TOLERANCE * max(1.0, facts.largest_logit)
    yield finding(
        "ok" if facts.padding_difference <= allowed else "fault",
        f"logits of {facts.num_rows} real rows alone, padded left and padded right differ by at most "
        f"{facts.padding_difference:.1e} (allowed {allowed:.1e})",
    )


def padding_difference(network: Network, encoded: Encoded) -> tuple[float, float]:
    """Largest difference that padding makes to any row's logits, and the largest logit.

    Args:
        network: With a tokenizer that has a pad token.
        encoded: A few rows.
    """
    rows, types = encoded.input_ids, encoded.token_types
    alone = [
        _logits(network, [row], None if types is None else [types[place]], "right")[0] for place, row in enumerate(rows)
    ]
    right, left = _logits(network, rows, types, "right"), _logits(network, rows, types, "left")
    gaps = [float((a - b).abs().max()) for padded in (right, left) for a, b in zip(alone, padded, strict=True)]
    return max(gaps), max(float(logits.abs().max()) for logits in alone)


def fingerprints(model: Any) -> Mapping[str, int]:
    """CRC-32 of the bytes of every parameter and buffer, by name: a changed tensor goes unseen once in 4e9."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {
        name: zlib.crc32(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        for name, tensor in tensors.items()
    }


def _logits(
    network: Network, rows: Sequence[Sequence[int]], types: Sequence[Sequence[int]] | None, side: Any
) -> list[torch.Tensor]:
    """Each row's logits: (labels,), or for question answering (2, its tokens)."""
    batch = pad_batch(rows, network.tokenizer.pad_token_id, is_decoder=network.is_decoder, side=side, token_types=types)
    with torch.inference_mode():
        output = network.model(**batch)
    if hasattr(output, "logits"):
        return list(output.logits)
    both = torch.stack([output.start_logits, output.end_logits], dim=1)
    return [row[:, mask.bool()] for row, mask in zip(both, batch["attention_mask"], strict=True)]
