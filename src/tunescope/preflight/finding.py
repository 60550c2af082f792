"""What a check has to say: findings, each with its place, and the report they make together."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Literal, ParamSpec, get_args

from tunescope.errors import StudyError, TunescopeError

Section = Literal["environment", "study", "data", "model", "methods", "overfit", "memory", "disk", "trackers", "time"]
Status = Literal["ok", "note", "fault"]

SECTIONS: tuple[Section, ...] = get_args(Section)
"""In the order in which a report has them."""

P = ParamSpec("P")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at, and what was found."""

    section: Section
    subject: str
    """What it is about: a library, a task, a base model, a run."""
    status: Status
    """`fault`: do not start the study; `note`: know it before you do."""
    message: str


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """All findings of a check."""

    study: str
    findings: tuple[Finding, ...]

    @property
    def is_clean(self) -> bool:
        """Whether there is no fault; notes do not count."""
        return not any(finding.status == "fault" for finding in self.findings)

    def to_json(self) -> str:
        """The report as one JSON object, for programs."""
        content = {
            "study": self.study,
            "is_clean": self.is_clean,
            "findings": [asdict(finding) for finding in self.findings],
        }
        return json.dumps(content, indent=1, ensure_ascii=False)


def findings_of(
    section: Section, subject: str, look: Callable[P, Iterable[Finding]], *args: P.args, **kwargs: P.kwargs
) -> list[Finding]:
    """What a look finds; what it raises for the user to mend is a fault too, so that no fault hides the next one.

    Args:
        section: Where what it raises belongs.
        subject: What that is about.
        look: Gives findings, and may raise `TunescopeError` after some of them.
        args: What to look at.
        kwargs: What to look at.
    """
    found: list[Finding] = []
    try:
        found.extend(look(*args, **kwargs))
    except TunescopeError as error:
        found.extend(faults_of(section, subject, error))
    return found


def faults_of(section: Section, subject: str, error: TunescopeError) -> list[Finding]:
    """An error as faults, one for each of its problems."""
    problems = error.problems if isinstance(error, StudyError) else (str(error),)
    return [Finding(section=section, subject=subject, status="fault", message=problem) for problem in problems]
