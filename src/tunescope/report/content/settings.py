"""Settings in force: read back from the runs, and where methods differ in them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tunescope.analysis.findings import Findings
from tunescope.analysis.settings_in_force import Setting, SettingDifference, SettingsInForce
from tunescope.report.content.anchors import job_anchor
from tunescope.report.content.places import method_names, place_cells, place_columns
from tunescope.report.content.section import Section, Sentence
from tunescope.report.content.table import Column, Row, Table, text
from tunescope.study.spec import StudySpec

ID, TITLE = "settings", "Settings in force"


def settings_section(findings: Findings) -> Section:
    """What optimiser, scheduler and model said of themselves, and the differences between methods."""
    study = findings.plan.study
    known = [one for one in findings.settings if one.settings]
    if not known:
        told = "Nothing to show yet: no training is done. Run the study again to go on from here."
        return Section(id=ID, title=TITLE, missing=told)
    sentences = [
        Sentence(text="Read back from optimiser, scheduler and model of every run, not from the study.", tone="faint")
    ]
    tables = [_all(study, known)]
    if findings.setting_differences:
        tables.insert(0, _differences(study, findings.setting_differences))
    elif len(study.methods) > 1:
        sentences.append(Sentence(text="No setting differs between the methods whose runs are done."))
    return Section(id=ID, title=TITLE, sentences=tuple(sentences), tables=tuple(tables))


def _differences(study: StudySpec, differences: Sequence[SettingDifference]) -> Table:
    methods = method_names(study)
    rows = []
    for one in differences:
        values = dict(one.by_method)
        cells = [text(_plain(values[method]) if method in values else "not run") for method in methods]
        rows.append(Row(cells=(*place_cells(study, one.base_model, one.task), text(one.name), *cells)))
    return Table(
        id="settings-differences",
        caption="Settings that differ between methods",
        columns=(
            *place_columns(study),
            Column(name="setting", is_key=True),
            *(Column(name=method) for method in methods),
        ),
        rows=tuple(rows),
        note="Of several seeds with several numbers, the least and the greatest.",
        can_filter=True,
    )


def _all(study: StudySpec, settings: Sequence[SettingsInForce]) -> Table:
    rows = [
        Row(
            cells=(
                *place_cells(study, one.base_model, one.task),
                text(one.method),
                text(setting.name),
                text(_value(setting), anchor=job_anchor(one.jobs[0]) if one.jobs else ""),
            )
        )
        for one in settings
        for setting in one.settings
    ]
    return Table(
        id="settings-all",
        caption="All settings in force",
        columns=(
            *place_columns(study),
            Column(name="method", is_key=True),
            Column(name="setting", is_key=True),
            Column(name="value"),
        ),
        rows=tuple(rows),
        note="Of all finished seeds; by seed where they differ.",
        can_filter=True,
    )


def _value(setting: Setting) -> str:
    if setting.by_seed:
        return ", ".join(f"{seed}: {_plain(value)}" for seed, value in setting.by_seed)
    return _plain(setting.value)


def _plain(value: str) -> str:
    """JSON as a person reads it: texts without quotes, numbers to six digits."""
    try:
        found = json.loads(value)
    except json.JSONDecodeError:  # two numbers and the word between them, or a dash
        return value
    if isinstance(found, str):
        return found
    return f"{found:.6g}" if isinstance(found, float) else value
