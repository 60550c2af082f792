"""Questions with their contexts as rows of tokens: overlapping windows where a context is long, spans by characters.

    decoder   [bos] question_prefix question context_prefix | context tokens | [eos]
    encoder   [CLS] question [SEP]                          | context tokens | [SEP]

Under causal attention only what comes last has seen everything, so a decoder reads the question before the context and
its null slot is the final token; an encoder's null slot is its first token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tunescope.errors import DataError, ModelError
from tunescope.tasks.encoded import Encoded, Truncation, Windows
from tunescope.tasks.examples import Answers, Examples
from tunescope.tasks.prompts import Template, fit, tokens_within
from tunescope.tasks.spec import QuestionAnswering

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_BATCH = 1000


@dataclass(frozen=True, kw_only=True)
class _Context:
    """c tokens of one context."""

    ids: list[int]
    offsets: np.ndarray
    """(c, 2) int64, white space at either end of a token left out."""


@dataclass(frozen=True, kw_only=True)
class _Frame:
    """What stands around the context: ids, and token types where the tokenizer has them."""

    heads: list[list[int]]
    """One per example: all that comes before the context, the question included."""
    head_types: list[list[int]] | None
    tail: list[int]
    context_type: int
    tail_types: list[int]
    lost: list[int]
    """Tokens that each question lost."""


def encode_windows(
    task: QuestionAnswering, examples: Examples, tokenizer: PreTrainedTokenizerBase, *, is_decoder: bool
) -> Encoded:
    """Rows of tokens of questions and contexts, at most `task.max_length` each.

    A context that does not fit is cut into windows that share `task.stride` tokens with the one before. The target of a
    row is the first gold answer's span in tokens if the row holds it whole, else the null position.

    Raises:
        ModelError: If a decoder's tokenizer has no end-of-sequence token.
        DataError: If a context has no token, or a question leaves no room for a window.
    """
    frame = (_decoder_frame if is_decoder else _encoder_frame)(task, examples, tokenizer)
    contexts = _tokenise_contexts(examples.texts[task.context], tokenizer)
    input_ids: list[list[int]] = []
    token_types: list[list[int]] = []
    example_index: list[int] = []
    targets: list[tuple[int, int]] = []
    places: list[tuple[int, int, int]] = []
    offsets: list[np.ndarray] = []
    num_inexact = num_unreachable = 0
    for index, (text, answers) in enumerate(zip(examples.texts[task.context], examples.answers, strict=True)):
        context, head = contexts[text], frame.heads[index]
        room = task.max_length - len(head) - len(frame.tail)
        if not context.ids:
            raise DataError(
                f"task {task.name}: the context of '{examples.ids[index]}' has no token under this tokenizer."
            )
        if room <= task.stride:
            raise DataError(
                f"task {task.name}: max_length {task.max_length} leaves {room} tokens for a window of the context of "
                f"'{examples.ids[index]}', not more than stride {task.stride}. Raise max_length, or lower stride or "
                "max_question_tokens."
            )
        gold = _locate(answers, context.offsets)
        if gold is not None:
            num_inexact += text[context.offsets[gold[0], 0] : context.offsets[gold[1], 1]] != answers.texts[0].strip()
        is_held = False
        for start in _window_starts(len(context.ids), room, task.stride):
            end = min(start + room, len(context.ids))
            row = [*head, *context.ids[start:end], *frame.tail]
            null = len(row) - 1 if is_decoder else 0
            if gold is not None and start <= gold[0] and gold[1] < end:
                is_held = True
                targets.append((len(head) + gold[0] - start, len(head) + gold[1] - start))
            else:
                targets.append((null, null))
            input_ids.append(row)
            if frame.head_types is not None:
                types = [*frame.head_types[index], *([frame.context_type] * (end - start)), *frame.tail_types]
                token_types.append(types)
            example_index.append(index)
            places.append((len(head), len(head) + end - start - 1, null))
            offsets.append(context.offsets[start:end])
        num_unreachable += answers.is_answerable and not is_held
    columns = np.array(places, dtype=np.int64).reshape(-1, 3)
    return Encoded(
        input_ids=input_ids,
        token_types=token_types or None,
        example_index=np.array(example_index, dtype=np.int64),
        targets=np.array(targets, dtype=np.int64).reshape(-1, 2),
        windows=Windows(
            context_start=columns[:, 0],
            context_end=columns[:, 1],
            null_position=columns[:, 2],
            offsets=offsets,
            num_answerable=sum(answers.is_answerable for answers in examples.answers),
            num_inexact=num_inexact,
            num_unreachable=num_unreachable,
        ),
        truncation=Truncation(
            num_examples=len(examples),
            num_truncated=sum(count > 0 for count in frame.lost),
            num_tokens_lost=sum(frame.lost),
        ),
    )


def _window_starts(num_tokens: int, room: int, stride: int) -> range:
    """First token of each window: neighbours share `stride` tokens, and the last one reaches the end."""
    num_more = max(0, -(-(num_tokens - room) // (room - stride)))
    return range(0, (num_more + 1) * (room - stride), room - stride)


def _locate(answers: Answers, offsets: np.ndarray) -> tuple[int, int] | None:
    """First and last token of the first gold answer; None where there is no answer or no token says any of it."""
    if not answers.is_answerable:
        return None
    answer = answers.texts[0]
    start = answers.starts[0] + len(answer) - len(answer.lstrip())
    end = answers.starts[0] + len(answer.rstrip())
    first = int(np.searchsorted(offsets[:, 1], start, side="right"))
    last = int(np.searchsorted(offsets[:, 0], end, side="left")) - 1
    return (first, last) if first <= last else None


def _encoder_frame(task: QuestionAnswering, examples: Examples, tokenizer: PreTrainedTokenizerBase) -> _Frame:
    # The tokenizer's own layout of a pair, read off an example of it.
    pair = tokenizer("a", "b")
    parts = pair.sequence_ids(0)
    question_at, context_at = parts.index(0), parts.index(1)
    question_end, context_end = len(parts) - parts[::-1].index(0), len(parts) - parts[::-1].index(1)
    ids, types = pair["input_ids"], pair.get("token_type_ids")
    before, between = ids[:question_at], ids[question_end:context_at]
    heads: list[list[int]] = []
    head_types: list[list[int]] = []
    lost: list[int] = []
    for question in _token_ids(examples.texts[task.question], tokenizer):
        kept = question[: task.max_question_tokens]
        heads.append([*before, *kept, *between])
        lost.append(len(question) - len(kept))
        if types is not None:
            head_types.append(
                [*types[:question_at], *([types[question_at]] * len(kept)), *types[question_end:context_at]]
            )
    return _Frame(
        heads=heads,
        head_types=head_types if types is not None else None,
        tail=ids[context_end:],
        context_type=types[context_at] if types is not None else 0,
        tail_types=types[context_end:] if types is not None else [],
        lost=lost,
    )


def _decoder_frame(task: QuestionAnswering, examples: Examples, tokenizer: PreTrainedTokenizerBase) -> _Frame:
    if tokenizer.eos_token_id is None:
        raise ModelError(
            f"task {task.name}: the tokenizer has no end-of-sequence token; a decoder needs one as the place that stands "
            "for 'no answer'."
        )
    template = Template(pieces=((task.question_prefix, task.question), (task.context_prefix, None)))
    texts = [{task.question: question} for question in examples.texts[task.question]]
    # Whatever the tokenizer puts behind a text by itself would stand in the middle here; the null slot stands for it.
    num_after = tokenizer("a").sequence_ids(0)[::-1].index(0)
    heads: list[list[int]] = []
    lost: list[int] = []
    for start in range(0, len(texts), _BATCH):
        placed = [template.place(row) for row in texts[start : start + _BATCH]]
        encoding = tokenizer([rendered for rendered, _ in placed], return_offsets_mapping=True, verbose=False)
        for index, (_, spans) in enumerate(placed):
            ids, num_lost = encoding["input_ids"][index], 0
            num_question = len(tokens_within(encoding["offset_mapping"][index], spans[0][1]))
            if num_question > task.max_question_tokens:
                max_length = len(ids) - num_question + task.max_question_tokens
                ids, num_lost = fit(template, texts[start + index], tokenizer, max_length)
            heads.append(ids[: len(ids) - num_after])
            lost.append(num_lost)
    return _Frame(
        heads=heads, head_types=None, tail=[int(tokenizer.eos_token_id)], context_type=0, tail_types=[], lost=lost
    )


def _token_ids(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    ids: list[list[int]] = []
    for start in range(0, len(texts), _BATCH):
        batch = [text.strip() for text in texts[start : start + _BATCH]]
        ids += tokenizer(batch, add_special_tokens=False, verbose=False)["input_ids"]
    return ids


def _tokenise_contexts(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> dict[str, _Context]:
    """Each different context, tokenised once."""
    different = list(dict.fromkeys(texts))
    contexts: dict[str, _Context] = {}
    for start in range(0, len(different), _BATCH):
        batch = different[start : start + _BATCH]
        encoding = tokenizer(batch, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        for text, ids, offsets in zip(batch, encoding["input_ids"], encoding["offset_mapping"], strict=True):
            contexts[text] = _Context(ids=ids, offsets=_without_space(text, offsets))
    return contexts


def _without_space(text: str, offsets: Sequence[tuple[int, int]]) -> np.ndarray:
    """(c, 2) int64 offsets whose spans neither begin nor end with white space; (end, end) where nothing is left."""
    raw = np.array(offsets, dtype=np.int64).reshape(-1, 2)
    places = np.arange(len(text) + 1)
    is_text = np.array([not character.isspace() for character in text])
    # next_text[i]: first place >= i that is no space; text_end[i]: last place <= i with no space right before it.
    next_text = np.minimum.accumulate(np.append(np.where(is_text, places[:-1], len(text)), len(text))[::-1])[::-1]
    text_end = np.maximum.accumulate(np.append(0, np.where(is_text, places[1:], 0)))
    starts = np.minimum(next_text[raw[:, 0]], raw[:, 1])
    return np.stack([starts, np.maximum(text_end[raw[:, 1]], starts)], axis=1)
