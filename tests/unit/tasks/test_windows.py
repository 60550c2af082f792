"""Questions and contexts in rows: the layout, the windows, and answers there and back again."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from tunescope.errors import DataError, ModelError
from tunescope.tasks.encode import Encoded, encode
from tunescope.tasks.examples import Answers, Examples
from tunescope.tasks.spans import SpanWindow, predict_span
from tunescope.tasks.spec import Dataset, QuestionAnswering

Bytes = Callable[[str], PreTrainedTokenizerFast]
FILES = Dataset(files={"train": "train.csv"})
CONTEXT = "Ann lives in Rome . Bob lives in Oslo ."
LONG = "one two three four five six seven eight nine ten eleven twelve " * 12


def task(**fields: object) -> QuestionAnswering:
    values = {"name": "quiz", "dataset": FILES, "max_length": 64, "stride": 8, "max_question_tokens": 20, **fields}
    return QuestionAnswering.model_validate(values)


def asked(*rows: tuple[str, str, str | None]) -> Examples:
    """Questions, contexts and answers; an answer stands where the context has it first."""
    questions, contexts, answers = zip(*rows, strict=True)
    return Examples(
        ids=tuple(f"q{place}" for place in range(len(rows))),
        texts={"question": questions, "context": contexts},
        targets=tuple(
            Answers() if answer is None else Answers(texts=(answer,), starts=(context.index(answer),))
            for context, answer in zip(contexts, answers, strict=True)
        ),
    )


def said(encoded: Encoded, row: int, context: str) -> str | None:
    """What the row's target says, cut out of the context; None at the null position."""
    assert encoded.windows is not None
    first, last = encoded.targets[row]
    if first == encoded.windows.null_position[row]:
        assert last == first
        return None
    offsets = encoded.windows.offsets[row]
    start = encoded.windows.context_start[row]
    return context[offsets[first - start, 0] : offsets[last - start, 1]]


def test_a_decoder_reads_the_question_first_and_ends_on_its_null_slot(byte_tokenizer: Bytes) -> None:
    tokenizer = byte_tokenizer("<s> $A")

    encoded = encode(task(max_length=90), asked(("Where?", CONTEXT, "Rome")), tokenizer, is_decoder=True)

    ids, windows = encoded.input_ids[0], encoded.windows
    assert windows is not None
    assert tokenizer.decode(ids) == f"<s>Question: Where?\nContext: {CONTEXT}</s>"
    assert windows.null_position.tolist() == [len(ids) - 1]
    assert tokenizer.decode(ids[windows.context_start[0] : windows.context_end[0] + 1]) == CONTEXT
    assert said(encoded, 0, CONTEXT) == "Rome"
    assert encoded.token_types is None


@pytest.mark.parametrize("template", ["$A", "<s> $A", "<s> $A </s>"])
def test_a_decoder_has_one_end_token_whatever_the_tokenizer_adds(byte_tokenizer: Bytes, template: str) -> None:
    encoded = encode(task(max_length=90), asked(("Where?", CONTEXT, None)), byte_tokenizer(template), is_decoder=True)

    assert list(encoded.input_ids[0]).count(1) == 1
    assert encoded.input_ids[0][-1] == 1
    assert list(encoded.input_ids[0]).count(0) == (template != "$A")


def test_an_encoder_reads_its_tokenizers_own_pair(encoder_tokenizer: PreTrainedTokenizerFast) -> None:
    encoded = encode(task(), asked(("Where does Ann live ?", CONTEXT, "Rome")), encoder_tokenizer, is_decoder=False)

    expected = encoder_tokenizer("Where does Ann live ?", CONTEXT)
    assert encoded.input_ids[0] == expected["input_ids"]
    assert encoded.token_types is not None
    assert encoded.token_types[0] == expected["token_type_ids"]
    assert encoded.windows is not None
    assert encoded.windows.null_position.tolist() == [0]
    assert said(encoded, 0, CONTEXT) == "Rome"


