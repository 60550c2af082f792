"""Hugging Face PEFT's method-comparison results -> the same table as any file of scores.

One JSON file per experiment (github.com/huggingface/peft, `method_comparison/*/results`): `run_info` (name, settings, seed),
`train_info` (status, and `metrics`: an entry per evaluation, the last one of the test set) and `meta_info` (data sets,
versions). The number of test examples is not in it. It is deduced: the least number of which every accuracy is an exact
multiple, and GSM8K's official 1,319 where they are multiples of that.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tunescope.analysis.tables.scores_file import ScoreRow, ScoreTable
from tunescope.errors import DataError, did_you_mean

TEST_ACCURACY = "test accuracy"
_OFFICIAL_SIZES = {"gsm8k": 1319}
"""Test examples by data set (Cobbe et al., 2021, arXiv:2110.14168)."""
_MOST_EXAMPLES = 100_000
_SECTIONS = ("run_info", "train_info", "meta_info")


@dataclass(frozen=True, kw_only=True)
class _Run:
    """What one file says, checked."""

    path: Path
    name: str
    model: str
    data_sets: tuple[str, ...]
    seed: int | None
    settings: Mapping[str, Any]
    status: str
    error: str
    last: Mapping[str, Any]
    """The last entry of its metrics; empty where there is none."""


def is_peft_comparison(source: Path) -> bool:
    """Whether the source is a folder, or a JSON file, of this format; its content is checked on reading only."""
    return source.is_dir() or (source.suffix.lower() == ".json" and _looks_like_one(source))


def read_peft_comparison(source: Path, measure: str | None = None) -> ScoreTable:
    """The final scores of PEFT's experiments, a method per experiment.

    Args:
        source: A folder of result files, or one of them.
        measure: A key of the last metrics entry; `test accuracy` where None. Only accuracy is a share of examples.

    Raises:
        DataError: If there is no such file, a file is of another kind or torn, none has the measure, or two are the same
            experiment with the same seed.
    """
    measure = measure or TEST_ACCURACY
    runs = [_read_run(path) for path in _files(source)]
    _refuse_duplicates(runs)
    notes: list[str] = []
    rows: list[ScoreRow] = []
    for model, group in _by_model(runs).items():
        values = {run.path: _value(run, measure) for run in group if run.status == "success"}
        num_examples, told = _num_examples(group, list(values.values())) if measure == TEST_ACCURACY else (None, "")
        notes.extend([told] if told else [])
        task = f"{group[0].data_sets[-1]} ({model})" if group[0].data_sets else model
        rows.extend(
            ScoreRow(
                method=run.name,
                task=task,
                metric=measure,
                seed=run.seed,
                value=values.get(run.path),
                num_examples=num_examples,
                reason=""
                if run.path in values
                else f"the run is {run.status or 'without status'}: {run.error or 'no reason given'}",
            )
            for run in group
        )
    notes.extend(_differing_settings(runs))
    return ScoreTable(source=str(source), rows=tuple(rows), notes=tuple(notes))


def least_common_size(shares: Sequence[float], *, most: int = _MOST_EXAMPLES) -> int | None:
    """The least n up to `most` for which every share is k/n to the last bit for a whole k; None where there is none.

    The true size is that n or a multiple of it.

    Args:
        shares: Numbers in [0, 1], 1 or more, each computed in float64 as k/n.

    Raises:
        ValueError: If there is no share, or one is not in [0, 1].
    """
    values = np.unique(np.asarray(shares, dtype=np.float64))
    if values.size == 0 or not ((values >= 0) & (values <= 1)).all():
        raise ValueError("least_common_size: expected one or more shares in [0, 1].")
    sizes = np.arange(1, most + 1, dtype=np.float64)
    for value in values:
        sizes = sizes[np.round(value * sizes) / sizes == value]
    return int(sizes[0]) if sizes.size else None


def _files(source: Path) -> list[Path]:
    if not source.exists():
        raise DataError(f"{source}: no such file or folder. Give PEFT's results folder, or a file of scores.")
    if source.is_file():
        return [source]
    files = sorted(source.glob("*.json"))
    if not files:
        found = sorted(path.name for path in source.iterdir())
        told = f"{', '.join(found[:5])}{', ...' if len(found) > 5 else ''}" if found else "nothing"
        raise DataError(
            f"{source}: expected PEFT's method-comparison results (*.json with {', '.join(_SECTIONS)}), found {told}. "
            "A table of scores is given as a file, not as its folder."
        )
    return files


def _looks_like_one(path: Path) -> bool:
    """Whether the file is one JSON object with the sections of a result, or an object over several lines of another kind."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError):
        return False  # JSON lines, or not JSON at all: the reader of tables says which
    return isinstance(content, dict) and "method" not in content


