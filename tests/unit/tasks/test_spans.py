"""Spans from logits: a slow plain search as the reference, pooling over windows, ties, and what is refused."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunescope.tasks.spans import SpanWindow, predict_span

CONTEXT = "Rollo led the Normans"
WORDS = np.array([[0, 5], [6, 9], [10, 13], [14, 21]])


def window(
    starts: list[float], ends: list[float], *, null: tuple[float, float] = (0.0, 0.0), offsets: np.ndarray = WORDS
) -> SpanWindow:
    """Two question tokens, the context tokens, a null token, one pad; all but context and null would win if looked at."""
    return SpanWindow(
        start_logits=np.array([99.0, 99.0, *starts, null[0], 99.0], dtype=np.float32),
        end_logits=np.array([99.0, 99.0, *ends, null[1], 99.0], dtype=np.float32),
        first=2,
        last=1 + len(starts),
        offsets=offsets,
        null_position=2 + len(starts),
    )


def plain_search(windows: list[SpanWindow], max_answer_tokens: int) -> tuple[float, int, int]:
    """(score, start character, end character) by trying every span in order, the first highest kept."""
    best = (-np.inf, -1, -1)
    for one in windows:
        num_tokens = one.last - one.first + 1
        for i, j in itertools.product(range(num_tokens), repeat=2):
            score = float(one.start_logits[one.first + i]) + float(one.end_logits[one.first + j])
            if i <= j < i + max_answer_tokens and score > best[0]:
                best = (score, int(one.offsets[i, 0]), int(one.offsets[j, 1]))
    return best


def test_the_best_span_is_cut_from_the_context() -> None:
    prediction = predict_span("q1", CONTEXT, [window([0, 0, 2, 1], [0, 1, 0, 3], null=(0.5, 0.25))])

    assert dataclasses.asdict(prediction) == {
        "id": "q1",
        "text": "the Normans",
        "start_char": 10,
        "end_char": 21,
        "span_score": 5.0,
        "null_score": 0.75,
    }
    assert prediction.no_answer_score == -4.25


def test_a_span_never_ends_before_it_starts() -> None:
    prediction = predict_span("q", CONTEXT, [window([0, 0, 0, 9], [9, 0, 0, 0])])

    assert (prediction.text, prediction.span_score) == ("Rollo", 9.0)


@pytest.mark.parametrize(
    "max_answer_tokens,text", [(1, "Normans"), (2, "the Normans"), (3, "the Normans"), (4, CONTEXT), (99, CONTEXT)]
)
def test_the_length_limit(max_answer_tokens: int, text: str) -> None:
    windows = [window([9, 0, 5, 3], [0, 0, 0, 9])]

    assert predict_span("q", CONTEXT, windows, max_answer_tokens=max_answer_tokens).text == text


def test_windows_are_pooled_best_span_and_least_null() -> None:
    first = window([1, 0], [1, 0], null=(4.0, 4.0), offsets=WORDS[:2])
    second = window([0, 2], [0, 2], null=(-1.0, 0.5), offsets=WORDS[2:])

    prediction = predict_span("q", CONTEXT, [first, second])

    assert (prediction.text, prediction.span_score, prediction.null_score) == ("Normans", 4.0, -0.5)
    assert prediction == predict_span("q", CONTEXT, [second, first])


def test_ties_go_to_the_first_window_start_and_end() -> None:
    flat = window([0, 0, 0, 0], [0, 0, 0, 0])
    later = window([0, 0], [0, 0], offsets=WORDS[2:])

    assert predict_span("q", CONTEXT, [flat, later]).text == "Rollo"
    assert predict_span("q", CONTEXT, [later, flat]).text == "the"


def test_white_space_in_a_token_is_not_part_of_the_answer() -> None:
    with_spaces = np.array([[0, 6], [5, 10], [9, 13], [13, 21]])

    prediction = predict_span("q", CONTEXT, [window([0, 5, 0, 0], [0, 5, 0, 0], offsets=with_spaces)])

    assert (prediction.text, prediction.start_char, prediction.end_char) == ("led", 6, 9)


def test_a_token_without_visible_characters_bounds_no_answer() -> None:
    blank_and_empty = np.array([[0, 5], [5, 6], [6, 6], [6, 9]])

    prediction = predict_span("q", CONTEXT, [window([0, 9, 9, 1], [0, 9, 9, 1], offsets=blank_and_empty)])

    assert (prediction.text, prediction.span_score) == ("led", 2.0)


def test_a_window_of_white_space_leaves_the_answer_to_the_others() -> None:
    blank = window([50.0], [50.0], null=(-3.0, -3.0), offsets=np.array([[5, 6]]))

    prediction = predict_span("q", CONTEXT, [blank, window([0, 0, 0, 1], [0, 0, 0, 1])])

    assert (prediction.text, prediction.null_score) == ("Normans", -6.0)
    with pytest.raises(ValueError, match=r"^predict_span: question q has no window with a visible context token$"):
        predict_span("q", CONTEXT, [blank])


def test_characters_beyond_ascii_are_counted_not_bytes() -> None:
    context = "Édouard 🎻 joue"
    offsets = np.array([[0, 7], [8, 9], [8, 9], [10, 14]])  # two byte-level tokens share the violin

    assert predict_span("q", context, [window([0, 3, 0, 0], [0, 0, 4, 0], offsets=offsets)]).text == "🎻"


@given(
    logits=st.lists(
        st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=1, max_size=9), min_size=1, max_size=3
    ),
    max_answer_tokens=st.integers(1, 10),
)
@settings(max_examples=150, deadline=None)
def test_the_search_agrees_with_trying_every_span(logits: list[list[tuple[int, int]]], max_answer_tokens: int) -> None:
    context = "abcdefghi"
    windows = []
    for pairs in logits:
        letters = np.arange(len(pairs))
        starts, ends = zip(*pairs, strict=True)
        windows.append(window(list(starts), list(ends), offsets=np.stack([letters, letters + 1], axis=1)))

    prediction = predict_span("q", context, windows, max_answer_tokens=max_answer_tokens)

    assert (prediction.span_score, prediction.start_char, prediction.end_char) == plain_search(
        windows, max_answer_tokens
    )
    assert prediction.text == context[prediction.start_char : prediction.end_char]


GOOD = window([0, 0, 0, 0], [0, 0, 0, 0])


@pytest.mark.parametrize(
    "changes,message",
    [
        ({"end_logits": np.zeros(7)}, r"start and end logits must both be \(num_tokens,\), got \(8,\), \(7,\)"),
        ({"start_logits": np.zeros((2, 4))}, r"start and end logits must both be \(num_tokens,\)"),
        ({"first": 6, "last": 5}, r"context tokens 6\.\.5 do not lie in 0\.\.7"),
        ({"last": 8}, r"context tokens 2\.\.8 do not lie in 0\.\.7"),
        ({"null_position": 8}, r"null position 8 must lie in 0\.\.7 and outside the context tokens 2\.\.5"),
        ({"null_position": -1}, r"null position -1 must lie in 0\.\.7"),
        ({"null_position": 3}, r"null position 3 must lie in 0\.\.7 and outside the context tokens"),
        ({"offsets": WORDS[:3]}, r"offsets must be integers of shape \(4, 2\), got int64 of shape \(3, 2\)"),
        ({"offsets": WORDS * 1.0}, r"offsets must be integers of shape \(4, 2\), got float64"),
        ({"offsets": WORDS + 1}, r"offsets must be rising pairs within the context's 21 characters"),
        ({"offsets": WORDS - 1}, r"offsets must be rising pairs within the context's 21 characters"),
        ({"offsets": WORDS[:, ::-1]}, r"offsets must be rising pairs within the context's 21 characters"),
        ({"offsets": WORDS[::-1]}, r"offsets must not step back from one context token to the next"),
        ({"start_logits": np.array([0, 0, 0, np.nan, 0, 0, 0, 0])}, r"logits must be finite"),
        ({"end_logits": np.array([0, 0, 0, 0, 0, 0, np.inf, 0])}, r"logits must be finite"),
    ],
)
def test_a_window_that_does_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=rf"^predict_span: question q, window 1: {message}"):
        predict_span("q", CONTEXT, [GOOD, dataclasses.replace(GOOD, **changes)])


def test_no_window_and_no_length_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^predict_span: question q needs at least one window, got none$"):
        predict_span("q", CONTEXT, [])
    with pytest.raises(ValueError, match=r"^predict_span: max_answer_tokens must be at least 1, got 0$"):
        predict_span("q", CONTEXT, [GOOD], max_answer_tokens=0)


def test_pad_logits_may_be_infinite() -> None:
    padded = dataclasses.replace(GOOD, start_logits=np.array([0, 0, 1.0, 0, 0, 0, 0, -np.inf]))

    assert predict_span("q", CONTEXT, [padded]).text == "Rollo"
