"""Figures in a notebook: those of the report, read from the store, or a reason why there are none."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure

import tunescope
from report_content import empty_report, made_report
from stored_study import TEXT, StoredStudy
from tunescope import plots
from tunescope.errors import TunescopeError

FUNCTIONS = ("quality", "drift", "layer_pairs", "weights", "retention", "tradeoffs", "sweeps", "curves")


@pytest.mark.parametrize("name", ["quality", "drift", "layer_pairs", "tradeoffs", "sweeps", "curves"])
def test_figures_are_those_of_the_report(name):
    report = made_report()
    figures = getattr(tunescope.plots, name)(report)
    section = next(one for one in report.sections if one.id == ("drift" if name == "layer_pairs" else name))
    assert set(figures) <= {chart.id for chart in section.charts}
    assert all(isinstance(figure, Figure) for figure in figures.values())
    for chart in section.charts:
        if chart.id in figures:
            assert " ".join(figures[chart.id].get_suptitle().split()) == chart.title


def test_drift_is_split_between_layers_and_pairs():
    report = made_report()
    by_layer, pairs = plots.drift(report), plots.layer_pairs(report)
    charts = next(section for section in report.sections if section.id == "drift").charts
    assert set(by_layer) | set(pairs) == {chart.id for chart in charts}
    assert not set(by_layer) & set(pairs)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_nothing_to_draw_says_why(name):
    with pytest.raises(TunescopeError, match="no figure of"):
        getattr(plots, name)(empty_report())


def test_a_notebook_shows_each_figure_with_its_title():
    shown = plots.quality(made_report())._repr_html_()
    assert shown.count("<img") == len(plots.quality(made_report()))
    assert "<script" not in shown
    assert 'alt="' in shown


def test_a_study_is_read_from_its_file_and_store(tmp_path):
    stored = StoredStudy(tmp_path / "store", TEXT.replace("org/decoder", "tunescope/demo-llama"))
    targets = ["entailment", "not_entailment"] * 10
    for label in ("rte-full-seed1", "rte-lora-seed1"):
        stored.run(label, targets, targets)
    (tmp_path / "t.yaml").write_text(TEXT.replace("org/decoder", "tunescope/demo-llama"))
    report = plots.read(tmp_path / "t.yaml", store=tmp_path / "store")
    assert report.methods == ("full", "lora")
    assert plots.quality(report)
