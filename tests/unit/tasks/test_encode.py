"""Texts become the tokens the tokenizer itself would give, and every loss is counted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from tunescope.errors import DataError, ModelError
from tunescope.tasks.encode import encode, render_prompt
from tunescope.tasks.examples import Examples
from tunescope.tasks.spec import Classification, Dataset, Regression

Bytes = Callable[[str], PreTrainedTokenizerFast]
FILES = Dataset(files={"train": "train.csv"})
PAIRS = Classification(
    name="pairs",
    dataset=FILES,
    text="first",
    text_pair="second",
    labels=("different", "same"),
    prompt="{first}\n{second}\nSame?",
    max_length=16,
)
SHORT = ("Ann lives in Rome", "the dog")
LONG = ("one two three four five six seven eight nine ten eleven twelve", "the quick brown fox jumps over")


def examples(*rows: tuple[str, str]) -> Examples:
    first, second = zip(*rows, strict=True)
    ids = tuple(f"train-{place}" for place in range(len(rows)))
    labels = np.arange(len(rows), dtype=np.int64) % 2
    return Examples(ids=ids, texts={"first": first, "second": second}, targets=labels)


def test_an_encoder_reads_what_its_tokenizer_gives_for_a_pair(encoder_tokenizer: PreTrainedTokenizerFast) -> None:
    encoded = encode(PAIRS, examples(SHORT, LONG), encoder_tokenizer, is_decoder=False)

    for row, texts in enumerate((SHORT, LONG)):
        expected = encoder_tokenizer(*texts, truncation=True, max_length=16)
        assert encoded.input_ids[row] == expected["input_ids"]
        assert encoded.token_types is not None
        assert encoded.token_types[row] == expected["token_type_ids"]
    assert encoded.lengths.tolist() == [9, 16]
    assert encoded.targets.tolist() == [0, 1]
    assert encoded.example_index.tolist() == [0, 1]
    assert encoded.windows is None
    assert encoded.truncation.num_truncated == 1
    assert encoded.truncation.num_tokens_lost == 12 + 6 + 3 - 16
    assert encoded.truncation.share == 0.5


def test_an_encoders_cut_takes_from_the_longer_text(encoder_tokenizer: PreTrainedTokenizerFast) -> None:
    encoded = encode(PAIRS, examples(LONG), encoder_tokenizer, is_decoder=False)

    assert encoder_tokenizer.decode(encoded.input_ids[0]).split("[SEP]")[1].strip() == LONG[1]


def test_a_decoder_reads_its_prompt_tokenised_once(byte_tokenizer: Bytes) -> None:
    tokenizer = byte_tokenizer("<s> $A </s>")
    task = PAIRS.model_copy(update={"max_length": 200})

    encoded = encode(task, examples(SHORT, LONG), tokenizer, is_decoder=True)

    assert encoded.token_types is None
    assert list(encoded.input_ids) == [tokenizer(f"{a}\n{b}\nSame?")["input_ids"] for a, b in (SHORT, LONG)]
    assert encoded.truncation.num_truncated == encoded.truncation.num_tokens_lost == 0


def test_a_decoders_cut_leaves_prompt_and_second_text(byte_tokenizer: Bytes) -> None:
    tokenizer = byte_tokenizer("<s> $A")

    encoded = encode(PAIRS, examples(SHORT, ("a", "b")), tokenizer, is_decoder=True)

    assert tokenizer.decode(encoded.input_ids[0][1:]) == "Ann\nthe\nSame?"
    assert encoded.truncation.num_truncated == 1
    assert encoded.truncation.num_tokens_lost == len("Ann lives in Rome\nthe dog\nSame?") + 1 - len(
        encoded.input_ids[0]
    )


def test_more_examples_than_one_batch_of_the_tokenizer(encoder_tokenizer: PreTrainedTokenizerFast) -> None:
    rows = [(f"one {place}", "two") for place in range(2500)]

    encoded = encode(PAIRS, examples(*rows), encoder_tokenizer, is_decoder=False)

    assert len(encoded) == 2500
    assert encoded.input_ids[2100] == encoder_tokenizer(*rows[2100])["input_ids"]


def test_scores_stay_numbers(encoder_tokenizer: PreTrainedTokenizerFast) -> None:
    task = Regression(name="r", dataset=FILES, text="text", score="score")
    rows = Examples(ids=("a", "b"), texts={"text": ("one", "two three")}, targets=np.array([0.5, 2.0]))

    encoded = encode(task, rows, encoder_tokenizer, is_decoder=False)

    assert encoded.targets.dtype == np.float64
    assert encoded.targets.tolist() == [0.5, 2.0]


def test_the_prompt_for_people_is_the_prompt_for_models() -> None:
    assert render_prompt(PAIRS, {"first": " a ", "second": "b"}) == "a\nb\nSame?"
    plain = PAIRS.model_copy(update={"prompt": None})
    assert render_prompt(plain, {"first": "a", "second": "b"}) == "a\nb"


def test_a_tokenizer_without_offsets_is_refused() -> None:
    class Slow:
        is_fast = False

    with pytest.raises(ModelError, match=r"tokenizer Slow does not know character offsets.*fast tokenizer"):
        encode(PAIRS, examples(SHORT), Slow(), is_decoder=False)


def test_a_prompt_that_leaves_no_room_is_refused(byte_tokenizer: Bytes) -> None:
    task = PAIRS.model_copy(update={"max_length": 8})

    with pytest.raises(DataError, match="max_length 8 leaves no room for the text"):
        encode(task, examples(SHORT), byte_tokenizer("<s> $A"), is_decoder=True)


def test_an_example_without_a_token_is_refused(byte_tokenizer: Bytes) -> None:
    class Deaf:
        is_fast = True

        def __call__(self, texts: list[str], **_: object) -> dict[str, list[list[int]]]:
            return {"input_ids": [[] for _ in texts]}

    with pytest.raises(DataError, match="task pairs: example 'train-0' has no token"):
        encode(PAIRS, examples(SHORT), Deaf(), is_decoder=True)
