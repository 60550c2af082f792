"""Text from outside, made safe to show: nothing in it acts on a terminal."""

from __future__ import annotations

import unicodedata

_TURNS_AROUND = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that change the direction of the text after them."""


def inert(text: str) -> str:
    r"""The text with control characters written out; line ends and tabs stay.

    Example:
        >>> print(inert("a \x1b[31mred\x1b[0m word"))
        a \x1b[31mred\x1b[0m word
    """
    return "".join(letter if _is_plain(letter) else _written_out(letter) for letter in text)


def _is_plain(letter: str) -> bool:
    return letter in "\n\t" or (unicodedata.category(letter) not in ("Cc", "Cs") and letter not in _TURNS_AROUND)


def _written_out(letter: str) -> str:
    return letter.encode("unicode_escape", "backslashreplace").decode("ascii")
