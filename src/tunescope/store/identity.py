"""Content -> id: the same work has the same name on every machine, and different work never shares one."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping

from tunescope.errors import StoreError

ID_DIGITS = 16
"""Hex digits of an id: 64 bits, so two of a million different jobs share one with a chance of 3e-8."""


def content_id(kind: str, config: Mapping[str, object], inputs: Mapping[str, str]) -> str:
    """The first 16 hex digits of the SHA-256 of kind, config and inputs' ids as canonical JSON.

    Args:
        kind: Which step, e.g. "train".
        config: All that bears on the result, the step's version included.
        inputs: Role -> id of the job whose artifact plays it.

    Raises:
        StoreError: If the config holds what canonical JSON refuses.
    """
    text = canonical_json({"kind": kind, "config": dict(config), "inputs": dict(inputs)})
    return hashlib.sha256(text.encode()).hexdigest()[:ID_DIGITS]


def canonical_json(value: object) -> str:
    """JSON that is written the same way every time: keys sorted, no spaces, characters as they are (UTF-8).

    Floats are written by `repr`, so 1e-05 and 0.00001 are one number; -0.0 is 0.0. Tuples are lists. The integer 1 and
    the float 1.0 stay different: a pydantic model has already given every field its type, so a difference is meant.

    Raises:
        StoreError: At NaN, infinity, a key that is not text, text that is not Unicode, or any other type (sets, bytes,
            dates, NumPy numbers ...): the message says where in the value.
    """
    return json.dumps(_plain(value, ""), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _plain(value: object, where: str) -> object:
    # Exact types: a subclass (a NumPy float, an enum) may be written differently by another version of its library.
    kind = type(value)
    if value is None or kind is bool or kind is int:
        return value
    if isinstance(value, str) and kind is str:
        return _unicode(value, where)
    if isinstance(value, float) and kind is float:
        if not math.isfinite(value):
            raise StoreError(f"{_at(where)} {value} cannot be kept as JSON: give a finite number or null.")
        return value + 0.0
    if isinstance(value, list | tuple) and kind in (list, tuple):
        return [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, dict) and kind is dict:
        return {_key(key, where): _plain(item, f"{where}.{key}" if where else str(key)) for key, item in value.items()}
    raise StoreError(
        f"{_at(where)} a {kind.__module__}.{kind.__qualname__} cannot be kept as JSON: "
        "expected null, true or false, a number, text, a list or a dict with text keys, of Python's own types."
    )


def _key(key: object, where: str) -> str:
    if not isinstance(key, str) or type(key) is not str:
        raise StoreError(f"{_at(where)} the key {key!r} is a {type(key).__name__}: keys of JSON are text.")
    return _unicode(key, where)


def _unicode(text: str, where: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise StoreError(f"{_at(where)} {text!r} is not Unicode text (half of a surrogate pair).") from error
    return text


def _at(where: str) -> str:
    return f"{where}:" if where else "the value itself:"
