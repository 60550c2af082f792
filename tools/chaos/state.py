"""What a chaos run has done so far, kept beside its stores so that it can itself be stopped and gone on with."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

_NAME = "chaos.json"


@dataclass(kw_only=True)
class Kill:
    """One signal that reached its target."""

    moment: str
    seconds: float
    """Since the command began; of a worker or node, since the last one."""


@dataclass(kw_only=True)
class Round:
    """A study that is killed until it is complete."""

    target: str
    store: str
    kills: list[Kill] = field(default_factory=list)
    num_starts: int = 0
    seconds: float = 0.0
    """Of all its commands together."""
    whole: dict[str, str] = field(default_factory=dict)
    """Artifact -> hash of its record, of those that were whole after some kill."""
    is_complete: bool = False
    num_resumed: int = 0
    done_twice: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """What is not whole, or was left behind."""
    wrong: list[str] = field(default_factory=list)
    """Exit codes and times that should not have been."""

    @property
    def is_clean(self) -> bool:
        return not (self.done_twice or self.differences or self.left or self.wrong)


@dataclass(kw_only=True)
class Undisturbed:
    """The study when nothing goes wrong."""

    seconds: float
    startup_s: float
    """Until the first job began."""
    num_jobs: int
    fingerprint: dict[str, str]


@dataclass(kw_only=True)
class State:
    """All of it."""

    about: dict[str, Any]
    """What a chaos run must have in common with an earlier one to go on with it: seed, code, study, options."""
    undisturbed: Undisturbed | None = None
    rounds: list[Round] = field(default_factory=list)

    def of(self, target: str) -> list[Round]:
        return [one for one in self.rounds if one.target == target]

    def num_kills(self, target: str) -> int:
        return sum(len(one.kills) for one in self.of(target))


def load(root: Path, about: dict[str, Any]) -> State:
    """The state of an earlier run in this folder, or a new one.

    Raises:
        SystemExit: If the folder holds the state of a run that was about something else.
    """
    path = root / _NAME
    if not path.exists():
        return State(about=about)
    kept = json.loads(path.read_text(encoding="utf-8"))
    if kept["about"] != about:
        changed = ", ".join(name for name in about if kept["about"].get(name) != about[name])
        raise SystemExit(f"{root} holds a chaos run with another {changed}: name another --store-root, or delete it.")
    undisturbed = kept["undisturbed"] and Undisturbed(**kept["undisturbed"])
    rounds = [Round(**{**one, "kills": [Kill(**kill) for kill in one["kills"]]}) for one in kept["rounds"]]
    return State(about=about, undisturbed=undisturbed, rounds=rounds)


def save(root: Path, state: State) -> None:
    """Keeps the state, whole or not at all."""
    temporary = root / f"{_NAME}.new"
    temporary.write_text(json.dumps(asdict(state), indent=1), encoding="utf-8")
    os.replace(temporary, root / _NAME)
