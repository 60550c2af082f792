"""What lies in a study's own files is counted, so that its plan has predictions, and equal splits are refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tunescope.errors import DataError, StudyError
from tunescope.hub.source import Source
from tunescope.study.load import parse_study
from tunescope.study.own_files import own_files_sha256, with_own_rows
from tunescope.study.spec import StudySpec

TEXT = """
name: n
base_model: tunescope/demo-llama
tasks:
  - {name: mine, kind: classification, dataset: {files: {train: train.csv, validation: dev.csv}}, text: review, label: stars,
     labels: [bad, good]}
methods: {full: {}}
seeds: [1]
"""


def study(*changes: str) -> StudySpec:
    return parse_study(TEXT, "s", changes)


@pytest.fixture
def source(tmp_path: Path) -> Source:
    (tmp_path / "train.csv").write_text("review,stars\n" + f"{'x' * 40},good\n" * 30, encoding="utf-8")
    (tmp_path / "dev.csv").write_text("review,stars\n" + "y,bad\n" * 7, encoding="utf-8")
    return Source(study_folder=tmp_path)


def test_rows_and_length_are_those_of_the_files(source: Source) -> None:
    (task,) = with_own_rows(study(), source).tasks
    assert task.expected is not None
    assert (task.expected.num_train, task.expected.num_report) == (30, 7)
    assert task.expected.mean_tokens == pytest.approx(1.0 + 40 / 4.0)


def test_what_a_task_says_itself_stays(source: Source) -> None:
    said = study("tasks.0.expected={num_train: 5, num_report: 6, mean_tokens: 7}", "tasks.0.text=other")
    assert with_own_rows(said, source) is said


def test_a_column_that_is_not_there_is_left_to_those_who_read_it(source: Source) -> None:
    (task,) = with_own_rows(study("tasks.0.text=revew"), source).tasks
    assert task.expected is None


def test_a_file_that_cannot_be_read_is_told(source: Source) -> None:
    (source.study_folder / "dev.csv").write_text("review,stars\ny\n", encoding="utf-8")
    with pytest.raises(DataError, match="the row that ends on line 2 has 1 values, the header has 2 columns"):
        with_own_rows(study(), source)


def test_train_rows_are_no_report_rows(source: Source) -> None:
    hashes = own_files_sha256(study(), source)
    assert sorted(hashes) == ["dev.csv", "train.csv"]
    (source.study_folder / "dev.csv").write_bytes((source.study_folder / "train.csv").read_bytes())
    with pytest.raises(StudyError, match=r"train \(train.csv\) and validation \(dev.csv\) hold the same bytes"):
        own_files_sha256(study(), source)


def test_a_plan_of_own_files_predicts_every_job_without_torch(source: Source) -> None:
    path = source.study_folder / "study.yaml"
    path.write_text(TEXT, encoding="utf-8")
    code = (
        "import sys; from pathlib import Path; from tunescope.api import plan_study; plan, placement = plan_study(Path(sys.argv[1]));"
        "print([job.label for job in plan.jobs if job.resources.predicted_s is None], 'torch' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert said.stdout == "[] False\n"