@pytest.mark.parametrize("num_words", [1, 30, 54, 55, 56, 97, 98, 99, 144])
def test_windows_are_those_of_the_tokenizers_own_overflow(
    encoder_tokenizer: PreTrainedTokenizerFast, num_words: int
) -> None:
    context = " ".join(LONG.split()[:num_words])
    questions = task(max_length=60)

    encoded = encode(questions, asked(("Where ?", context, None)), encoder_tokenizer, is_decoder=False)

    expected = encoder_tokenizer(
        "Where ?", context, truncation="only_second", max_length=60, stride=8, return_overflowing_tokens=True
    )
    assert list(encoded.input_ids) == expected["input_ids"]
    assert encoded.example_index.tolist() == [0] * len(expected["input_ids"])


def test_every_token_of_a_long_context_is_in_a_window_and_neighbours_share_stride(byte_tokenizer: Bytes) -> None:
    encoded = encode(
        task(max_length=80), asked(("Where?", LONG.strip(), "nine ten")), byte_tokenizer("<s> $A"), is_decoder=True
    )

    assert encoded.windows is not None
    starts = [int(offsets[0, 0]) for offsets in encoded.windows.offsets]
    ends = [int(offsets[-1, 1]) for offsets in encoded.windows.offsets]
    assert starts[0] == 0
    assert ends[-1] == len(LONG.strip())
    tokens = [set(map(tuple, offsets.tolist())) for offsets in encoded.windows.offsets]
    assert {len(left & right) for left, right in pairwise(tokens)} == {8}
    assert encoded.lengths.max() == 80


def test_only_windows_that_hold_the_whole_answer_have_it_as_target(byte_tokenizer: Bytes) -> None:
    answer = "eleven twelve"
    rows = asked(("Where?", LONG, answer))

    encoded = encode(task(max_length=80), rows, byte_tokenizer("<s> $A"), is_decoder=True)

    assert encoded.windows is not None
    start = LONG.index(answer)
    for row in range(len(encoded)):
        offsets = encoded.windows.offsets[row]
        holds = offsets[0, 0] <= start and offsets[-1, 1] >= start + len(answer)
        assert said(encoded, row, LONG) == (answer if holds else None)
    assert 0 < sum(said(encoded, row, LONG) == answer for row in range(len(encoded))) < len(encoded)


def test_an_answer_longer_than_any_window_is_counted(byte_tokenizer: Bytes) -> None:
    encoded = encode(
        task(), asked(("Where?", LONG, LONG.strip()), ("Where?", LONG, None)), byte_tokenizer("$A"), is_decoder=True
    )

    assert encoded.windows is not None
    assert (encoded.windows.num_answerable, encoded.windows.num_unreachable) == (1, 1)
    assert all(said(encoded, row, LONG) is None for row in range(len(encoded)))


ANSWERS = ["Ann", "Ann lives", "Rome", "in Rome .", "Oslo .", "Bob lives in Oslo", ".", CONTEXT]


@pytest.mark.parametrize("answer", ANSWERS)
def test_answers_there_and_back_again(
    encoder_tokenizer: PreTrainedTokenizerFast,
    llama_tokenizer: PreTrainedTokenizerFast,
    byte_tokenizer: Bytes,
    answer: str,
) -> None:
    for tokenizer, is_decoder in (
        (encoder_tokenizer, False),
        (llama_tokenizer, True),
        (byte_tokenizer("<s> $A"), True),
    ):
        encoded = encode(task(max_length=128), asked(("Where?", CONTEXT, answer)), tokenizer, is_decoder=is_decoder)

        assert said(encoded, 0, CONTEXT) == answer
        assert encoded.windows is not None
        assert encoded.windows.num_inexact == encoded.windows.num_unreachable == 0


@pytest.mark.parametrize(
    "context", ["  Ann  lives\n in\tRome  ", "Ann é𝒳 lives in Rome…", "Ann\u00a0lives in\u3000Rome"]
)
def test_spans_neither_begin_nor_end_with_a_space(
    llama_tokenizer: PreTrainedTokenizerFast, byte_tokenizer: Bytes, context: str
) -> None:
    for tokenizer in (llama_tokenizer, byte_tokenizer("<s> $A")):
        for answer in ("Ann", "lives", "Rome"):
            encoded = encode(task(max_length=128), asked(("Where?", context, answer)), tokenizer, is_decoder=True)
            assert said(encoded, 0, context) == answer
            assert encoded.windows is not None
            cuts = [context[start:end] for start, end in encoded.windows.offsets[0]]
            assert all(cut == cut.strip() for cut in cuts)


