"""The examples step keeps report rows as people read them, in the order they are scored, and tells what the data holds."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

from tunescope.hub.source import Source
from tunescope.steps import STEPS
from tunescope.steps.context import StepContext
from tunescope.steps.inputs import forget_inputs, report_data
from tunescope.study.configs import ExamplesConfig, as_read
from tunescope.study.example_jobs import EXAMPLES_NAME
from tunescope.study.load import parse_study
from tunescope.study.spec import Compute

_STUDY = "name: t\nbase_model: tunescope/demo-llama\ntasks: [{task}]\nmethods: {{full: {{}}}}\nseeds: [1]\n"


def _read(task, out, folder=None):
    forget_inputs()
    source = Source() if folder is None else Source(study_folder=folder)
    context = StepContext(source=source, compute=Compute(), device="cpu", num_threads=1, report=lambda progress: None)
    facts = STEPS["examples"](ExamplesConfig(task=as_read(task)), {}, out, out, context)
    return facts, pq.read_table(out / EXAMPLES_NAME), source


def _task(text):
    return parse_study(_STUDY.format(task=text), "t").tasks[0]


def test_rows_are_those_that_are_scored_with_their_texts_and_labels(tmp_path):
    task = _task("{name: demo_paraphrase, max_train: 50, max_report: 30}")
    facts, table, source = _read(task, tmp_path)
    examples = report_data(task, source).report
    assert table.column_names == ["id", *(f"text {name}" for name in examples.texts), "target"]
    assert table["id"].to_pylist() == list(examples.ids)
    for name, texts in examples.texts.items():
        assert table[f"text {name}"].to_pylist() == list(texts)
    assert table["target"].to_pylist() == [task.labels[number] for number in examples.numbers]
    assert facts["num_examples"] == {"train": 50, "selection": 100, "report": 30}
    assert sum(facts["label_balance"]["report"].values()) == 30
    assert facts["data_fingerprint"] == report_data(task, source).fingerprint


def test_questions_keep_every_accepted_answer_and_none(tmp_path):
    facts, table, source = _read(_task("demo_qa"), tmp_path)
    answers = report_data(_task("demo_qa"), source).report.answers
    assert table["target"].to_pylist() == [list(one.texts) for one in answers]
    assert [] in table["target"].to_pylist()
    assert set(facts["label_balance"]["report"]) == {"answerable", "unanswerable"}


@pytest.mark.parametrize("shared", [0, 2])
def test_numbers_stay_numbers_and_rows_that_were_seen_are_counted(tmp_path, shared):
    rows = [f"text {number},{number / 10}" for number in range(40)]
    seen = rows[:shared] + [f"other {number},{number / 10}" for number in range(10 - shared)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b", *rows]))
    (tmp_path / "v.csv").write_text("\n".join(["a,b", *seen]))
    files = "{files: {train: t.csv, validation: v.csv}}"
    task = _task(f"{{name: mine, kind: regression, metrics: [mse], dataset: {files}, text: a, score: b}}")
    out = tmp_path / "out"
    out.mkdir()
    facts, table, _ = _read(task, out, tmp_path)
    assert table["target"].to_pylist() == [float(row.partition(",")[2]) for row in seen]
    assert facts["num_seen_before"] == shared
    assert facts["label_balance"]["report"] == {}
