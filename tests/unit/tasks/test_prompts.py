"""Templates put texts in place, and only texts give way."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from transformers import PreTrainedTokenizerFast

from tunescope.errors import DataError
from tunescope.tasks.prompts import Template, fit, tokens_within

Bytes = Callable[[str], PreTrainedTokenizerFast]
TEMPLATE = Template.parse("One: {first}\nTwo: {second}\nSame?")


def test_texts_are_put_in_as_they_are_without_space_around_them() -> None:
    template = Template.parse("{{{text}}}: {text}!")

    assert template.render({"text": "  a {b} c\n"}) == "{a {b} c}: a {b} c!"
    rendered, spans = template.place({"text": "ab"})
    assert [(column, rendered[start:end]) for column, (start, end) in spans] == [("text", "ab"), ("text", "ab")]


@pytest.mark.parametrize("prompt", ["{text!r}", "{text:>10}"])
def test_a_format_in_a_brace_is_refused(prompt: str) -> None:
    with pytest.raises(DataError, match=r"expected only a column's name in '{text}'"):
        Template.parse(prompt)


def test_what_fits_is_left_alone(byte_tokenizer: Bytes) -> None:
    tokenizer = byte_tokenizer("<s> $A")

    ids, num_lost = fit(TEMPLATE, {"first": "aaa", "second": "b"}, tokenizer, 28)

    assert (len(ids), num_lost) == (22, 0)
    assert ids == tokenizer("One: aaa\nTwo: b\nSame?")["input_ids"]


@pytest.mark.parametrize(
    "max_length, first, second",
    [(35, "a" * 10, "b" * 7), (30, "a" * 6, "b" * 6), (26, "a" * 4, "b" * 4), (20, "a", "b")],
)
def test_the_longest_text_gives_way_first(byte_tokenizer: Bytes, max_length: int, first: str, second: str) -> None:
    tokenizer = byte_tokenizer("<s> $A")
    longest = {"first": "a" * 30, "second": "b" * 7}

    ids, num_lost = fit(TEMPLATE, longest, tokenizer, max_length)

    assert tokenizer.decode(ids[1:]) == f"One: {first}\nTwo: {second}\nSame?"
    assert num_lost == 55 - len(ids)


@pytest.mark.parametrize("template, num_special", [("$A", 0), ("<s> $A", 1), ("<s> $A </s>", 2)])
def test_special_tokens_are_whatever_the_tokenizer_adds(byte_tokenizer: Bytes, template: str, num_special: int) -> None:
    tokenizer = byte_tokenizer(template)

    ids, _ = fit(Template.parse("{text}."), {"text": "x" * 50}, tokenizer, 20)

    assert tokenizer.decode(ids, skip_special_tokens=True) == "x" * (19 - num_special) + "."
    assert ids == tokenizer(tokenizer.decode(ids, skip_special_tokens=True))["input_ids"]


def test_characters_of_several_tokens_are_kept_whole(byte_tokenizer: Bytes) -> None:
    tokenizer = byte_tokenizer("<s> $A")

    for max_length in range(6, 20):
        ids, _ = fit(Template.parse("{text}."), {"text": "é𝒳" * 9}, tokenizer, max_length)
        assert len(ids) <= max_length
        assert tokenizer.decode(ids[1:]).rstrip(".") in "é𝒳" * 9


def test_words_are_cut_at_a_tokens_boundary(llama_tokenizer: PreTrainedTokenizerFast) -> None:
    text = "the quick brown fox jumps over the lazy dog again and again and again"
    full = llama_tokenizer(f"Question: {text}\nAnswer:")["input_ids"]

    for max_length in range(10, len(full)):
        ids, num_lost = fit(Template.parse("Question: {text}\nAnswer:"), {"text": text}, llama_tokenizer, max_length)
        assert len(ids) <= max_length
        assert num_lost == len(full) - len(ids) > 0
        assert ids[0] == llama_tokenizer.bos_token_id
        rendered = llama_tokenizer.decode(ids[1:])
        assert rendered.startswith("Question: the")
        assert rendered.endswith("\nAnswer:")
        assert text.startswith(rendered.removeprefix("Question: ").removesuffix("\nAnswer:"))


def test_a_template_that_leaves_no_room_is_refused(byte_tokenizer: Bytes) -> None:
    with pytest.raises(
        DataError, match="max_length 19 leaves no room for the text: the prompt's own words take 18 tokens"
    ):
        fit(TEMPLATE, {"first": "a" * 30, "second": "b" * 7}, byte_tokenizer("<s> $A"), 19)


def test_tokens_within_a_span_are_those_that_share_a_character() -> None:
    assert tokens_within([(0, 0), (0, 4), (4, 7), (7, 7), (7, 9), (9, 12)], (5, 9)) == [7, 9]
