"""The catalogue against the real data: counts, label balance, known rows, overlap. Figures: the mirror's README."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import TypeAdapter

from tunescope.errors import DataError
from tunescope.hub.source import Source
from tunescope.tasks.data import load_task_data, read_split
from tunescope.tasks.encode import render_prompt
from tunescope.tasks.registry import catalogue_entry
from tunescope.tasks.spec import Classification, QuestionAnswering, TaskSpec

pytestmark = pytest.mark.mirror

TASK: TypeAdapter[TaskSpec] = TypeAdapter(TaskSpec)


def task_of(name: str) -> TaskSpec:
    return TASK.validate_python(catalogue_entry(name))


@pytest.mark.parametrize(
    "name, train, report, selection_size",
    [
        ("mrpc", {"equivalent": 2474, "not_equivalent": 1194}, {"equivalent": 279, "not_equivalent": 129}, 367),
        ("rte", {"entailment": 1249, "not_entailment": 1241}, {"entailment": 146, "not_entailment": 131}, 249),
        ("sst2", {"positive": 37569, "negative": 29780}, {"positive": 444, "negative": 428}, 1000),
        (
            "squad_v2_resplit",
            {"answerable": 4733, "unanswerable": 4834},
            {"answerable": 1195, "unanswerable": 1111},
            953,
        ),
    ],
)
def test_counts_and_balance_are_the_known_ones(
    mirror: Path, name: str, train: dict[str, int], report: dict[str, int], selection_size: int
) -> None:
    task = task_of(name)

    data = load_task_data(task, Source(mirror=mirror))

    both = {label: data.label_balance["train"][label] + data.label_balance["selection"][label] for label in train}
    assert both == train
    assert data.label_balance["report"] == report
    assert len(data.selection) == selection_size
    assert data.overlap == 0
    assert task.expected is not None
    assert data.counts["train"] + data.counts["selection"] == task.expected.num_train
    assert data.counts["report"] == task.expected.num_report
    for label, number in train.items():
        share = data.label_balance["selection"][label] / len(data.selection)
        # Exact to a row for single rows; a paragraph's questions go together, so a few more or less of either kind.
        assert abs(share - number / sum(train.values())) < 0.003


def test_known_rows(mirror: Path) -> None:
    source = Source(mirror=mirror)
    mrpc, squad = task_of("mrpc"), task_of("squad_v2")
    assert isinstance(mrpc, Classification)

    pairs = read_split(mrpc, source, "validation")
    questions = read_split(squad, source, "validation")

    assert pairs.ids[0] == "validation-0"
    assert pairs.texts["sentence1"][0].startswith("He said the foodservice pie business doesn 't fit")
    assert mrpc.labels[pairs.numbers[0]] == "equivalent"
    assert len(questions) == 11873
    assert sum(answers.is_answerable for answers in questions.answers) == 5928
    assert questions.ids[0] == "56ddde6b9a695914005b9628"
    assert questions.answers[0].texts == ("France",) * 4
    assert questions.answers[0].starts == (159,) * 4


def test_no_paragraph_is_on_both_sides_of_the_selection(mirror: Path) -> None:
    data = load_task_data(task_of("squad_v2_resplit"), Source(mirror=mirror))

    assert not set(data.train.texts["context"]) & set(data.selection.texts["context"])


def test_hidden_labels_and_a_split_that_is_not_there_are_refused(mirror: Path) -> None:
    source = Source(mirror=mirror)

    with pytest.raises(DataError, match="-1 marks hidden labels: split 'test' is unlabelled"):
        read_split(task_of("sst2"), source, "test")
    with pytest.raises(DataError, match=r"no split 'train'.*Known: validation\."):
        read_split(task_of("squad_v2"), source, "train")


@pytest.mark.parametrize(
    "name, split", [("mrpc", "train"), ("rte", "train"), ("sst2", "train"), ("squad_v2", "validation")]
)
def test_expected_tokens_are_the_stated_estimate(mirror: Path, name: str, split: str) -> None:
    task = task_of(name)
    rows = read_split(task, Source(mirror=mirror), split)
    lengths = []
    for values in zip(*rows.texts.values(), strict=True):
        texts = dict(zip(rows.texts, values, strict=True))
        if isinstance(task, QuestionAnswering):
            text = task.question_prefix + texts[task.question] + task.context_prefix + texts[task.context]
            lengths.append(len(text) / 4.0 + 2)
        else:
            assert isinstance(task, Classification)
            lengths.append(len(render_prompt(task, texts)) / 4.0 + 1)

    assert task.expected is not None
    assert task.expected.mean_tokens == pytest.approx(sum(lengths) / len(lengths), abs=1.0)
