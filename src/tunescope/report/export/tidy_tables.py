"""Findings -> the tidy tables that lie beside the page: a row per thing measured, unrounded, as Arrow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from tunescope.analysis.collect import ResultRow, as_table
from tunescope.analysis.drift import DriftResult, LayerDrift
from tunescope.analysis.findings import Findings
from tunescope.analysis.hypotheses import comparisons_as_table
from tunescope.analysis.ledger import Cost, RelativeCost
from tunescope.analysis.makespan import RunCommand
from tunescope.analysis.probes import Probed
from tunescope.analysis.provenance import JobLine
from tunescope.analysis.quality import Level
from tunescope.analysis.retention import Retained
from tunescope.analysis.trials import TrialRow
from tunescope.analysis.updates import BlockUpdate, Update

if TYPE_CHECKING:
    import pyarrow as pa

_CELL = {"base_model": "str", "task": "str", "method": "str"}
_RUN = _CELL | {"seed": "int"}
_COLUMNS: dict[str, dict[str, str]] = {
    "quality": {
        **_CELL,
        "metric": "str",
        "value": "float",
        "ci_low": "float",
        "ci_high": "float",
        "level": "float",
        "interval_method": "str",
        "sd": "float",
        "num_seeds": "int",
        "num_examples": "int",
        "num_planned": "int",
        "num_failed": "int",
        "reason": "str",
        "expected_low": "float",
        "expected_high": "float",
        "is_inside": "bool",
        "is_primary": "bool",
        "higher_is_better": "bool",
    },
    "loss": _RUN | {"first_step": "int", "last_step": "int", "step": "float", "loss": "float", "job": "str"},
    "selection": _RUN
    | {"metric": "str", "step": "int", "score": "float", "standard_error": "float", "note": "str", "job": "str"},
    "budget": _CELL | {"num_trials": "int", "value": "float", "ci_low": "float", "ci_high": "float"},
    "settings": _RUN | {"setting": "str", "value": "str"},
    "disagreements": {
        **_RUN,
        "example": "str",
        "target": "str",
        "answer": "str",
        "score": "float",
        "is_right": "bool",
        "gap": "float",
        "job": "str",
    },
    "jobs": {field.name: "str" for field in fields(JobLine)}
    | {"seed": "int", "seconds": "float", "peak_memory_gib": "float", "is_wanted": "bool"},
    "run_commands": {field.name: "int" if field.name.startswith("num_") else "str" for field in fields(RunCommand)}
    | dict.fromkeys(("predicted_s", "makespan_s", "ratio", "job_seconds", "busy_share"), "float"),
}
"""Of the tables whose rows hold rows of their own."""


def tidy_tables(findings: Findings) -> dict[str, pa.Table]:
    """Name of a table -> the table; `results` and `jobs` always, others where they have a row."""
    flat: dict[str, tuple[Sequence[Any], type[Any]]] = {
        "results": (findings.rows, ResultRow),
        "levels": (findings.levels, Level),
        "drift": (findings.drift, DriftResult),
        "layers": (findings.layers, LayerDrift),
        "weights": (findings.updates, Update),
        "weights_by_block": (findings.block_updates, BlockUpdate),
        "retention": (findings.retention, Retained),
        "probes": (findings.probes, Probed),
        "trials": (findings.trials, TrialRow),
        "costs": (findings.costs, Cost),
        "relative_costs": (findings.relative_costs, RelativeCost),
    }
    tables = {name: as_table([_joined(row) for row in rows], kind) for name, (rows, kind) in flat.items()}
    tables["comparisons"] = comparisons_as_table(findings.comparisons)
    nested = {
        "quality": _quality(findings),
        "loss": _loss(findings),
        "selection": _selection(findings),
        "budget": _budget(findings),
        "settings": _settings(findings),
        "disagreements": _disagreements(findings),
        "jobs": _jobs(findings),
        "run_commands": _run_commands(findings),
    }
    tables |= {name: _arrow(list(rows), _COLUMNS[name]) for name, rows in nested.items()}
    return {name: table for name, table in tables.items() if table.num_rows or name in ("results", "jobs")}


def _joined(row: Any) -> SimpleNamespace:
    """A row with its lists as one text each, '; ' between their entries."""
    return SimpleNamespace(
        **{name: "; ".join(map(str, value)) if isinstance(value, tuple) else value for name, value in vars(row).items()}
    )


def _arrow(rows: Sequence[dict[str, Any]], columns: dict[str, str]) -> pa.Table:
    import pyarrow as pa

    kinds = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}
    return pa.Table.from_pylist(list(rows), schema=pa.schema([(name, kinds[kind]) for name, kind in columns.items()]))


def _quality(findings: Findings) -> Iterator[dict[str, Any]]:
    for one in findings.quality:
        estimate, expected = one.estimate, one.expected
        yield {
            "base_model": one.base_model,
            "task": one.task,
            "method": one.method,
            "metric": one.metric,
            "value": estimate.value,
            "ci_low": estimate.ci_low,
            "ci_high": estimate.ci_high,
            "level": estimate.level,
            "interval_method": estimate.method,
            "sd": one.sd,
            "num_seeds": one.num_seeds,
            "num_examples": estimate.num_examples,
            "num_planned": one.num_planned,
            "num_failed": one.num_failed,
            "reason": estimate.reason,
            "expected_low": None if expected is None else expected.low,
            "expected_high": None if expected is None else expected.high,
            "is_inside": None if expected is None else expected.is_inside,
            "is_primary": one.is_primary,
            "higher_is_better": one.higher_is_better,
        }


def _loss(findings: Findings) -> Iterator[dict[str, Any]]:
    for curve in findings.curves:
        for point in curve.loss:
            yield {name: getattr(curve, name) for name in (*_RUN, "job")} | vars(point)


def _selection(findings: Findings) -> Iterator[dict[str, Any]]:
    for curve in findings.curves:
        for point in curve.selection:
            yield {name: getattr(curve, name) for name in (*_RUN, "metric", "job")} | vars(point)


def _budget(findings: Findings) -> Iterator[dict[str, Any]]:
    for sweep in findings.sweeps:
        for num_trials, estimate in sweep.budget:
            yield {
                **dict(zip(_CELL, sweep.place, strict=True)),
                "num_trials": num_trials,
                "value": estimate.value,
                "ci_low": estimate.ci_low,
                "ci_high": estimate.ci_high,
            }


def _settings(findings: Findings) -> Iterator[dict[str, Any]]:
    """A row per setting; a row per seed where they differ."""
    for one in findings.settings:
        for setting in one.settings:
            for seed, value in setting.by_seed or ((None, setting.value),):
                place = {name: getattr(one, name) for name in _CELL}
                yield place | {"seed": seed, "setting": setting.name, "value": value}


def _disagreements(findings: Findings) -> Iterator[dict[str, Any]]:
    for found in findings.disagreements:
        for example in found.examples:
            for answer in example.answers:
                yield {
                    "base_model": found.base_model,
                    "task": found.task,
                    "example": example.id,
                    "target": example.target,
                    "gap": example.gap,
                    **vars(answer),
                }


def _jobs(findings: Findings) -> Iterator[dict[str, Any]]:
    for line in findings.jobs:
        yield vars(line) | {
            "flags": "; ".join(line.flags),
            "started_at": None if line.started_at is None else line.started_at.isoformat(),
            "inputs": "; ".join(f"{role}: {job}" for role, job in line.inputs),
        }


def _run_commands(findings: Findings) -> Iterator[dict[str, Any]]:
    for one in findings.history.commands:
        yield vars(one) | {"started_at": one.started_at.isoformat(), "ended_at": one.ended_at.isoformat()}
