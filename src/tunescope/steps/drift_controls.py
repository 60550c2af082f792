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
from tunescope.representations.kept_states import KeptStates, beside_kept
from tunescope.representations.side_by_side import StateBatch, paired_states
from tunescope.steps.base_read import BaseRead, base_read, num_examples_of
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
    read = drift_inputs(config, context, at_most=held_limit)  # as many examples as are held in memory at once
    network = read.network
    base = _base(inputs["base"], read)
    kept = None if base is None else base.states
    rows: list[DriftRow] = []

    def compare(batches: Iterator[StateBatch], name: str, *, known: bool = True) -> None:
        rows.extend(
            compare_states(
                batches,
                [Pair(compared=name)],
                num_examples=len(read.ids),
                num_features=read.num_features,
                measures=config.measures,
                base=base.statistics if base is not None and known else None,
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

    model = network.model

    def beside_base(other: Any, **how: Any) -> Iterator[StateBatch]:
        """The base model's states in front of another model's; as they were kept, or read in the same batches."""
        if kept is not None:
            return beside_kept(kept, states(other, **how))
        return _side_by_side(states(model), states(other, **how)) if how else states(model, other)

    if "base_again" in config.controls:
        compare(beside_base(model, batch_tokens=max(1, context.compute.evaluation_batch_tokens // 2)), "base_again")
    if "bf16" in config.controls:
        compare(beside_base(model, precision="bf16"), "bf16")
    pooled = tuple(how for how in config.pooling if how != "all_tokens")  # texts differ in their number of tokens
    if "shuffled" in config.controls and pooled:
        whole = _in_order(_joined(list(states(model, reads=pooled)))) if kept is None else _whole(kept)
        compare(iter([_paired(whole, _shuffled(whole))]), "shuffled", known=pooled == config.pooling)
    if "random_network" in config.controls:
        compare(beside_base(random_network(network, seed=_SEED)), "random_network")
    for name, method in config.untrained.items():
        fresh = network_for(config.base_model, config.task, context.source, seed=0, device=context.device)
        compare(beside_base(method.apply(fresh.model, config.task.kind, _SEED).eval()), f"untrained {name}")
    pq.write_table(rows_as_table(rows), out / STATES_NAME, compression="zstd")
    (out / IDS_NAME).write_text(json.dumps(read.ids), encoding="utf-8")
    names = dict.fromkeys(row.compared for row in rows if row.pooling == config.pooling[0])
    return {
        "drift": {name: mean_drift(rows, name, config.pooling[0]) for name in names},
        "num_examples": len(read.ids),
        "base_was_read": kept is None,
        "token_ids_sha256": read.token_ids_sha256,
        "data_fingerprint": read.data_fingerprint,
        "model_fingerprint": read.model_fingerprint,
        "drift_s": time.perf_counter() - began,
    }


def _base(folder: Path, read: DriftInputs) -> BaseRead | None:
    """What is known of the base model; None where it was read on more examples than controls are measured on."""
    limit = held_limit(read.num_features)
    return None if num_examples_of(folder) > limit == len(read.ids) else base_read(folder, read)


def _whole(kept: KeptStates) -> StateBatch:
    """All that was kept, as one batch, in the examples' order."""
    places = np.arange(kept.num_examples)
    return StateBatch(places=places, states=(kept.rows(places),))


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


def _in_order(batch: StateBatch) -> StateBatch:
    """Pooled states of all examples in their own order, so that a shuffle of them is the same whatever the batches."""
    order = np.argsort(batch.places)
    states = {key: np.asarray(rows)[order] for key, rows in batch.states[0].items()}
    return StateBatch(places=batch.places[order], states=({**states},))


def _part(batch: StateBatch, rows: slice) -> StateBatch:
    return StateBatch(
        places=batch.places[rows], states=({key: values[rows] for key, values in batch.states[0].items()},)
    )


def _shuffled(batch: StateBatch) -> StateBatch:
    """The states of other examples under the places of these."""
    order = np.random.default_rng(_SEED).permutation(len(batch.places))
    states = {key: np.asarray(rows)[order] for key, rows in batch.states[0].items()}
    return StateBatch(places=batch.places, states=({**states},))
