"""A report's folder: all of it or the old one, and nothing that is not a report's own is ever touched."""

from __future__ import annotations

import csv
import json

import pytest

from report_content import made_report
from stored_study import StoredStudy
from tunescope.analysis.findings import collect_findings
from tunescope.errors import TunescopeError
from tunescope.report import folder
from tunescope.report.content.contents import report_content
from tunescope.report.folder import write_page, write_report

TARGETS = ["entailment", "not_entailment"] * 10


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    stored = StoredStudy(tmp_path_factory.mktemp("folder") / "store")
    for label in ("rte-full-seed1", "rte-full-seed2", "rte-lora-seed1"):
        stored.train(label, kept="adapter/adapter_model.safetensors" if "lora" in label else "model/model.safetensors")
        stored.evaluate(f"{label}-evaluate", TARGETS, TARGETS[:18] + TARGETS[:2][::-1])
    findings = collect_findings(stored.plan, stored.store)
    return report_content(findings), findings, stored.store


def _files(out):
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_everything_lies_beside_the_page(study, tmp_path):
    report, findings, store = study
    page = write_report(report, findings, store, tmp_path / "deep" / "out", figures=("svg", "pdf"))
    files = _files(page.parent)
    assert page.name in files
    assert {"summary.md", "summary.json", "files.json", "data/results.parquet", "data/results.csv"} <= set(files)
    for section in report.sections:
        for table in section.tables:
            assert {f"tables/{table.id}.{ending}" for ending in ("md", "tex", "csv")} <= set(files)
        for chart in section.charts:
            assert {f"figures/{chart.id}.{ending}" for ending in ("svg", "pdf")} <= set(files)
            assert chart.id.encode() in files["figures/captions.md"]
    cards = {name.split("/")[1] for name in files if name.startswith("cards/")}
    assert cards == {"rte-full-seed1", "rte-full-seed2", "rte-lora-seed1"}
    assert set(json.loads(files["files.json"])["files"]) == set(files)
    assert ", 1 rows" not in page.read_text(encoding="utf-8")


def test_the_tidy_table_holds_the_rows_unrounded(study, tmp_path):
    report, findings, store = study
    write_report(report, findings, store, tmp_path / "out", figures=())
    with open(tmp_path / "out" / "data" / "results.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["value"]) if row["value"] else None for row in rows] == [row.value for row in findings.rows]


def test_the_same_report_gives_the_same_files(study, tmp_path):
    for name in ("a", "b"):
        write_report(*study, tmp_path / name, generated="today")
    assert _files(tmp_path / "a") == _files(tmp_path / "b")


def test_an_old_report_goes_whole(study, tmp_path):
    out = tmp_path / "out"
    write_page(made_report(), out, generated="then")
    before = set(_files(out))
    write_report(*study, out, generated="now")
    assert set(_files(out)) & before < before
    assert b"now" in (out / "index.html").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_failure_leaves_the_old_report_and_nothing_else(study, tmp_path, monkeypatch):
    out = tmp_path / "out"
    write_page(made_report(), out, generated="then")
    before = _files(out)

    def broken(*args, **more):
        raise ValueError("broken")

    monkeypatch.setattr(folder, "render_page", broken)
    with pytest.raises(ValueError, match="broken"):
        write_report(*study, out)
    assert _files(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("notes", ["notes.txt", "data/notes.txt", "figures/mine/a.svg"])
def test_a_file_beside_an_old_report_is_not_deleted(study, tmp_path, notes):
    out = tmp_path / "out"
    write_page(made_report(), out)
    (out / notes).parent.mkdir(parents=True, exist_ok=True)
    (out / notes).write_text("mine")
    with pytest.raises(TunescopeError, match=rf"is not replaced: {notes} beside it is not the report's"):
        write_report(*study, out)
    assert (out / notes).read_text() == "mine"


@pytest.mark.parametrize("content", [None, "{}", "[1]", "not JSON", '{"files": ["notes.txt"]}'])
def test_another_folder_is_refused(tmp_path, content):
    (tmp_path / "notes.txt").write_text("mine")
    if content is not None:
        (tmp_path / "files.json").write_text(content)
    with pytest.raises(TunescopeError, match="is not empty and holds no report of tunescope"):
        write_page(made_report(), tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_file_and_a_link_are_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TunescopeError, match="it is a file"):
        write_page(made_report(), tmp_path / "file")
    with pytest.raises(TunescopeError, match="it is a link"):
        write_page(made_report(), tmp_path / "link")


def test_an_empty_folder_and_a_bare_name_will_do(tmp_path, monkeypatch):
    (tmp_path / "there").mkdir()
    assert write_page(made_report(), tmp_path / "there").is_file()
    monkeypatch.chdir(tmp_path)
    assert write_page(made_report(), folder.Path("bare"), figures=()).is_file()


def test_an_unknown_format_is_told_before_anything_is_written(tmp_path):
    with pytest.raises(TunescopeError, match=r"--figures jpg: no such format.*Known: pdf, png, svg"):
        write_page(made_report(), tmp_path / "out", figures=("svg", "jpg"))
    assert not list(tmp_path.iterdir())
