"""What a study mentions beside its tasks and methods is checked as strictly as they are."""

from __future__ import annotations

import pytest

from tunescope.errors import StudyError
from tunescope.steps import KINDS
from tunescope.study.load import parse_study
from tunescope.study.spec import JOB_KINDS

TEXT = """
name: good
base_model: org/model-1b
tasks: [mrpc]
methods: {full: {learning_rate: 1e-5}}
seeds: [13]
"""
NUMBER = """
name: good
base_model: org/model-1b
tasks: [{name: stars, kind: regression, dataset: {files: {train: t.csv, validation: v.csv}}}]
methods: {full: {learning_rate: 1e-5}}
seeds: [13]
"""


@pytest.mark.parametrize(
    "more,told",
    [
        (
            "placement: [{worker: 1, steps: [trainn]}]",
            "placement[0].steps: 'trainn' is no kind of job. Did you mean 'train'?",
        ),
        (
            "expected: [{task: mrpc, method: full, metric: acuracy, low: 0.1, high: 0.9}]",
            "expected[0].metric: task mrpc has no metric 'acuracy'. Did you mean 'accuracy'?",
        ),
        (
            "expected: [{task: mrpc, method: full, metric: accuracy, low: 0.5, high: 60}]",
            "expected[0].high must lie between 0 and 1, as accuracy does, got 60.0. Give fractions of one, not percent",
        ),
        ("baselines: [majority, majority]", "baselines names majority twice. Drop one"),
        (
            "representations: {pooling: [mean]}",
            "representations is not a field of StudySpec. Base models' hidden states are kept, on the examples and by the "
            "poolings of drift, with `drift: {keep_representations: base}`",
        ),
        ("compute: {num_threads: 99999}", "compute.num_threads must be less than or equal to 1024, got 99999"),
        (
            "compute: {expected_device: {name: L4, ram_gib: 3}}",
            "compute.expected_device.ram_gib is not a field of Device.",
        ),
    ],
)
def test_a_slip_is_told_with_what_was_meant(more: str, told: str) -> None:
    with pytest.raises(StudyError) as caught:
        parse_study(f"{TEXT}{more}\n", "study.yaml")
    (problem,) = caught.value.problems
    assert problem.removeprefix("study.yaml: ").startswith(told)


@pytest.mark.parametrize(
    "reference,told",
    [
        (
            "{metric: acuracy, value: 0.9, source: me}",
            "metric: no score 'acuracy' for classification. Did you mean 'accuracy'?",
        ),
        (
            "{metric: accuracy, value: 93, source: me}",
            "value must lie between 0 and 1, as accuracy does, got 93.0. Give fract",
        ),
    ],
)
def test_a_published_figure_must_be_of_a_known_score_and_in_its_unit(reference: str, told: str) -> None:
    with pytest.raises(StudyError) as caught:
        parse_study(TEXT.replace("[mrpc]", f"[{{name: mrpc, references: [{reference}]}}]"), "study.yaml")
    (problem,) = caught.value.problems
    assert problem.removeprefix("study.yaml: ").startswith(f"tasks.mrpc.references[0].{told}")


def test_label_smoothing_has_no_meaning_for_a_regression() -> None:
    parse_study(NUMBER, "study.yaml")
    with pytest.raises(StudyError, match="label_smoothing of stars with full has no meaning"):
        parse_study(f"{NUMBER}training: {{label_smoothing: 0.1}}\n", "study.yaml")
    mended = f"{NUMBER}training: {{label_smoothing: 0.1}}\noverrides: [{{tasks: [stars], training: {{label_smoothing: 0}}}}]\n"
    parse_study(mended, "study.yaml")


def test_a_pin_may_name_every_kind_of_job() -> None:
    assert sorted(JOB_KINDS) == sorted(KINDS)
