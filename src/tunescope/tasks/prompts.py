"""What a decoder reads: texts put into a template, and shortened where they do not fit; never the template itself."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tunescope.errors import DataError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Span = tuple[int, int]
"""First character, and one past the last."""


@dataclass(frozen=True, kw_only=True)
class Template:
    """Literal text and columns, in turn."""

    pieces: tuple[tuple[str, str | None], ...]
    """Literal text, then the column that follows it, if one does."""

    @classmethod
    def parse(cls, prompt: str) -> Template:
        """From text with columns in braces.

        Raises:
            DataError: If a brace holds more than a column's name.
        """
        pieces: list[tuple[str, str | None]] = []
        for literal, column, style, conversion in string.Formatter().parse(prompt):
            if style or conversion:
                raise DataError(
                    f"prompt {prompt!r}: expected only a column's name in '{{{column}}}', found a format too."
                )
            pieces.append((literal, column))
        return cls(pieces=tuple(pieces))

    def render(self, texts: Mapping[str, str]) -> str:
        """The text a decoder reads; white space around each of `texts` is left out."""
        return self.place(texts)[0]

    def place(self, texts: Mapping[str, str]) -> tuple[str, list[tuple[str, Span]]]:
        """The rendered text, and where in it each column stands."""
        rendered = ""
        spans: list[tuple[str, Span]] = []
        for literal, column in self.pieces:
            rendered += literal
            if column is not None:
                start = len(rendered)
                rendered += texts[column].strip()
                spans.append((column, (start, len(rendered))))
        return rendered, spans


def fit(
    template: Template, texts: Mapping[str, str], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> tuple[list[int], int]:
    """Token ids of a rendered template, at most `max_length` of them, and how many tokens were lost.

    The longest text gives way first, down to the length of the next longest, and so on, each at a token's boundary; the
    shortened text is rendered and tokenised anew. At least the first character of every text stays.

    Raises:
        DataError: If the template's own words leave less than one token for each text.
    """
    rendered, spans = template.place(texts)
    encoding = tokenizer(rendered, return_offsets_mapping=True, verbose=False)
    full_length = len(encoding["input_ids"])
    if full_length <= max_length:
        return list(encoding["input_ids"]), 0
    tokens = [tokens_within(encoding["offset_mapping"], span) for _, span in spans]
    budget = sum(len(ends) for ends in tokens) - (full_length - max_length)
    while (limit := _limit([len(ends) for ends in tokens], budget)) > 0:
        shortened = dict(texts)
        for (column, (start, end)), ends in zip(spans, tokens, strict=True):
            if len(ends) > limit:
                shortened[column] = rendered[start : max(start + 1, min(ends[limit - 1], end))]
        ids = list(tokenizer(template.render(shortened), verbose=False)["input_ids"])
        if len(ids) <= max_length:
            return ids, full_length - len(ids)
        budget -= len(ids) - max_length
    num_words = full_length - sum(len(ends) for ends in tokens)
    raise DataError(
        f"max_length {max_length} leaves no room for the text: the prompt's own words take {num_words} tokens. "
        "Raise max_length or shorten the prompt."
    )


def tokens_within(offsets: Sequence[Span], span: Span) -> list[int]:
    """For each token that shares a character with the span, in order: one past the token's last character."""
    return [end for start, end in offsets if start < span[1] and end > span[0] and end > start]


def _limit(lengths: Sequence[int], budget: int) -> int:
    """The most tokens one text may keep so that all together keep at most `budget`; 0 if there is no such number."""
    low, high = 0, max(lengths, default=0)
    while low < high:
        middle = (low + high + 1) // 2
        if sum(min(length, middle) for length in lengths) <= budget:
            low = middle
        else:
            high = middle - 1
    return low
