"""What every comparison needs of its base model and no run changes: made once per base model and task, shared by all runs.

Of states that are held, the terms that a CKA and its interval take from the base; of those that are summed, the self-terms;
of single tokens theirs. States that are all alike have none: whoever compares them says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from tunescope.drift.held import HeldStates
from tunescope.drift.summed import PRODUCTS
from tunescope.errors import StoreError
from tunescope.representations.side_by_side import StateBatch
from tunescope.similarity.base_terms import BaseTerms
from tunescope.similarity.jackknife import base_terms
from tunescope.similarity.streaming import SelfSums, SelfTerms
from tunescope.similarity.tokens import TokenSelfSums, TokenTerms

Terms = BaseTerms | SelfTerms | TokenTerms
Kind = TypeVar("Kind", BaseTerms, SelfTerms, TokenTerms)


@dataclass(frozen=True, kw_only=True)
class BaseStatistics:
    """Terms of one base model on one task's examples."""

    terms: Mapping[tuple[str, str], Terms | None]
    """(state, read) -> its terms, states from the model's input to its output; None where they are all alike."""

    def of(self, kind: type[Kind], state: str, read: str) -> Kind | None:
        """A state's terms, of a kind that follows from the read and the number of examples; None where they are all alike."""
        found = self.terms[(state, read)]
        assert found is None or isinstance(found, kind), f"{state} ({read}) has {type(found).__name__}"
        return found


def base_statistics(batches: Iterable[StateBatch], *, num_examples: int, are_held: bool) -> BaseStatistics:
    """One pass over a base model's states.

    Args:
        batches: As `paired_states` gives them, every example once; the first model of each is read.
        num_examples: n, all batches together.
        are_held: Whether pooled states are held, as `compare_states.held_limit` says, or summed.
    """
    held = HeldStates(num_examples)
    sums: dict[tuple[str, str], SelfSums | TokenSelfSums] = {}
    names: tuple[tuple[str, str], ...] = ()
    for batch in batches:
        names = tuple(batch.states[0])
        if are_held:
            held.add(StateBatch(places=batch.places, states=batch.states[:1]))
        for key, rows in batch.states[0].items():
            if isinstance(rows, list):
                own = sums.setdefault(key, TokenSelfSums(rows[0].shape[1]))
                assert isinstance(own, TokenSelfSums), "a read gives tokens in every batch or in none"
                own.update(rows)
            elif not are_held:
                of_rows = sums.setdefault(key, SelfSums(rows.shape[1], dtype=PRODUCTS))
                assert isinstance(of_rows, SelfSums), "a read gives tokens in every batch or in none"
                of_rows.update(rows)
    return BaseStatistics(terms={key: _terms(held, sums, key) for key in names})


def save_statistics(statistics: BaseStatistics, path: Path, about: Mapping[str, str]) -> None:
    """Writes a safetensors file.

    Args:
        statistics: What to write.
        path: Of the file.
        about: What they are of, in words of the caller; `load_statistics` gives it back.
    """
    from safetensors.numpy import save_file

    arrays: dict[str, np.ndarray] = {}
    for (state, read), terms in statistics.terms.items():
        for name, values in ({} if terms is None else vars(terms)).items():
            arrays[f"{state}/{read}/{name}"] = np.asarray(values, dtype=np.float64)
    kinds = {
        f"{state}/{read}": "" if terms is None else type(terms).__name__
        for (state, read), terms in statistics.terms.items()
    }
    # One entry: several come out in an order of their own each time, and equal statistics would be other bytes.
    save_file(arrays, path, metadata={"about": json.dumps({**about, "kinds": kinds})})


def load_statistics(path: Path) -> tuple[BaseStatistics, dict[str, str]]:
    """What `save_statistics` was given.

    Raises:
        StoreError: If the file is not whole, or another one.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            about = json.loads((file.metadata() or {})["about"])
            terms: dict[tuple[str, str], Terms | None] = {}
            for name, kind in about.pop("kinds").items():
                state, read = name.split("/")
                values = {field: file.get_tensor(f"{name}/{field}") for field in _FIELDS[kind]}
                terms[(state, read)] = _made(kind, values)
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise StoreError(
            f"{path}: not a whole file of a base model's statistics ({error}). Run its job again."
        ) from error
    return BaseStatistics(terms=terms), about


_FIELDS = {
    "": (),
    "BaseTerms": ("q", "trace", "r"),
    "SelfTerms": ("num_examples", "scatter", "biased", "debiased"),
    "TokenTerms": ("num_examples", "scatter", "debiased"),
}


def _made(kind: str, values: Mapping[str, np.ndarray]) -> Terms | None:
    if kind == "BaseTerms":
        return BaseTerms(q=values["q"], trace=float(values["trace"]), r=values["r"])
    if not kind:
        return None
    n = int(values["num_examples"])
    scatter, debiased = float(values["scatter"]), float(values["debiased"])
    if kind == "TokenTerms":
        return TokenTerms(num_examples=n, scatter=scatter, debiased=debiased)
    return SelfTerms(num_examples=n, scatter=scatter, biased=float(values["biased"]), debiased=debiased)


def _terms(
    held: HeldStates, sums: Mapping[tuple[str, str], SelfSums | TokenSelfSums], key: tuple[str, str]
) -> Terms | None:
    try:
        return sums[key].terms() if key in sums else base_terms(held.of(0, *key))
    except (
        ValueError
    ):  # all alike, the one fault that states read from a model can have: values are checked as they are read
        return None
