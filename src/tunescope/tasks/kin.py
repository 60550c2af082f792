"""Rows that say nearly the same: what must not stand on both sides of a cut, and how much of it still does."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunescope.tasks.examples import Examples

_NO_WORD = re.compile(r"[\W_]+")


@dataclass(frozen=True, kw_only=True)
class Kinship:
    """How many of some rows are known to whoever has seen others; each row counts once, as the nearest it is."""

    num_rows: int
    num_equal: int
    """Rows that equal one of the others up to case, punctuation, white space and the order of their texts."""
    num_sharing: int
    """Of the rest, those with a text that is one of the others' texts, up to the same."""
    num_inside: int
    """Of the rest, those with a text that stands word for word inside one of the others' longer texts."""


def normalised(text: str) -> str:
    """A text without case, punctuation and white space: its words (NFKC, case-folded) with one space between.

    A text without any word stays as it is, so that "?" and "!" differ.

    Example:
        >>> normalised("It 's  GOOD .")
        'it s good'
    """
    return _NO_WORD.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip() or text.strip()


def normalised_rows(examples: Examples, columns: Sequence[str]) -> list[tuple[str, ...]]:
    """Each row's normalised texts in `columns`, sorted, so that the order of a pair does not count."""
    known: dict[str, str] = {}
    for column in columns:
        for text in examples.texts[column]:
            if text not in known:
                known[text] = normalised(text)
    texts = zip(*(examples.texts[column] for column in columns), strict=True)
    return [tuple(sorted(known[text] for text in row)) for row in texts]


def kin_groups(rows: Sequence[tuple[str, ...]], max_rows: int) -> list[list[int]]:
    """Rows that must stay together, directly or through others, as a partition of all rows.

    Equal rows always do. Rows that share one of several texts do as long as the group stays within `max_rows`; a text that
    would make a larger one binds nothing. Rarer texts are asked first, so what binds does not depend on the rows' order.

    Args:
        rows: n rows of normalised texts, each row sorted.
        max_rows: The most rows that sharing a text may bring together.

    Returns:
        Ascending row numbers, a list for each group, in the order of their first row.
    """
    leader = list(range(len(rows)))
    size = [1] * len(rows)

    def find(row: int) -> int:
        while leader[row] != row:
            leader[row] = leader[leader[row]]
            row = leader[row]
        return row

    def unite(members: Sequence[int], limit: int | None) -> None:
        leaders = {find(row) for row in members}
        total = sum(size[one] for one in leaders)
        if limit is not None and total > limit:
            return
        first = min(leaders)
        for one in leaders:
            leader[one] = first
        size[first] = total

    for members in _places(rows).values():
        unite(members, None)
    if any(len(row) > 1 for row in rows):
        holders: dict[str, list[int]] = {}
        for place, row in enumerate(rows):
            for text in set(row):
                holders.setdefault(text, []).append(place)
        for _, members in sorted(holders.items(), key=lambda item: (len(item[1]), item[0])):
            unite(members, max_rows)
    groups: dict[int, list[int]] = {}
    for place in range(len(rows)):
        groups.setdefault(find(place), []).append(place)
    return list(groups.values())


def kinship(rows: Sequence[tuple[str, ...]], others: Sequence[tuple[str, ...]]) -> Kinship:
    """How near some rows are to others.

    Args:
        rows: Normalised texts, as `normalised_rows` gives them.
        others: The same, of the rows that were seen.
    """
    whole = set(others)
    texts = {text for row in others for text in row}
    running = "\n".join(f" {text} " for text in sorted(texts))
    num_equal = num_sharing = num_inside = 0
    for row in rows:
        if row in whole:
            num_equal += 1
        elif any(text in texts for text in row):
            num_sharing += 1
        elif any(f" {text} " in running for text in row):
            num_inside += 1
    return Kinship(num_rows=len(rows), num_equal=num_equal, num_sharing=num_sharing, num_inside=num_inside)


def _places(rows: Sequence[tuple[str, ...]]) -> Mapping[tuple[str, ...], list[int]]:
    places: dict[tuple[str, ...], list[int]] = {}
    for place, row in enumerate(rows):
        places.setdefault(row, []).append(place)
    return places
