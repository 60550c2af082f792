"""The best trial of a sweep, by its score on the selection rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunescope.errors import RunError
from tunescope.search.advice import advice
from tunescope.search.propose import default_setting
from tunescope.search.space import as_text
from tunescope.steps.context import StepContext
from tunescope.steps.propose import trials_so_far
from tunescope.study.configs import SelectConfig

SELECTED_NAME = "selected.json"


def run(
    config: SelectConfig, inputs: Mapping[str, Path], out: Path, scratch: Path, context: StepContext
) -> dict[str, Any]:
    """Writes `selected.json`: the values of the best complete trial, the first of equals, and every trial.

    Raises:
        RunError: If no trial is complete.
    """
    trials = trials_so_far(inputs, config.num_trials)
    assert len(trials) == config.num_trials, f"{len(trials)} trials, where {config.num_trials} were planned"
    complete = [trial for trial in trials if trial.state == "complete"]
    if not complete:
        reasons = "; ".join(dict.fromkeys(trial.reason for trial in trials if trial.reason))
        raise RunError(
            f"none of the sweep's {len(trials)} trials is complete ({reasons or 'all were pruned'}); see their logs"
        )
    best = max(complete, key=lambda trial: (trial.score or 0.0, -trial.number))
    usual = default_setting(config.spaces)
    default = next((trial for trial in trials if usual is not None and as_text(trial.values) == as_text(usual)), None)
    selected = {
        "trial": best.number,
        "values": best.values,
        "score": best.score,
        "default_trial": None if default is None else default.number,
        "num_tokens": sum(trial.num_tokens for trial in trials),
        "num_tokens_planned": sum(trial.num_tokens_planned for trial in trials),
        "warnings": advice(config.spaces, config.settings, trials, best),
        "trials": [trial.model_dump(mode="json") for trial in trials],
    }
    (out / SELECTED_NAME).write_text(json.dumps(selected, indent=1), encoding="utf-8")
    return {key: value for key, value in selected.items() if key != "trials"}