def _read_run(path: Path) -> _Run:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(
            f"{path}: expected one of PEFT's results as JSON, found a file that cannot be read: {error}."
        ) from error
    missing = [key for key in _SECTIONS if not isinstance(content, dict) or not isinstance(content.get(key), dict)]
    if missing:
        keys = ", ".join(list(content)[:8]) if isinstance(content, dict) else f"a {type(content).__name__}"
        raise DataError(
            f"{path}: a JSON file of another kind: expected PEFT's method-comparison result with {', '.join(_SECTIONS)}, "
            f"found {keys or 'an empty object'}. Move it out of the folder, or give a table of scores."
        )
    run, train, meta = (content[key] for key in _SECTIONS)
    settings = run.get("train_config")
    name, metrics = run.get("experiment_name"), train.get("metrics")
    for place, value, kind in (
        ("run_info.experiment_name", name, str),
        ("run_info.train_config", settings, dict),
        ("train_info.status", train.get("status"), str),
        ("train_info.metrics", metrics, list),
    ):
        if not isinstance(value, kind):
            raise DataError(
                f"{path}: {place}: expected a {kind.__name__}, found {value!r:.60}. Is it a whole result of PEFT's comparison?"
            )
    seed = settings.get("seed")
    return _Run(
        path=path,
        name=name,
        model=str(settings.get("model_id", "")),
        data_sets=tuple(meta["dataset_info"]) if isinstance(meta.get("dataset_info"), dict) else (),
        seed=seed if isinstance(seed, int) else None,
        settings=settings,
        status=train["status"],
        error=str(run.get("error_msg") or ""),
        last=metrics[-1] if metrics and isinstance(metrics[-1], dict) else {},
    )


def _value(run: _Run, measure: str) -> float:
    value = run.last.get(measure)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        found = "nothing" if value is None else repr(value)
        numbers = [key for key, one in run.last.items() if isinstance(one, int | float)]
        raise DataError(
            f"{run.path}: train_info.metrics: the last entry's '{measure}': expected a number, found {found}. "
            f"{did_you_mean(measure, numbers)}"
        )
    if measure == TEST_ACCURACY and not 0 <= value <= 1:
        raise DataError(
            f"{run.path}: train_info.metrics: '{measure}': expected a share between 0 and 1, found {value:g}."
        )
    return float(value)


def _by_model(runs: Sequence[_Run]) -> dict[str, list[_Run]]:
    groups: defaultdict[str, list[_Run]] = defaultdict(list)
    for run in runs:
        groups[run.model].append(run)
    return dict(groups)


def _num_examples(runs: Sequence[_Run], accuracies: Sequence[float]) -> tuple[int | None, str]:
    """How many test examples there were, and how that is known."""
    if not accuracies:
        return None, ""
    official = next((_OFFICIAL_SIZES[name] for name in runs[0].data_sets if name in _OFFICIAL_SIZES), None)
    if official is not None and all(round(value * official) / official == value for value in accuracies):
        return official, (
            f"the files do not say how many test examples there were: all {len(accuracies)} accuracies are exact multiples of "
            f"1/{official}, and {official:,} is the size of GSM8K's test set"
        )
    least = least_common_size(accuracies)
    if least is None:
        return None, (
            "the files do not say how many test examples there were, and the accuracies are exact multiples of no "
            f"1/n up to n = {_MOST_EXAMPLES:,}: no sampling error can be given"
        )
    return least, (
        f"the files do not say how many test examples there were: {least:,} is the least number of which all {len(accuracies)} "
        "accuracies are exact multiples; if it was a multiple of that, intervals are narrower than shown"
    )


def _differing_settings(runs: Sequence[_Run]) -> list[str]:
    """Which settings besides the method are not the same in all runs: differences may come from them."""
    names = sorted({name for run in runs for name in run.settings} - {"seed"})
    kinds = {name: len({json.dumps(run.settings.get(name), sort_keys=True) for run in runs}) for name in names}
    differing = [f"{name} ({count} values)" for name, count in kinds.items() if count > 1]
    return [f"not the same in all runs, besides the method: {', '.join(differing)}"] if differing else []


def _refuse_duplicates(runs: Sequence[_Run]) -> None:
    seen: dict[tuple[str, str, int | None], _Run] = {}
    for run in runs:
        first = seen.setdefault((run.name, run.model, run.seed), run)
        if first is not run:
            raise DataError(
                f"{run.path}: experiment '{run.name}' with seed {run.seed} is in {first.path.name} already. "
                "Keep the later one, as PEFT's own page does."
            )
