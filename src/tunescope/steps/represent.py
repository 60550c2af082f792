"""What every drift of a base model on a task needs of the base model: read once, shared by all runs and controls."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from tunescope.drift.base_statistics import base_statistics, save_statistics
from tunescope.drift.compare_states import held_limit, require_enough
from tunescope.drift.kept import IDS_NAME, KEPT_STATES_NAME, STATISTICS_NAME
from tunescope.representations.kept_states import StateWriter, kept_on_the_way
from tunescope.representations.side_by_side import paired_states
from tunescope.steps.base_read import described
from tunescope.steps.context import StepContext
from tunescope.steps.device import use_threads
from tunescope.steps.drift_inputs import drift_inputs
from tunescope.study.configs import RepresentConfig


def run(
    config: RepresentConfig, inputs: Mapping[str, Path], out: Path, scratch: Path, context: StepContext
) -> dict[str, Any]:
    """Writes `statistics.safetensors`, `ids.json` and, where they are kept, `states.safetensors`."""
    use_threads(context.num_threads)
    began = time.perf_counter()
    read = drift_inputs(config, context)
    require_enough(len(read.ids))
    batches = paired_states(
        [read.network.model],
        read.network,
        read.encoded,
        reads=config.pooling,
        batch_tokens=context.compute.evaluation_batch_tokens,
        ids=read.ids,
    )
    with StateWriter(out / KEPT_STATES_NAME, len(read.ids)) if config.keep_states else nullcontext() as writer:
        statistics = base_statistics(
            batches if writer is None else kept_on_the_way(batches, 0, writer),
            num_examples=len(read.ids),
            are_held=len(read.ids) <= held_limit(read.num_features),
        )
    save_statistics(statistics, out / STATISTICS_NAME, described(read))
    (out / IDS_NAME).write_text(json.dumps(read.ids), encoding="utf-8")
    return {
        "num_examples": len(read.ids),
        "states": [f"{state}/{pooling}" for state, pooling in statistics.terms],
        "kept_bytes": 0 if writer is None else writer.num_bytes,
        "token_ids_sha256": read.token_ids_sha256,
        "data_fingerprint": read.data_fingerprint,
        "model_fingerprint": read.model_fingerprint,
        "represent_s": time.perf_counter() - began,
    }
