"""The catalogue's YAML files are tasks, and reading them costs nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import TypeAdapter

from tunescope.errors import TunescopeError
from tunescope.hub.source import Source
from tunescope.study.own_files import mean_tokens
from tunescope.tasks.data import load_training_data
from tunescope.tasks.registry import catalogue_entry, known_tasks
from tunescope.tasks.scores import SCORES
from tunescope.tasks.spec import Classification, QuestionAnswering, TaskSpec

TASK: TypeAdapter[TaskSpec] = TypeAdapter(TaskSpec)


@pytest.mark.parametrize("name", known_tasks())
def test_every_entry_is_a_task_under_its_own_name_with_known_scores(name: str) -> None:
    task = TASK.validate_python(catalogue_entry(name))

    assert task.name == name
    assert task.description
    assert task.expected is not None
    assert task.license != "unknown"
    for metric in (*task.metrics, *(reference.metric for reference in task.references)):
        assert task.kind in SCORES[metric].kinds
    assert all(0.0 < reference.value < 1.0 for reference in task.references)


@pytest.mark.parametrize(
    "name, num_train, num_report",
    [("mrpc", 3668, 408), ("rte", 2490, 277), ("sst2", 67349, 872), ("squad_v2", 130319, 11873)],
)
def test_the_four_tasks_of_the_reference_study(name: str, num_train: int, num_report: int) -> None:
    task = TASK.validate_python(catalogue_entry(name))

    assert task.expected is not None
    assert (task.expected.num_train, task.expected.num_report) == (num_train, num_report)
    assert isinstance(task, QuestionAnswering if name == "squad_v2" else Classification)
    if isinstance(task, Classification):
        assert task.label_words is not None
        assert all(word.startswith(" ") for word in task.label_words)


def test_label_ids_are_those_of_the_hub() -> None:
    assert catalogue_entry("mrpc")["labels"] == ["not_equivalent", "equivalent"]
    assert catalogue_entry("rte")["labels"] == ["entailment", "not_entailment"]
    assert catalogue_entry("sst2")["labels"] == ["negative", "positive"]


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(TunescopeError, match=r"unknown task 'sst-2'\. Did you mean 'sst2'\? Known: .*mrpc"):
        catalogue_entry("sst-2")


def test_changing_an_entry_changes_nobody_elses() -> None:
    catalogue_entry("mrpc")["labels"].append("changed")

    assert catalogue_entry("mrpc")["labels"] == ["not_equivalent", "equivalent"]


def test_the_catalogue_and_the_task_records_are_light() -> None:
    code = (
        "import sys; import tunescope.tasks.spec; from tunescope.tasks.registry import *; catalogue_entry(known_tasks()[0]);"
        "print([name for name in ('torch', 'transformers', 'datasets', 'pyarrow', 'numpy') if name in sys.modules])"
    )

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("name", [name for name in known_tasks() if name.startswith("demo_")])
def test_the_demo_tasks_say_what_their_rows_hold(name: str) -> None:
    """Four characters a token, as English has under a vocabulary of 32,000: predictions of the demo rest on it."""
    task = TASK.validate_python(catalogue_entry(name))
    data = load_training_data(task, Source())
    characters = sum(len(text) for texts in data.train.texts.values() for text in texts) / len(data.train)

    assert task.expected is not None
    assert task.expected.mean_tokens == pytest.approx(mean_tokens(characters), abs=0.6)
