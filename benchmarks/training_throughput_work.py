"""What every side of `training_throughput.py` is given: rows of a data set's lengths, in the orders that the sides read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import AutoTokenizer
from transformers.trainer_pt_utils import LengthGroupedSampler

from tunescope.hub.source import Source
from tunescope.tasks.data import load_training_data
from tunescope.tasks.encode import encode
from tunescope.tasks.encoded import Encoded, Truncation, Windows
from tunescope.tasks.registry import catalogue_entry
from tunescope.tasks.spec import Classification, QuestionAnswering, TaskSpec
from tunescope.training.order import DataOrder

SEED = 7
WARM_UP_STEPS = 2
"""Steps of the same rows on every side, whose losses are compared; not timed."""
PAD_ID = 0
_TOKENIZER = "sentence-transformers/all-MiniLM-L6-v2"
_DATASET = {"squad_v2": "local/squad_v2_dev_resplit"}
"""Where the mirror has other train rows than the catalogue names."""
_FIRST_CONTEXT_TOKEN = 12


@dataclass(frozen=True, kw_only=True)
class LogNormal:
    """Lengths to draw where there is no data: as the mirror's train rows have them under MiniLM's tokenizer."""

    median: float
    sigma: float
    """Standard deviation of the natural logarithm."""
    shortest: int
    longest: int


SHAPES: Mapping[str, LogNormal] = {
    "mrpc": LogNormal(median=64, sigma=0.21, shortest=30, longest=114),
    "rte": LogNormal(median=63, sigma=0.48, shortest=20, longest=296),
    "sst2": LogNormal(median=21, sigma=0.35, shortest=14, longest=77),
    "squad_v2": LogNormal(median=160, sigma=0.32, shortest=41, longest=384),
}
_DRAWN_ROWS = 4000


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """Tokens of every train row of a task."""

    tokens: np.ndarray
    """(n,) int64."""
    source: str


@dataclass(frozen=True, kw_only=True)
class Work:
    """Rows to train on, as many as the steps need, warm-up first."""

    task: TaskSpec
    encoded: Encoded
    """Random token ids. In the order that our loop's `DataOrder` with `SEED` draws, the first rows are the warm-up's."""
    batch_size: int
    num_steps: int
    """Of the timed part."""
    dealt: np.ndarray
    """All rows in the order our loop is dealt them."""
    grouped: np.ndarray
    """All rows, those after the warm-up in batches of like length."""
    longest_in_split: int
    lengths: Lengths

    @property
    def timed(self) -> np.ndarray:
        """Rows of the timed part."""
        return self.dealt[WARM_UP_STEPS * self.batch_size :]


def task_spec(name: str) -> TaskSpec:
    """A task of the catalogue, with the train rows that the mirror has."""
    entry = catalogue_entry(name)
    if name in _DATASET:
        entry["dataset"] = {"hub": _DATASET[name]}
    kind = QuestionAnswering if entry["kind"] == "question_answering" else Classification
    return kind.model_validate(entry)


def read_lengths(name: str, mirror: Path | None) -> Lengths:
    """A task's lengths: measured on the mirror's data where it is there, else drawn from `SHAPES`."""
    task = task_spec(name)
    if mirror is not None and (mirror / "datasets" / str(task.dataset.hub)).is_dir():
        examples = load_training_data(task, Source(mirror=mirror)).train
        tokenizer = AutoTokenizer.from_pretrained(mirror / "models" / _TOKENIZER)
        encoded = encode(task, examples, tokenizer, is_decoder=task.kind != "question_answering")
        return Lengths(tokens=encoded.lengths, source=f"{task.dataset.hub}, {len(encoded):,} rows")
    shape = SHAPES[name]
    drawn = shape.median * np.exp(np.random.default_rng(SEED).normal(0.0, shape.sigma, _DRAWN_ROWS))
    tokens = np.clip(drawn.round(), shape.shortest, shape.longest).astype(np.int64)
    told = f"log-normal, median {shape.median:g}, sigma {shape.sigma:g}, {shape.shortest} to {shape.longest}"
    return Lengths(tokens=tokens, source=told)


def make_work(name: str, lengths: Lengths, *, batch_size: int, num_steps: int, vocab: int) -> Work:
    """Rows for so many timed steps that stand for the whole split.

    `Trainer`'s own sampler groups the whole split by length; of its batches, ordered by their longest row, every n-th
    is taken. These rows, each once, are the timed part of every side: grouped as they are, or dealt at random.
    """
    drawn = np.random.default_rng(SEED)
    sampler = LengthGroupedSampler(
        batch_size, lengths=lengths.tokens.tolist(), generator=torch.Generator().manual_seed(SEED)
    )
    order = np.array(list(sampler), dtype=np.int64)
    batches = order[: len(order) // batch_size * batch_size].reshape(-1, batch_size)
    batches = batches[np.argsort(lengths.tokens[batches].max(axis=1), kind="stable")]
    taken = batches[((np.arange(num_steps) + 0.5) / num_steps * len(batches)).astype(np.int64)]
    rest = np.setdiff1d(order, taken.ravel())
    warm_up = drawn.choice(rest, WARM_UP_STEPS * batch_size, replace=False)

    num_rows = batch_size * (WARM_UP_STEPS + num_steps)
    our_order = DataOrder(num_rows=num_rows, batch_size=batch_size, seed=SEED)
    dealt = np.concatenate([our_order.rows(step) for step in range(WARM_UP_STEPS + num_steps)])
    in_split = np.empty(num_rows, dtype=np.int64)
    in_split[dealt] = np.concatenate([warm_up, drawn.permutation(taken.ravel())])
    row_of = {int(place): row for row, place in enumerate(in_split)}
    shuffled = taken[drawn.permutation(num_steps)].ravel()
    grouped = np.array([*dealt[: WARM_UP_STEPS * batch_size], *(row_of[int(place)] for place in shuffled)])
    task = task_spec(name)
    return Work(
        task=task,
        encoded=_random_rows(task, lengths.tokens[in_split], vocab, drawn),
        batch_size=batch_size,
        num_steps=num_steps,
        dealt=dealt,
        grouped=grouped,
        longest_in_split=int(lengths.tokens.max()),
        lengths=lengths,
    )


def _random_rows(task: TaskSpec, lengths: np.ndarray, vocab: int, drawn: np.random.Generator) -> Encoded:
    num_rows = len(lengths)
    windows = None
    targets = drawn.integers(0, 2, num_rows)
    if task.kind == "question_answering":
        null = lengths - 1
        windows = Windows(
            context_start=np.full(num_rows, _FIRST_CONTEXT_TOKEN),
            context_end=null - 1,
            null_position=null,
            offsets=(),
            num_answerable=num_rows,
            num_inexact=0,
            num_unreachable=0,
        )
        start = drawn.integers(_FIRST_CONTEXT_TOKEN, null)
        targets = np.stack([start, np.minimum(start + 3, null - 1)], axis=1)
    return Encoded(
        input_ids=[drawn.integers(PAD_ID + 1, vocab, length).tolist() for length in lengths],
        token_types=None,
        example_index=np.arange(num_rows),
        targets=targets,
        windows=windows,
        truncation=Truncation(num_examples=num_rows, num_truncated=0, num_tokens_lost=0),
    )
