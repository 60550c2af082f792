"""A study that is killed until it is complete, then held against the undisturbed one."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from command import Command
from finished import differences, done_twice, fingerprint, not_whole, num_resumed, record_hashes
from moments import jobs_under_way, num_artifacts
from nodes import Nodes
from state import Round, Undisturbed
from strikes import Strikes

_MAX_STARTS = 200
"""Commands of one round: more than that is no progress."""
_PATIENCE_S = 1800.0


def undisturbed(study: Path, root: Path, options: Sequence[str]) -> Undisturbed:
    """Runs the study once without disturbing it.

    Raises:
        RuntimeError: If even that fails.
    """
    store = root / "undisturbed"
    shutil.rmtree(store, ignore_errors=True)
    command = Command(study, store, root / "undisturbed.log", options)
    while command.code is None and not (store.exists() and jobs_under_way(store, {})):
        time.sleep(0.02)
    startup_s = command.seconds
    if not command.wait(_PATIENCE_S) or command.code != 0:
        raise RuntimeError(f"the undisturbed study ended with {command.code}: see {root / 'undisturbed.log'}")
    seconds = command.seconds
    if found := not_whole(store):
        raise RuntimeError(f"the undisturbed study is not clean: {found}")
    return Undisturbed(
        seconds=seconds,
        startup_s=startup_s,
        num_jobs=num_artifacts(store),
        fingerprint=fingerprint(study, store),
    )


def run_round(
    round: Round,
    study: Path,
    root: Path,
    known: Undisturbed,
    *,
    wanted: int,
    seed: int,
    options: Sequence[str],
    nodes: Nodes | None,
    keep: Callable[[], None],
) -> None:
    """Kills until the study is complete, at most `wanted` times, and says in the round what came of it.

    Args:
        round: Begun or gone on with.
        study: The study's file.
        root: Where stores and logs lie.
        known: The study undisturbed.
        wanted: Kills, with those that the round has had already.
        seed: Of the moments.
        options: Of every command.
        nodes: The Ray cluster to run on, if the target is one of its nodes.
        keep: Called whenever the round has changed.
    """
    store = root / round.store
    while not round.is_complete and round.num_starts < _MAX_STARTS:
        chance = random.Random(f"{seed} {round.store} {round.num_starts}")
        strikes = Strikes(known, chance)
        command = Command(study, store, root / f"{round.store}.log", [*options, *(nodes.options if nodes else ())])
        round.num_starts += 1
        try:
            if round.target == "worker":
                strikes.workers(command, round, store, wanted)
            elif round.target == "node":
                assert nodes is not None
                strikes.nodes(command, round, store, wanted, nodes)
            elif len(round.kills) < wanted:
                strike = strikes.driver if round.target == "driver" else strikes.term
                strike(command, round, store)
            if command.code is None and not command.wait(_PATIENCE_S):
                round.wrong.append(f"a command did not end within {_PATIENCE_S:.0f} s")
        finally:
            if command.code is None:
                command.kill()
        round.seconds += command.seconds
        round.whole |= record_hashes(store)
        round.is_complete = command.code == 0
        if command.code not in (0, -9, 130, -15, 143) and not _may_fail(round):
            round.wrong.append(f"exit code {command.code}: see {round.store}.log")
            keep()
            return
        keep()
    _judge(round, study, store, known)
    keep()


def _may_fail(round: Round) -> bool:
    """A job whose worker or node is killed three times in one run has failed: the next run does it."""
    return round.target in ("worker", "node")


def _judge(round: Round, study: Path, store: Path, known: Undisturbed) -> None:
    if not round.is_complete:
        round.wrong.append(f"not complete after {round.num_starts} starts")
        return
    round.num_resumed = num_resumed(store)
    round.done_twice = done_twice(store, round.whole)
    round.left = not_whole(store)
    round.differences = differences(known.fingerprint, fingerprint(study, store))
    if round.is_clean:
        shutil.rmtree(store)
