"""How far one trained run moved from its base model, or from another run: hidden states, and the weights themselves."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch

from tunescope.drift.compare_states import compare_states
from tunescope.drift.kept import IDS_NAME, KEPT_STATES_NAME, STATES_NAME, WEIGHTS_NAME
from tunescope.drift.pair import Pair
from tunescope.drift.random_models import moved_at_random
from tunescope.drift.row import rows_as_table
from tunescope.drift.summary import mean_drift
from tunescope.errors import ModelError
from tunescope.models.network import Network
from tunescope.models.saving import load_tuned
from tunescope.representations.kept_states import StateWriter, beside_kept, kept_on_the_way
from tunescope.representations.side_by_side import paired_states
from tunescope.steps.base_read import base_read
from tunescope.steps.context import StepContext
from tunescope.steps.device import use_threads
from tunescope.steps.drift_inputs import drift_inputs
from tunescope.steps.inputs import network_for
from tunescope.study.configs import DriftConfig
from tunescope.weights.measure import update_rows
from tunescope.weights.table import updates_as_table

_SEED = 0
"""Draws the random update."""


def run(
    config: DriftConfig, inputs: Mapping[str, Path], out: Path, scratch: Path, context: StepContext
) -> dict[str, Any]:
    """Writes `states.parquet` (a row per layer and measure), `ids.json` and, where asked for, `weights.parquet` and
    `states.safetensors`, the run's own pooled states."""
    use_threads(context.num_threads)
    began = time.perf_counter()
    read = drift_inputs(config, context)
    network = read.network
    base = None if "other" in inputs else base_read(inputs["base"], read)
    kept = None if base is None else base.states
    notes: list[str] = []
    models = _models(config, inputs, network, context, needs_base=kept is None or config.random_update)
    pairs = [Pair(compared="seeds" if "other" in inputs else "tuned")]
    drifts: dict[str, float | None] = {}
    if config.random_update:
        try:
            models.append(moved_at_random(*models, seed=_SEED))
            pairs.append(Pair(compared="random_update", other=2))
        except ModelError as error:
            drifts["random_update"] = None
            notes.append(f"no random update of the same length: {error}")
    if kept is not None and config.random_update:
        del models[0]  # its states are there
    batches = paired_states(
        models,
        network,
        read.encoded,
        reads=config.pooling,
        batch_tokens=context.compute.evaluation_batch_tokens,
        ids=read.ids,
    )
    if kept is not None:
        batches = beside_kept(kept, batches)
    with StateWriter(out / KEPT_STATES_NAME, len(read.ids)) if config.keep_states else nullcontext() as writer:
        rows = compare_states(
            batches if writer is None else kept_on_the_way(batches, 1, writer),
            pairs,
            num_examples=len(read.ids),
            num_features=read.num_features,
            measures=config.measures,
            layer_pairs=config.layer_pairs,
            base=None if base is None else base.statistics,
        )
    pq.write_table(rows_as_table(rows), out / STATES_NAME, compression="zstd")
    (out / IDS_NAME).write_text(json.dumps(read.ids), encoding="utf-8")
    facts: dict[str, Any] = {}
    if config.weights:
        base_folder = context.source.model_folder(config.base_model.name, config.base_model.revision)
        updates = update_rows(
            inputs["run"],
            base_folder,
            directions=config.weight_directions,
            base_is_half=True,  # a run starts from exactly what the checkpoint says, widened to float32
            trust_remote_code=config.base_model.trust_remote_code,
        )
        pq.write_table(updates_as_table(updates), out / WEIGHTS_NAME, compression="zstd")
        facts["num_modules"] = len(updates)
    return {
        "drift": {pair.compared: mean_drift(rows, pair.compared, config.pooling[0]) for pair in pairs} | drifts,
        "num_examples": len(read.ids),
        "base_was_read": base is not None and kept is None,
        "kept_bytes": 0 if writer is None else writer.num_bytes,
        "token_ids_sha256": read.token_ids_sha256,
        "data_fingerprint": read.data_fingerprint,
        "model_fingerprint": read.model_fingerprint,
        "drift_s": time.perf_counter() - began,
        "notes": notes,
        **facts,
    }


def _models(
    config: DriftConfig, inputs: Mapping[str, Path], network: Network, context: StepContext, *, needs_base: bool
) -> list[Any]:
    """The two that are compared, the base model or the run itself first; the run alone where the base is not needed."""
    if not needs_base:
        models = [load_tuned(network, inputs["run"])]  # changes the network in place
    else:
        again = network_for(config.base_model, config.task, context.source, seed=0, device=context.device)
        first = load_tuned(network, inputs["run"]) if "other" in inputs else network.model
        models = [first, load_tuned(again, inputs["other" if "other" in inputs else "run"])]
    return [model.to(torch.device(context.device)) for model in models]
