"""A check without libraries that work says so, instead of ending in a traceback."""

from __future__ import annotations

import sys

import pytest

from tunescope.errors import StudyError, TunescopeError
from tunescope.preflight.check import check_study

STUDY = "{name: t, base_model: org/one, tasks: [mrpc], methods: {full: {}}, seeds: [1]}"


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(STUDY, encoding="utf-8")
    return path


def test_libraries_that_cannot_be_imported_are_a_fault(study, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tunescope.preflight.sections", None)  # Python's way to make an import fail
    report = check_study(study, store=tmp_path / "store")
    assert not report.is_clean
    assert {finding.section for finding in report.findings} == {"environment"}
    assert report.findings[-1].message.startswith("the other sections wait until the libraries can be imported")


@pytest.mark.parametrize(
    "changes,complaint",
    [
        (["tasks=[mrcp]"], "Did you mean 'mrpc'"),
        (["compute.expected_device={name: L5}"], "unknown device 'L5'"),
    ],
)
def test_a_wrong_study_raises(study, tmp_path, changes, complaint):
    with pytest.raises(StudyError, match=complaint):
        check_study(study, store=tmp_path / "store", changes=changes)


def test_a_mirror_that_is_not_there_raises(study, tmp_path):
    with pytest.raises(TunescopeError, match="no such folder"):
        check_study(study, store=tmp_path / "store", mirror=tmp_path / "nowhere")
