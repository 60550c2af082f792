"""Pooled hidden states of a base model on a task's report rows, and the ids they are of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.numpy import save_file

from tunescope.hub.fingerprint import weights_fingerprint
from tunescope.representations.extract import extract
from tunescope.steps.context import StepContext
from tunescope.steps.device import use_threads
from tunescope.steps.inputs import encoded_part, network_for, report_data
from tunescope.study.configs import RepresentConfig


def run(
    config: RepresentConfig, inputs: Mapping[str, Path], out: Path, scratch: Path, context: StepContext
) -> dict[str, Any]:
    """Writes `states.safetensors` and `ids.json`: min(num_examples, N) report rows, the same for every model."""
    use_threads(context.num_threads)
    capped = config.num_examples if config.task.max_report is None else min(config.num_examples, config.task.max_report)
    task = config.task.model_copy(update={"max_report": capped})
    data = report_data(task, context.source)
    network = network_for(config.base_model, task, context.source, seed=0, device=context.device)
    encoded = encoded_part(task, "report", config.base_model, context.source, is_decoder=network.is_decoder)
    states = extract(
        network.model,
        network,
        encoded,
        how=config.pooling,
        batch_tokens=context.compute.evaluation_batch_tokens,
        ids=data.report.ids,
    )
    save_file(states, out / "states.safetensors")
    (out / "ids.json").write_text(json.dumps(data.report.ids), encoding="utf-8")
    return {
        "num_examples": len(data.report),
        "shapes": {name: list(rows.shape) for name, rows in states.items()},
        "data_fingerprint": data.fingerprint,
        "model_fingerprint": weights_fingerprint(
            context.source.model_folder(config.base_model.name, config.base_model.revision)
        ),
    }
