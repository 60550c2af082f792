"""Machine time: what each run command took beside its prediction, and how busy its workers were."""

from __future__ import annotations

from datetime import UTC

from tunescope.analysis.makespan import RunCommand, RunHistory
from tunescope.report.content import numbers
from tunescope.report.content.provenance import when
from tunescope.report.content.section import Sentence
from tunescope.report.content.table import Column, Row, Table, text

_ENDINGS = {
    "whole": "did all",
    "failures": "jobs failed",
    "interrupted": "interrupted",
    "killed": "killed: as last heard",
}


def history_sentences(history: RunHistory) -> list[Sentence]:
    """How long the study ran, and how far predictions were off."""
    told = []
    commands = history.commands
    if commands:
        total = sum(one.makespan_s for one in commands)
        words = f"{numbers.plural(len(commands), 'run command')} took {numbers.seconds(total)} in all"
        held = [(one.makespan_s, one.ratio) for one in commands if one.ratio is not None]
        if held:
            took, ratio = held[-1]
            words += (
                f"; the last that did all it had to took {numbers.seconds(took)}, "
                f"{numbers.factor(ratio)} times its prediction"
            )
        told.append(Sentence(text=f"{words}.", anchor="cost-runs"))
    for shards in history.shards:
        predicted = "" if shards.predicted_s is None else f", predicted {numbers.seconds(shards.predicted_s)}"
        seen = "" if shards.num_seen == shards.num_shards else f", of {shards.num_seen} of which this store knows"
        told.append(
            Sentence(
                text=f"{shards.num_shards} shards{seen}: the longest ran {numbers.seconds(shards.makespan_s)}{predicted}; "
                f"together their jobs took {numbers.seconds(shards.job_seconds)}.",
                anchor="cost-runs",
            )
        )
    if history.num_torn:
        lines = numbers.plural(history.num_torn, "line")
        told.append(Sentence(text=f"{lines} of the history of runs cannot be read and are left out.", tone="doubt"))
    return told


def history_tables(history: RunHistory) -> list[Table]:
    """A row per run command; no table where there was none."""
    commands = history.commands
    if not commands:
        return []
    has_shards = any(one.shard for one in commands)
    return [
        Table(
            id="cost-runs",
            caption="Run commands: makespan and how busy the workers were",
            columns=(
                Column(name="began", is_key=True),
                Column(name="machine"),
                Column(name="executor"),
                *([Column(name="shard")] if has_shards else []),
                Column(name="workers", kind="number"),
                Column(name="end"),
                Column(name="done", kind="number"),
                Column(name="failed", kind="number"),
                Column(name="tried again", kind="number"),
                Column(name="left", kind="number"),
                Column(name="predicted", kind="number"),
                Column(name="took", kind="number"),
                Column(name="took / predicted", kind="number"),
                Column(name="time of jobs", kind="number"),
                Column(name="workers busy", kind="number"),
            ),
            rows=tuple(_row(one, has_shards=has_shards) for one in commands),
            note="Predicted: until the last worker is done, from the predicted times of the jobs there were to do. Time of jobs: of all "
            "tries that ended, those that failed included; workers busy: their share of the workers' time. Commands that found "
            "nothing to do are left out.",
            can_filter=len(commands) > 12,
        )
    ]


def _row(one: RunCommand, *, has_shards: bool) -> Row:
    predicted = "" if one.predicted_s is None else numbers.seconds(one.predicted_s)
    share = None if one.busy_share is None else numbers.percent(one.busy_share)
    return Row(
        cells=(
            text(when(one.started_at.astimezone(UTC))),
            text(one.host),
            text(one.executor),
            *([text(one.shard or "")] if has_shards else []),
            numbers.number(one.num_workers),
            text(_ENDINGS[one.ending], tone="" if one.ending == "whole" else "doubt"),
            numbers.number(one.num_done),
            numbers.number(one.num_failed + one.num_blocked),
            numbers.number(one.num_retried),
            numbers.number(one.num_left),
            numbers.number(one.predicted_s, predicted),
            numbers.number(one.makespan_s, numbers.seconds(one.makespan_s)),
            numbers.number(one.ratio, "" if one.ratio is None else numbers.factor(one.ratio)),
            numbers.number(one.job_seconds, numbers.seconds(one.job_seconds)),
            numbers.number(one.busy_share, share or ""),
        )
    )
