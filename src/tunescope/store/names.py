"""What may become the name of a file or folder: no name leads out of the store."""

from __future__ import annotations

import re

from tunescope.errors import StoreError
from tunescope.store.identity import ID_DIGITS

SHORT_DIGITS = 8
"""Digits of an id that messages show; `forget` takes them."""

_KIND = re.compile(r"[a-z][a-z0-9_]{0,31}")
_ID = re.compile(rf"[0-9a-f]{{{ID_DIGITS}}}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def job_name(kind: str, id: str) -> str:
    """ "<kind>-<id>", the name of a job's files.

    Raises:
        StoreError: If the kind is not a lower-case word or the id not 16 hex digits.
    """
    if not _KIND.fullmatch(kind):
        raise StoreError(
            f"{kind!r} is not a kind of job: expected lower-case letters, digits and '_', such as 'train'."
        )
    if not _ID.fullmatch(id):
        raise StoreError(f"{id!r} is not the id of a job: expected {ID_DIGITS} hex digits.")
    return f"{kind}-{id}"


def is_job(kind: str, id: str) -> bool:
    """Whether these can be a job's kind and id."""
    return _KIND.fullmatch(kind) is not None and _ID.fullmatch(id) is not None


def study_name(name: str) -> str:
    """The name itself, if it may be a folder's name.

    Raises:
        StoreError: If it is anything but letters, digits, '.', '_' and '-', or holds '..'.
    """
    if not _NAME.fullmatch(name) or ".." in name:
        raise StoreError(
            f"study name {name!r} cannot be a folder's name: expected at most 64 letters, digits, '.', '_' or '-', "
            "the first a letter or a digit, and no '..'. Change `name` in the study."
        )
    return name
