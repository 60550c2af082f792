"""The best of several trials, by their score on the selection rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunescope.errors import RunError
from tunescope.steps.context import StepContext
from tunescope.steps.train import SELECTION_NAME
from tunescope.study.configs import SelectConfig


def run(
    config: SelectConfig, inputs: Mapping[str, Path], out: Path, scratch: Path, context: StepContext
) -> dict[str, Any]:
    """Writes `selected.json`: the values of the best trial, the first of equals, and every trial's score.

    Raises:
        RunError: If no trial has a score.
    """
    scores = [
        json.loads((inputs[f"trial_{number}"] / SELECTION_NAME).read_text(encoding="utf-8"))["score"]
        for number in range(len(config.trials))
    ]
    defined = [number for number, value in enumerate(scores) if value is not None]
    if not defined:
        raise RunError("none of the sweep's trials has a selection score; see the trials' logs")
    best = max(defined, key=lambda number: scores[number])
    selected = {"trial": best, "values": config.trials[best], "score": scores[best], "scores": scores}
    (out / "selected.json").write_text(json.dumps(selected, indent=1), encoding="utf-8")
    return selected
