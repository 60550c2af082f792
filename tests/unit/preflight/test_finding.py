"""What a look raises becomes faults, and one fault is enough to say no."""

from __future__ import annotations

import json

import pytest

from tunescope.errors import DataError, StudyError
from tunescope.preflight.finding import CheckReport, Finding, findings_of


def _finding(status):
    return Finding(section="data", subject="mrpc", status=status, message="told")


def test_what_was_found_before_an_error_is_kept():
    def look(name):
        yield _finding("ok")
        raise DataError(f"{name} has no rows")

    found = findings_of("data", "mrpc", look, "mrpc")
    assert [(one.status, one.message) for one in found] == [("ok", "told"), ("fault", "mrpc has no rows")]


def test_each_problem_of_a_study_is_a_fault_of_its_own():
    def look():
        raise StudyError(["first", "second"])

    assert [one.message for one in findings_of("model", "tiny", look)] == ["first", "second"]


def test_what_is_nobodys_fault_is_not_caught():
    def look():
        raise KeyError("a slip of ours")

    with pytest.raises(KeyError):
        findings_of("model", "tiny", look)


@pytest.mark.parametrize("worst,is_clean", [("ok", True), ("note", True), ("fault", False)])
def test_notes_leave_a_report_clean_and_faults_do_not(worst, is_clean):
    report = CheckReport(study="small", findings=(_finding("ok"), _finding(worst)))
    assert report.is_clean is is_clean
    said = json.loads(report.to_json())
    assert said["is_clean"] is is_clean
    assert said["findings"][1] == {"section": "data", "subject": "mrpc", "status": worst, "message": "told"}
