"""What the other commands say of a study that has run: table, CSV, JSON, Parquet, DataFrame, status, forget."""

from __future__ import annotations

import csv
import io
import json
import math

import pyarrow.parquet as pq

from tunescope.analysis.collect import ResultRow
from tunescope.api import load_results, study_results
from tunescope.study.load import load_study


def test_every_format_holds_the_same_rows(finished):
    columns = list(ResultRow.__dataclass_fields__)
    as_json = finished.rows()
    assert (
        len(as_json) == 8 * 2 + 2 * 2 + 2 * (2 + 4) + 1 + 2
    )  # runs, majority, random with its draws, reference, zero-shot
    assert all(list(row) == columns for row in as_json)
    assert as_json == [vars(row) for row in study_results(finished.path, store=finished.store)]

    target = finished.folder / "rows.parquet"
    words = ("results", finished.path, "--store", finished.store, "--format")
    assert finished.tunescope(*words, "parquet", "--output", target).code == 0
    assert pq.read_table(target).to_pylist() == as_json

    told = finished.tunescope(*words, "csv")
    as_csv = list(csv.DictReader(io.StringIO(told.out)))
    assert [_as_csv(row) for row in as_json] == [_as_csv(_typed(row, as_json[0])) for row in as_csv]

    frame = load_results(finished.path, store=finished.store)
    assert list(frame.columns) == columns
    assert list(frame["metric"]) == [row["metric"] for row in as_json]
    for value, row in zip(frame["value"], as_json, strict=True):
        assert value == row["value"] or (math.isnan(value) and row["value"] is None)


def _typed(row, example):
    """A CSV row whose numbers are numbers again."""
    numbers = {
        name for name, field in ResultRow.__dataclass_fields__.items() if "float" in field.type or "int" in field.type
    }
    assert row.keys() == example.keys()
    return {name: float(value) if name in numbers and value else value for name, value in row.items()}


def _as_csv(row):
    """What CSV can tell apart: nothing and empty text are one."""
    return {
        name: float(value) if isinstance(value, int) else value or "" if value != 0 else 0.0
        for name, value in row.items()
    }


def test_the_table_is_what_the_run_showed(finished):
    shown = finished.tunescope("results", finished.path, "--store", finished.store)
    assert shown.code == 0
    assert "./model: mean ± standard deviation over 2 seeds, in percent unless said" in shown.out
    lines = shown.out.splitlines()
    after_the_first = finished.run().out.splitlines()[1:]
    assert after_the_first[: len(lines)] == lines
    assert after_the_first[len(lines)].startswith("0 jobs done, 24 were there, 0 failed")
    assert after_the_first[-1].startswith("Report: ")
    assert shown.out.count("published: same accuracy 90.0: A. Nobody, a talk, 1999") == 1


def test_an_output_that_cannot_be_written_is_told(finished):
    target = finished.folder / "gone" / "rows.csv"
    said = finished.tunescope(
        "results", finished.path, "--store", finished.store, "--format", "csv", "--output", target
    )
    assert (said.code, said.out) == (2, "")
    assert said.err == f"tunescope: --output {target} cannot be written: No such file or directory.\n"


def test_the_ending_of_the_output_says_its_format(finished):
    words = ("results", finished.path, "--store", finished.store)
    expected = finished.rows()
    for ending in ("csv", "json", "jsonl", "parquet", "txt"):
        said = finished.tunescope(*words, "--output", finished.folder / f"rows.{ending}")
        assert (said.code, said.out, said.err) == (0, "", "")
    told = (finished.folder / "rows.jsonl").read_text(encoding="utf-8")
    assert [json.loads(line) for line in told.splitlines()] == expected
    assert (finished.folder / "rows.json").read_text(encoding="utf-8") == told
    assert pq.read_table(finished.folder / "rows.parquet").to_pylist() == expected
    assert (finished.folder / "rows.csv").read_text(encoding="utf-8").startswith('"study","base_model"')
    assert (finished.folder / "rows.txt").read_text(encoding="utf-8") == finished.tunescope(*words).out
    for command in ("results", "compare"):
        said = finished.tunescope(command, *words[1:], "--output", finished.folder / "rows.xls")
        assert (said.code, said.out) == (2, "")
        assert "its ending '.xls' names no format." in said.err
        assert not (finished.folder / "rows.xls").exists()
        target = finished.folder / f"{command}.txt"
        assert finished.tunescope(command, *words[1:], "--output", target).code == 0
        assert target.read_text(encoding="utf-8").strip()


def test_a_number_leads_back_to_its_rows(finished):
    (row,) = [row for row in finished.rows() if (row["method"], row["seed"], row["metric"]) == ("full", 1, "accuracy")]
    folder = finished.store / "artifacts" / "evaluate" / row["job"]
    predictions = pq.read_table(folder / "predictions.parquet").to_pylist()
    assert len(predictions) == row["num_examples"] == 12
    assert sum(one["correct"] for one in predictions) / 12 == row["value"]
    assert [one["target"] for one in predictions] == [one["label"] for one in finished.pairs("dev")]
    record = json.loads((folder / "record.json").read_text())
    assert record["inputs"] == {"run": row["train_job"]}
    train = json.loads((finished.store / "artifacts" / "train" / row["train_job"] / "record.json").read_text())
    assert train["config"]["training"]["steps"] == train["facts"]["num_steps"] == 3


def test_status_counts_and_forget_makes_one_job_anew(finished):
    told = finished.status()
    assert told.code == 0
    assert [line.split() for line in told.out.splitlines() if line.split()[:1] == ["train"]] == [
        ["train", "8", "0", "0"]
    ]
    before = finished.artifacts()
    job = next(name for name in before if name.startswith("train/"))
    short = job.partition("/")[2][:8]
    assert finished.tunescope("forget", "ab", "--store", finished.store).code == 2
    forgotten = finished.tunescope("forget", short, "--store", finished.store)
    assert (forgotten.code, forgotten.out) == (0, f"forgot {job}; the next run makes it anew\n")
    assert "1 left" in finished.status().out
    again = finished.run()
    assert "1 job done, 23 were there" in again.out
    after = finished.artifacts()
    assert after.keys() == before.keys()
    assert [name for name in after if after[name] != before[name]] == [job]


def test_the_store_keeps_the_study_as_run(finished):
    assert (finished.store / "studies" / "small" / "study.yaml").read_text() == finished.path.read_text()
    plan = json.loads((finished.store / "studies" / "small" / "plan.json").read_text())
    assert {f"{job['kind']}/{job['id']}" for job in plan} == finished.artifacts().keys()
    changed = ("--set", "seeds=[1]")
    assert finished.run(*changed).code == 0
    kept = finished.store / "studies" / "small" / "study.yaml"
    assert "#   --set seeds=[1]\n" in kept.read_text()
    assert load_study(kept) == load_study(finished.path, ["seeds=[1]"])


def test_a_plan_measures_the_spread_of_seeds_in_the_store(finished, tmp_path):
    said = " ".join(finished.tunescope("plan", finished.path, "--store", finished.store).out.split())
    assert "same accuracy: measured standard deviation over seeds" in said
    assert "from 4 finished runs (2 degrees of freedom, few)" in said
    assert "assumed: a standard deviation" not in said
    said = " ".join(finished.tunescope("plan", finished.path, "--store", tmp_path / "none").out.split())
    assert "measured standard deviation" not in said
    assert "assumed: a standard deviation over seeds of 2 points" in said
    assert not (tmp_path / "none").exists()
