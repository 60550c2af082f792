"""Real texts under real tokenizers, against Hugging Face's own encoding and against the texts themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import TypeAdapter
from transformers import AutoTokenizer

from tunescope.hub.source import Source
from tunescope.tasks.data import read_split
from tunescope.tasks.encode import encode, render_prompt
from tunescope.tasks.registry import catalogue_entry
from tunescope.tasks.spec import Classification, QuestionAnswering, TaskSpec

pytestmark = pytest.mark.mirror

TASK: TypeAdapter[TaskSpec] = TypeAdapter(TaskSpec)
MINILM, STORIES = "sentence-transformers/all-MiniLM-L6-v2", "karpathy/stories260K"


def task_of(name: str, **changes: object) -> TaskSpec:
    return TASK.validate_python(catalogue_entry(name) | changes)


@pytest.mark.parametrize("name, max_length", [("mrpc", 128), ("mrpc", 48), ("rte", 64), ("sst2", 16)])
def test_texts_for_an_encoder_are_those_of_hugging_face(mirror: Path, name: str, max_length: int) -> None:
    task = task_of(name, max_length=max_length)
    assert isinstance(task, Classification)
    source = Source(mirror=mirror)
    tokenizer = AutoTokenizer.from_pretrained(source.model_folder(MINILM))
    rows = read_split(task, source, "validation")

    encoded = encode(task, rows, tokenizer, is_decoder=False)

    texts = [list(rows.texts[column]) for column in task.text_columns]
    expected = tokenizer(*texts, truncation=True, max_length=max_length)
    assert list(encoded.input_ids) == expected["input_ids"]
    assert encoded.token_types == expected["token_type_ids"]
    uncut = [len(row) for row in tokenizer(*texts)["input_ids"]]
    assert encoded.truncation.num_truncated == sum(length > max_length for length in uncut)
    assert encoded.truncation.num_tokens_lost == sum(max(0, length - max_length) for length in uncut)


@pytest.mark.parametrize("name", ["mrpc", "rte", "sst2"])
def test_a_decoders_prompt_is_whole_or_cut_inside_its_texts(mirror: Path, name: str) -> None:
    task = task_of(name)
    assert isinstance(task, Classification)
    assert task.prompt is not None
    source = Source(mirror=mirror)
    tokenizer = AutoTokenizer.from_pretrained(source.model_folder(STORIES))
    rows = read_split(task, source, "validation")
    ending = task.prompt.rsplit("}", 1)[1]

    encoded = encode(task, rows, tokenizer, is_decoder=True)

    num_cut = 0
    for row, values in enumerate(zip(*rows.texts.values(), strict=True)):
        prompt = render_prompt(task, dict(zip(rows.texts, values, strict=True)))
        uncut = tokenizer(prompt)["input_ids"]
        if len(uncut) <= task.max_length:
            assert encoded.input_ids[row] == uncut
            continue
        num_cut += 1
        text = tokenizer.decode(encoded.input_ids[row], skip_special_tokens=True)
        assert task.max_length - len(values) < len(encoded.input_ids[row]) + 8
        assert len(encoded.input_ids[row]) <= task.max_length
        assert text.endswith(ending)
        if len(values) == 2:
            second = values[1].strip()
            assert second[:10] in text
    assert encoded.truncation.num_truncated == num_cut > 0


def test_windows_for_an_encoder_are_those_of_hugging_face(mirror: Path) -> None:
    task = task_of("squad_v2")
    assert isinstance(task, QuestionAnswering)
    source = Source(mirror=mirror)
    tokenizer = AutoTokenizer.from_pretrained(source.model_folder(MINILM))
    rows = read_split(task, source, "validation")

    encoded = encode(task, rows, tokenizer, is_decoder=False)

    expected = tokenizer(
        list(rows.texts["question"]),
        list(rows.texts["context"]),
        truncation="only_second",
        max_length=task.max_length,
        stride=task.stride,
        return_overflowing_tokens=True,
    )
    assert encoded.truncation.num_truncated == 0
    assert list(encoded.input_ids) == expected["input_ids"]
    assert encoded.token_types == expected["token_type_ids"]
    assert encoded.example_index.tolist() == expected["overflow_to_sample_mapping"]


@pytest.mark.parametrize(
    "model, is_decoder, num_inexact, num_rows", [(MINILM, False, 6, 12134), (STORIES, True, 1, 28630)]
)
def test_gold_answers_of_squad_there_and_back_again(
    mirror: Path, model: str, is_decoder: bool, num_inexact: int, num_rows: int
) -> None:
    """Of 5,928 answers all but 6 (MiniLM) and 1 (stories260K) are spans of tokens exactly; none is out of reach."""
    task = task_of("squad_v2")
    source = Source(mirror=mirror)
    tokenizer = AutoTokenizer.from_pretrained(source.model_folder(model))
    rows = read_split(task, source, "validation")

    encoded = encode(task, rows, tokenizer, is_decoder=is_decoder)

    windows = encoded.windows
    assert windows is not None
    assert len(encoded) == num_rows
    said: dict[int, set[str]] = {}
    for row, (first, last) in enumerate(encoded.targets):
        example = int(encoded.example_index[row])
        ids = encoded.input_ids[row]
        assert len(ids) <= task.max_length
        assert windows.null_position[row] == (len(ids) - 1 if is_decoder else 0)
        if first != windows.null_position[row]:
            start, end = windows.context_start[row], windows.context_end[row]
            assert start <= first <= last <= end
            offsets = windows.offsets[row]
            context = rows.texts["context"][example]
            said.setdefault(example, set()).add(context[offsets[first - start, 0] : offsets[last - start, 1]])
    gold = {index: answers.texts[0] for index, answers in enumerate(rows.answers) if answers.is_answerable}
    assert said.keys() == gold.keys()
    inexact = [(gold[example], texts) for example, texts in said.items() if texts != {gold[example].strip()}]
    assert len(inexact) == windows.num_inexact == num_inexact
    assert all(any(answer in text for text in texts) for answer, texts in inexact)
    assert windows.num_unreachable == 0
    if is_decoder:
        assert {row[-1] for row in encoded.input_ids} == {tokenizer.eos_token_id}