def test_an_answer_inside_a_token_is_widened_and_counted(encoder_tokenizer: PreTrainedTokenizerFast) -> None:
    encoded = encode(task(), asked(("Where?", CONTEXT, "om")), encoder_tokenizer, is_decoder=False)

    assert said(encoded, 0, CONTEXT) == "Rome"
    assert encoded.windows is not None
    assert encoded.windows.num_inexact == 1


def test_space_around_a_gold_answer_does_not_count(encoder_tokenizer: PreTrainedTokenizerFast) -> None:
    encoded = encode(task(), asked(("Where?", CONTEXT, " in Rome ")), encoder_tokenizer, is_decoder=False)

    assert said(encoded, 0, CONTEXT) == "in Rome"
    assert encoded.windows is not None
    assert encoded.windows.num_inexact == 0


def test_gold_logits_on_the_targets_give_the_answer_back(llama_tokenizer: PreTrainedTokenizerFast) -> None:
    encoded = encode(task(max_length=90), asked(("Where?", LONG, "two three four")), llama_tokenizer, is_decoder=True)
    windows = encoded.windows
    assert windows is not None
    assert len(encoded) == 3
    spans = []
    for row, (first, last) in enumerate(encoded.targets):
        logits = np.zeros((2, len(encoded.input_ids[row])))
        logits[0, first] = logits[1, last] = 5.0
        spans.append(
            SpanWindow(
                start_logits=logits[0],
                end_logits=logits[1],
                first=int(windows.context_start[row]),
                last=int(windows.context_end[row]),
                offsets=windows.offsets[row],
                null_position=int(windows.null_position[row]),
            )
        )

    prediction = predict_span("q0", LONG, spans)

    assert prediction.text == "two three four"
    assert prediction.no_answer_score == -10.0


@pytest.mark.parametrize("is_decoder", [True, False])
def test_a_long_question_is_cut_and_counted(
    encoder_tokenizer: PreTrainedTokenizerFast, byte_tokenizer: Bytes, is_decoder: bool
) -> None:
    tokenizer = byte_tokenizer("<s> $A") if is_decoder else encoder_tokenizer
    rows = asked((LONG, CONTEXT, "Rome"), ("Where ?", CONTEXT, "Oslo"))

    encoded = encode(task(max_length=90), rows, tokenizer, is_decoder=is_decoder)

    text = tokenizer.decode(encoded.input_ids[0])
    kept = LONG[:20] if is_decoder else " ".join(LONG.split()[:20])
    assert (f"Question: {kept}\nContext: Ann" if is_decoder else f"[CLS] {kept} [SEP] ann") in text
    assert encoded.truncation.num_truncated == 1
    assert encoded.truncation.num_tokens_lost == (len(LONG.strip()) if is_decoder else 144) - 20
    assert said(encoded, 0, CONTEXT) == "Rome"


def test_a_context_shared_by_questions_is_tokenised_once(encoder_tokenizer: PreTrainedTokenizerFast) -> None:
    encoded = encode(task(), asked(*[("Where ?", CONTEXT, "Rome")] * 5), encoder_tokenizer, is_decoder=False)

    assert encoded.windows is not None
    bases = {id(offsets.base) for offsets in encoded.windows.offsets}
    assert len(bases) == 1


def test_no_room_for_a_window_is_refused(byte_tokenizer: Bytes) -> None:
    questions = task(max_length=44, max_question_tokens=20)

    with pytest.raises(
        DataError, match=r"max_length 44 leaves 3 tokens for a window of the context of 'q0', not more than stride 8"
    ):
        encode(questions, asked(("Where in the world?", CONTEXT, None)), byte_tokenizer("<s> $A"), is_decoder=True)


def test_a_context_without_tokens_is_refused(encoder_tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(DataError, match="the context of 'q0' has no token"):
        encode(task(), asked(("Where?", "\u200b\u200b", None)), encoder_tokenizer, is_decoder=False)


def test_a_decoder_without_an_end_token_is_refused(byte_tokenizer: Bytes) -> None:
    tokenizer = byte_tokenizer("$A")
    tokenizer.eos_token = None

    with pytest.raises(ModelError, match="no end-of-sequence token"):
        encode(task(), asked(("Where?", CONTEXT, None)), tokenizer, is_decoder=True)
