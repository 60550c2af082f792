"""Machine time as the report tells it: commands in a table, predictions in a sentence."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from made_findings import made_findings, plan_of
from tunescope.analysis.makespan import RunCommand, RunHistory, ShardMakespan
from tunescope.report.content.cost import cost_section
from tunescope.report.content.machines import history_sentences, history_tables


def _command(**changed):
    given = {
        "started_at": datetime(2026, 1, 2, 3, tzinfo=UTC),
        "ended_at": datetime(2026, 1, 2, 4, tzinfo=UTC),
        "host": "node-a",
        "executor": "local",
        "num_workers": 2,
        "shard": None,
        "ending": "whole",
        "num_done": 8,
        "num_reused": 1,
        "num_failed": 0,
        "num_blocked": 0,
        "num_left": 0,
        "num_retried": 2,
        "predicted_s": 80.0,
        "makespan_s": 100.0,
        "ratio": 1.25,
        "job_seconds": 150.0,
        "busy_share": 0.75,
    }
    return RunCommand(**(given | changed))


def test_nothing_is_said_where_nothing_is_known():
    assert history_sentences(RunHistory()) == []
    assert history_tables(RunHistory()) == []


def test_a_command_beside_its_prediction():
    history = RunHistory(commands=(_command(ending="killed", ratio=None, num_left=3), _command()))
    (told,) = history_sentences(history)
    assert told.text == (
        "2 run commands took 3 min 20 s in all; the last that did all it had to took 1 min 40 s, 1.2 times its prediction."
    )
    (table,) = history_tables(history)
    assert "shard" not in [column.name for column in table.columns]
    assert [cell.shown for cell in table.rows[1].cells] == [
        *("2026-01-02 03:00 UTC", "node-a", "local", "2", "did all", "8", "0", "2", "0"),
        *("1 min 20 s", "1 min 40 s", "1.2", "2 min 30 s", "75.0%"),
    ]
    assert [cell.shown for cell in table.rows[0].cells][4] == "killed: as last heard"
    assert table.rows[0].cells[11].value is None


def test_without_a_prediction():
    history = RunHistory(commands=(_command(predicted_s=None, ratio=None),), num_torn=2)
    told = [sentence.text for sentence in history_sentences(history)]
    assert told == [
        "1 run command took 1 min 40 s in all.",
        "2 lines of the history of runs cannot be read and are left out.",
    ]


def test_shards():
    shards = ShardMakespan(num_shards=3, num_seen=2, predicted_s=60.0, makespan_s=120.0, job_seconds=300.0)
    history = RunHistory(commands=(_command(shard="1/3"),), shards=(shards,))
    assert history_sentences(history)[1].text == (
        "3 shards, of 2 of which this store knows: the longest ran 2 min 0 s, predicted 1 min 0 s; together their jobs took 5 min 0 s."
    )
    (table,) = history_tables(history)
    assert table.rows[0].cells[3].shown == "1/3"


def test_it_stands_in_the_section_on_cost():
    findings = replace(made_findings(plan_of()), history=RunHistory(commands=(_command(),)))
    section = cost_section(findings)
    assert [table.id for table in section.tables] == ["cost-totals", "cost-runs", "cost-ledger"]
    assert any(sentence.anchor == "cost-runs" for sentence in section.sentences)
    assert {len(row.cells) for row in section.tables[1].rows} == {len(section.tables[1].columns)}
