"""Examples become token ids, the same way for training and evaluation, for encoders and decoders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tunescope.errors import DataError, ModelError
from tunescope.tasks.encoded import Encoded, Truncation, Windows
from tunescope.tasks.examples import Examples
from tunescope.tasks.prompts import Template, fit
from tunescope.tasks.spec import Classification, QuestionAnswering, Regression, TaskSpec
from tunescope.tasks.windows import encode_windows

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Encoded", "Truncation", "Windows", "encode", "render_prompt"]

_BATCH = 1000
"""Texts given to the tokenizer at a time: enough to be fast, few enough that its own records stay small."""


def encode(task: TaskSpec, examples: Examples, tokenizer: PreTrainedTokenizerBase, *, is_decoder: bool) -> Encoded:
    """Token ids of examples, at most `task.max_length` a row, unpadded.

    Encoders read what `tokenizer(text, text_pair, truncation=True)` gives. Decoders read the task's prompt, tokenised
    once as a whole with whatever special tokens the tokenizer adds by itself; where it is too long, the longest text is
    shortened (`prompts.fit`). Questions and contexts are laid out by `windows.encode_windows`.

    Args:
        task: What the texts are and how long a row may be.
        examples: n examples of the task.
        tokenizer: A fast tokenizer (one that knows character offsets).
        is_decoder: Whether the model reads left to right only.

    Raises:
        ModelError: If the tokenizer is not a fast one, or a decoder's has no end-of-sequence token for a question's
            null slot.
        DataError: If an example has no token, or the prompt leaves no room for the text.
    """
    if not tokenizer.is_fast:
        raise ModelError(
            f"tokenizer {type(tokenizer).__name__} does not know character offsets: expected a fast tokenizer "
            "(tokenizer.json in the model's folder)."
        )
    if isinstance(task, QuestionAnswering):
        return encode_windows(task, examples, tokenizer, is_decoder=is_decoder)
    rows, types, lost = (
        _encode_prompts(task, examples, tokenizer) if is_decoder else _encode_texts(task, examples, tokenizer)
    )
    for index, row in enumerate(rows):
        if not row:
            raise DataError(f"task {task.name}: example '{examples.ids[index]}' has no token under this tokenizer.")
    return Encoded(
        input_ids=rows,
        token_types=types,
        example_index=np.arange(len(examples), dtype=np.int64),
        targets=examples.numbers,
        windows=None,
        truncation=Truncation(
            num_examples=len(rows), num_truncated=sum(count > 0 for count in lost), num_tokens_lost=sum(lost)
        ),
    )


def render_prompt(task: Classification | Regression, texts: Mapping[str, str]) -> str:
    """The text a decoder reads for one example, uncut."""
    return Template.parse(task.decoder_prompt).render(texts)


def _encode_prompts(
    task: Classification | Regression, examples: Examples, tokenizer: PreTrainedTokenizerBase
) -> tuple[list[list[int]], None, list[int]]:
    template = Template.parse(task.decoder_prompt)
    columns = list(examples.texts)
    texts = [dict(zip(columns, row, strict=True)) for row in zip(*examples.texts.values(), strict=True)]
    rendered = [template.render(row) for row in texts]
    rows: list[list[int]] = []
    for batch in _batches(rendered):
        rows += tokenizer(batch, verbose=False)["input_ids"]
    lost = [0] * len(rows)
    for index, row in enumerate(rows):
        if len(row) > task.max_length:
            rows[index], lost[index] = fit(template, texts[index], tokenizer, task.max_length)
    return rows, None, lost


def _encode_texts(
    task: Classification | Regression, examples: Examples, tokenizer: PreTrainedTokenizerBase
) -> tuple[list[list[int]], list[list[int]] | None, list[int]]:
    columns = [list(examples.texts[column]) for column in task.text_columns]
    rows: list[list[int]] = []
    types: list[list[int]] = []
    for batch in zip(*(_batches(column) for column in columns), strict=True):
        encoding = tokenizer(*batch, verbose=False)
        rows += encoding["input_ids"]
        types += encoding.get("token_type_ids", [])
    lost = [0] * len(rows)
    for index, row in enumerate(rows):
        if len(row) > task.max_length:
            cut: Mapping[str, Any] = tokenizer(
                *(column[index] for column in columns), truncation=True, max_length=task.max_length
            )
            lost[index] = len(row) - len(cut["input_ids"])
            rows[index] = cut["input_ids"]
            if types:
                types[index] = cut["token_type_ids"]
    return rows, types or None, lost


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(texts), _BATCH):
        yield list(texts[start : start + _BATCH])
