"""Whose copy of each artifact is taken when stores are merged, by their records alone."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from tunescope.store.names import SHORT_DIGITS
from tunescope.store.record import Record
from tunescope.store.store import Store

Key = tuple[str, str]
"""Kind and id."""


@dataclass(frozen=True, kw_only=True)
class Copy:
    """An artifact in one of the stores."""

    store: Store
    record: Record


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The copy of each artifact that is taken, and what is to be said of it."""

    copies: Mapping[Key, Copy]
    preferred: tuple[str, ...]
    differing: tuple[str, ...]
    left_out: tuple[str, ...]
    problems: tuple[str, ...]
    """What keeps the stores from being joined."""


def choose(
    copies: Mapping[Key, Sequence[Copy]], *, there: Store | None, preferred: Store | None, may_differ: Collection[str]
) -> Choice:
    """The first copy of each artifact where all are alike; else the preferred store's, or a problem.

    Two copies are alike where their files have the same hashes and they were made from the same data and weights. What was
    made from a copy that is not taken is left out: its numbers would not be those of what stands beside it.

    Args:
        copies: Of each artifact, the destination's first.
        there: The destination, where there is one.
        preferred: Whose copy to take where they differ.
        may_differ: Kinds whose files may differ where they were made from the same bytes.
    """
    taken: dict[Key, Copy] = {}
    chosen: list[Key] = []
    differing, problems = [], []
    for key, found in sorted(copies.items()):
        taken[key] = found[0]
        if all(_is_alike(found[0].record, other.record) for other in found[1:]):
            continue
        of_preferred = next((copy for copy in found if copy.store is preferred), None)
        if key[0] in may_differ and all(_made_from(copy.record) == _made_from(found[0].record) for copy in found):
            differing.append(named(*key))
        elif of_preferred is not None:
            taken[key] = of_preferred
            chosen.append(key)
        else:
            problems.append(_conflict(key, found))
    left_out = _made_from_others(copies, taken, may_differ)
    here = sorted(key for key in left_out if taken[key].store is there)
    if here and there is not None:
        forgetting = " && ".join(
            f"tunescope forget {kind}/{id[:SHORT_DIGITS]} --store {shlex.quote(str(there.path))}" for kind, id in here
        )
        problems.append(
            f"{len(here)} artifacts of {there.path} were made from copies that others would replace "
            f"({', '.join(named(*key) for key in here)}). Forget them first, and the next run makes them anew: {forgetting}."
        )
    return Choice(
        copies={key: copy for key, copy in taken.items() if key not in left_out},
        preferred=tuple(named(*key) for key in chosen if key not in left_out),
        differing=tuple(differing),
        left_out=tuple(named(*key) for key in sorted(left_out)),
        problems=tuple(problems),
    )


def named(kind: str, id: str) -> str:
    """An artifact as messages show it."""
    return f"{kind}/{id[:SHORT_DIGITS]}"


def _is_alike(one: Record, other: Record) -> bool:
    return one.files == other.files and _made_from(one) == _made_from(other)


def _made_from(record: Record) -> dict[str, JsonValue]:
    """Fingerprints of the data and weights that were read; the ids of jobs hold only their names."""
    return {name: value for name, value in record.facts.items() if name.endswith("_fingerprint")}


def _conflict(key: Key, found: Sequence[Copy]) -> str:
    first = found[0]
    other = next(copy for copy in found if not _is_alike(first.record, copy.record))
    if _made_from(first.record) != _made_from(other.record):
        ours, theirs = _made_from(first.record), _made_from(other.record)
        changed = sorted(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name))
        what = f"was made from other bytes ({', '.join(changed)})"
    else:
        names = sorted(
            name
            for name in {*first.record.files, *other.record.files}
            if first.record.files.get(name) != other.record.files.get(name)
        )
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        what = f"holds other bytes in {names[0]}{more}"
    return (
        f"{named(*key)} ({first.record.label}) was made more than once: the copy of {other.store.path} {what} than that of "
        f"{first.store.path}."
    )


def _made_from_others(
    copies: Mapping[Key, Sequence[Copy]], taken: Mapping[Key, Copy], may_differ: Collection[str]
) -> set[Key]:
    """Artifacts whose taken copy was made from a copy that is not taken, at any remove."""
    key_of = {id: (kind, id) for kind, id in copies}
    out: set[Key] = set()
    grown = True
    while grown:
        grown = False
        for key, copy in taken.items():
            if key in out:
                continue
            needed = [key_of[id] for id in copy.record.inputs.values() if id in key_of]
            if any(one in out or _is_another(one, copy.store, copies, taken, may_differ) for one in needed):
                out.add(key)
                grown = True
    return out


def _is_another(
    key: Key,
    store: Store,
    copies: Mapping[Key, Sequence[Copy]],
    taken: Mapping[Key, Copy],
    may_differ: Collection[str],
) -> bool:
    """Whether a store's own copy of an artifact is unlike the one that is taken."""
    own = next((copy for copy in copies[key] if copy.store is store), None)
    if own is None or own is taken[key]:
        return False
    is_like = _made_from(own.record) == _made_from(taken[key].record)
    return not (is_like and (own.record.files == taken[key].record.files or key[0] in may_differ))
