"""What a drift number would be if nothing had happened to the base model, or everything."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from tunescope.drift.compare_states import compare_states, held_limit
from tunescope.drift.kept import IDS_NAME, STATES_NAME
from tunescope.drift.pair import Pair
from tunescope.drift.random_models import random_network
from tunescope.drift.row import DriftRow, rows_as_table
from tunescope.drift.summary import mean_drift
from tunescope.representations.side_by_side import StateBatch, paired_states
from tunescope.steps.context import StepContext
from tunescope.steps.device import use_threads
from tunescope.steps.drift_inputs import DriftInputs, drift_inputs
from tunescope.steps.inputs import network_for
from tunescope.study.configs import DriftControlsConfig
from tunescope.study.drift import Read

_SEED = 0
"""Draws the random network, the untrained adapters and the shuffled order."""


def run(
    config: DriftControlsConfig, inputs: Mapping[str, Path], out: Path, scratch: Path, context: StepContext
) -> dict[str, Any]:
    """Writes `states.parquet`, rows as a run's have them with the control's name in `compared`, and `ids.json`."""
    use_threads(context.num_threads)
    began = time.perf_counter()
    read = _few_enough(config, context)
    network = read.network
    rows: list[DriftRow] = []

    def compare(batches: Iterator[StateBatch], name: str) -> None:
        rows.extend(
            compare_states(
                batches,
                [Pair(compared=name)],
                num_examples=len(read.ids),
                num_features=read.num_features,
                measures=config.measures,
            )
        )

    def states(
        *models: Any,
        precision: str = "fp32",
        batch_tokens: int | None = None,
        reads: Sequence[Read] = config.pooling,
    ) -> Iterator[StateBatch]:
        return paired_states(
            models,
            network,
            read.encoded,
            reads=reads,
            batch_tokens=batch_tokens or context.compute.evaluation_batch_tokens,
            precision=precision,
            ids=read.ids,
        )

    base = network.model
    if "base_again" in config.controls:
        half = max(1, context.compute.evaluation_batch_tokens // 2)
        compare(_side_by_side(states(base), states(base, batch_tokens=half)), "base_again")
    if "bf16" in config.controls:
        compare(_side_by_side(states(base), states(base, precision="bf16")), "bf16")
    pooled = tuple(how for how in config.pooling if how != "all_tokens")  # texts differ in their number of tokens
    if "shuffled" in config.controls and pooled:
        whole = _joined(list(states(base, reads=pooled)))
        compare(iter([_paired(whole, _shuffled(whole))]), "shuffled")
    if "random_network" in config.controls:
        compare(states(base, random_network(network, seed=_SEED)), "random_network")
    for name, method in config.untrained.items():
        fresh = network_for(config.base_model, config.task, context.source, seed=0, device=context.device)
        model = method.apply(fresh.model, config.task.kind, _SEED).eval()
        compare(states(base, model), f"untrained {name}")
    pq.write_table(rows_as_table(rows), out / STATES_NAME, compression="zstd")
    (out / IDS_NAME).write_text(json.dumps(read.ids), encoding="utf-8")
    names = dict.fromkeys(row.compared for row in rows if row.pooling == config.pooling[0])
    return {
        "drift": {name: mean_drift(rows, name, config.pooling[0]) for name in names},
        "num_examples": len(read.ids),
        "token_ids_sha256": read.token_ids_sha256,
        "data_fingerprint": read.data_fingerprint,
        "model_fingerprint": read.model_fingerprint,
        "drift_s": time.perf_counter() - began,
    }


def _few_enough(config: DriftControlsConfig, context: StepContext) -> DriftInputs:
    """The inputs, cut to as many examples as are held in memory at once."""
    read = drift_inputs(config, context)
    limit = held_limit(read.num_features)
    return read if len(read.ids) <= limit else drift_inputs(config.model_copy(update={"num_examples": limit}), context)


def _side_by_side(first: Iterator[StateBatch], second: Iterator[StateBatch]) -> Iterator[StateBatch]:
    """Two readings of the same examples in the same order, however each was cut into batches, in the batches of the first."""
    waiting: list[StateBatch] = []
    for one in first:
        size = len(one.places)
        while sum(len(batch.places) for batch in waiting) < size:
            waiting.append(next(second))
        other = _joined(waiting)
        yield _paired(one, _part(other, slice(0, size)))
        waiting = [_part(other, slice(size, None))] if len(other.places) > size else []


def _paired(one: StateBatch, other: StateBatch) -> StateBatch:
    assert np.array_equal(one.places, other.places), "the same examples in the same order"
    return StateBatch(places=one.places, states=(one.states[0], other.states[0]))


def _joined(batches: Sequence[StateBatch]) -> StateBatch:
    """Batches of one model as one."""
    if len(batches) == 1:
        return batches[0]
    states: dict[tuple[str, Read], Any] = {}
    for key in batches[0].states[0]:
        parts: list[Any] = [batch.states[0][key] for batch in batches]
        states[key] = (
            np.concatenate(parts) if isinstance(parts[0], np.ndarray) else [rows for part in parts for rows in part]
        )
    return StateBatch(places=np.concatenate([batch.places for batch in batches]), states=(states,))


def _part(batch: StateBatch, rows: slice) -> StateBatch:
    return StateBatch(
        places=batch.places[rows], states=({key: values[rows] for key, values in batch.states[0].items()},)
    )


def _shuffled(batch: StateBatch) -> StateBatch:
    """The states of other examples under the places of these."""
    order = np.random.default_rng(_SEED).permutation(len(batch.places))
    states = {key: np.asarray(rows)[order] for key, rows in batch.states[0].items()}
    return StateBatch(places=batch.places, states=({**states},))
