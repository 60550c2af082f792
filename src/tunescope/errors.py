"""What can go wrong in words: where, what was expected, what was found, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class TunescopeError(Exception):
    """Something the user can mend. The message says where, what was expected, what was found and what to do."""


class StudyError(TunescopeError):
    """One or more mistakes in a study file, all of them at once."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class DataError(TunescopeError):
    """A data set is missing, unreadable or not what its task declares."""


class ModelError(TunescopeError):
    """A base model is missing, unreadable or does not fit the task or the method."""


class StoreError(TunescopeError):
    """A store cannot be used, or what lies in it is not whole."""


class RunError(TunescopeError):
    """A run went wrong while training: it is failed, and no number comes of it."""


class NotFiniteError(RunError):
    """A loss or gradient was not finite: the run is failed, and the message names its last good step."""


class BegunOtherwiseError(RunError):
    """A run was begun from other inputs than are there now, so its checkpoint is not gone on from."""


class StopRequested(Exception):
    """A job ended because the command was asked to stop; what it had done is in its checkpoint."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of an error message: a close match if there is one, then all that is known.

    Example:
        >>> did_you_mean("sst-2", ["mrpc", "sst2"])
        "Did you mean 'sst2'? Known: mrpc, sst2."
    """
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    guess = f"Did you mean '{close[0]}'? " if close else ""
    return f"{guess}Known: {', '.join(names) or 'none'}."
