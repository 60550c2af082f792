"""What a represent job kept of a base model, for the jobs that compare with it: theirs or none."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tunescope.drift.base_statistics import BaseStatistics, load_statistics
from tunescope.drift.kept import IDS_NAME, KEPT_STATES_NAME, STATISTICS_NAME
from tunescope.errors import StoreError
from tunescope.representations.kept_states import KeptStates
from tunescope.steps.drift_inputs import DriftInputs
from tunescope.store.names import SHORT_DIGITS


@dataclass(frozen=True, kw_only=True)
class BaseRead:
    """A base model as it was read once, on the examples of whoever asks."""

    statistics: BaseStatistics
    states: KeptStates | None
    """All that the statistics are of; None where they were not kept, or single tokens are among them."""


def described(read: DriftInputs) -> dict[str, str]:
    """What statistics are of, as their file says it: by this a reader sees that they are its own."""
    return {"token_ids_sha256": read.token_ids_sha256, "model_fingerprint": read.model_fingerprint}


def num_examples_of(folder: Path) -> int:
    """How many examples a represent job read.

    Raises:
        StoreError: If its list of examples is no such list.
    """
    return len(_ids(folder))


def base_read(folder: Path, read: DriftInputs) -> BaseRead:
    """What a represent job kept.

    Args:
        folder: Of its artifact.
        read: What the asking job reads itself.

    Raises:
        StoreError: If the artifact is not whole, or of other examples, tokens or weights.
    """
    ids = _ids(folder)
    statistics, about = load_statistics(folder / STATISTICS_NAME)
    if ids != list(read.ids):
        odd = next(
            (f"'{a}' and '{b}'" for a, b in zip(ids, read.ids, strict=False) if a != b),
            f"{len(ids)} and {len(read.ids)} examples",
        )
        raise StoreError(
            f"{folder}: the base model was read on other examples than are compared here, {odd}. {_mend(folder)}"
        )
    for name, own in described(read).items():
        if about.get(name) != own:
            raise StoreError(
                f"{folder}: the base model was read with another {name} ({about.get(name)}) than is compared here ({own}). "
                f"{_mend(folder)}"
            )
    states = None
    if (folder / KEPT_STATES_NAME).exists():
        kept = KeptStates(folder / KEPT_STATES_NAME)
        if kept.num_examples != len(ids):
            raise StoreError(f"{folder}: {kept.num_examples} examples' states are kept, of {len(ids)}. {_mend(folder)}")
        pooled = [(state, how) for state, how in statistics.terms if how != "all_tokens"]
        if list(kept.names) != pooled:
            raise StoreError(f"{folder}: other states are kept than there are statistics of. {_mend(folder)}")
        states = kept if len(pooled) == len(statistics.terms) else None
    return BaseRead(statistics=statistics, states=states)


def _mend(folder: Path) -> str:
    return f"Forget it and run again: tunescope forget {folder.name[:SHORT_DIGITS]}."


def _ids(folder: Path) -> list[str]:
    path = folder / IDS_NAME
    try:
        ids = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: not a whole list of examples ({error}). {_mend(folder)}") from error
    if not isinstance(ids, list):
        raise StoreError(f"{path}: not a list of examples. {_mend(folder)}")
    return ids
