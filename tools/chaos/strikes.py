"""When a signal comes and whom it meets: at random moments, some of them aimed at the start and at commits."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

from command import Command
from moments import Moment, is_committing, jobs_under_way, log_sizes, moment_now, num_artifacts
from nodes import Nodes
from state import Kill, Round, Undisturbed

TERM_WITHIN_S = 30.0
"""A command that is asked to end (a spot machine is taken away) has so long."""
_LOOK_S = 0.005
_AIM_FOR_S = 20.0
_SHARE_AT_START, _SHARE_AIMED = 0.12, 0.3
_KILLS_PER_STUDY = 8


class Strikes:
    """Ends commands, or workers of one, of a round.

    Args:
        undisturbed: How long a start and the study take.
        chance: Where the moments come from.
    """

    def __init__(self, undisturbed: Undisturbed, chance: random.Random) -> None:
        self._undisturbed, self._chance = undisturbed, chance

    def driver(self, command: Command, round: Round, store: Path) -> bool:
        """SIGKILL of the command; whether it came in time."""
        before = log_sizes(store)
        if not self._waited(command, store):
            return False
        command.kill()
        round.kills.append(Kill(moment=self._moment(store, before), seconds=command.seconds))
        return True

    def term(self, command: Command, round: Round, store: Path) -> bool:
        """SIGTERM of the command; whether it came in time. It must end within `TERM_WITHIN_S` and leave checkpoints."""
        before = log_sizes(store)
        if not self._waited(command, store):
            return False
        under_way, moment = jobs_under_way(store, before), self._moment(store, before)
        asked = command.seconds
        command.terminate()
        if not command.wait(TERM_WITHIN_S):
            round.wrong.append(f"SIGTERM {moment}: still there after {TERM_WITHIN_S:.0f} s")
            command.kill()
        elif command.code == 0:
            return False  # it was at its end
        elif command.code != 130 and not (command.code in (-15, 143) and moment == "start-up"):
            round.wrong.append(f"SIGTERM {moment}: exit code {command.code} instead of 130")
        for job in under_way:
            folder = store / "work" / f"{job.kind}-{job.id}"
            is_there = (store / "artifacts" / job.kind / job.id).exists()
            if (
                job.moment == "in training"
                and not is_there
                and not (folder / "scratch/checkpoint.safetensors").exists()
            ):
                round.wrong.append(f"SIGTERM in training: {job.kind}/{job.id} has no checkpoint")
        round.kills.append(Kill(moment=moment, seconds=asked))
        return True

    def workers(self, command: Command, round: Round, store: Path, wanted: int) -> None:
        """SIGKILL of one worker after another while the command goes on, so many at most."""

        def worker() -> tuple[int, Callable[[], None]] | None:
            there = command.workers()
            chosen = self._chance.choice(there) if there else None
            return (chosen.pid, chosen.kill) if chosen else None

        self._one_after_another(command, round, store, wanted, worker)

    def nodes(self, command: Command, round: Round, store: Path, wanted: int, nodes: Nodes) -> None:
        """SIGKILL of one Ray node after another while the command goes on, so many at most."""
        self._one_after_another(command, round, store, wanted, lambda: (None, lambda: nodes.kill_one(self._chance)))

    def _one_after_another(
        self,
        command: Command,
        round: Round,
        store: Path,
        wanted: int,
        choose: Callable[[], tuple[int | None, Callable[[], None]] | None],
    ) -> None:
        """Until there were enough or the command has ended; `choose` gives a worker's process id, if known, and what kills it."""
        before, last = log_sizes(store), 0.0
        while command.code is None and len(round.kills) < wanted:
            if not self._waited(command, store):
                return
            chosen = choose()
            if chosen is None:
                command.wait(_LOOK_S)
                continue
            pid, kill = chosen
            moment = moment_now(store, before, self._undisturbed.num_jobs, pid=pid)
            kill()
            round.kills.append(Kill(moment=moment, seconds=command.seconds - last))
            last = command.seconds

    def _waited(self, command: Command, store: Path) -> bool:
        """Waits for a random moment, by progress and not by time alone; whether the command was still there when it came."""
        drawn, known = self._chance.random(), self._undisturbed
        if drawn < _SHARE_AT_START:
            return not command.wait(self._chance.uniform(0.0, known.startup_s))
        aim = num_artifacts(store) + self._chance.randint(0, known.num_jobs // _KILLS_PER_STUDY * 2)
        while num_artifacts(store) < aim:
            if command.wait(_LOOK_S):
                return False
        if drawn > 1.0 - _SHARE_AIMED:
            self._aim(command, store)
            return command.code is None
        job_s = 2.0 * (known.seconds - known.startup_s) / known.num_jobs  # two workers
        return not command.wait(self._chance.uniform(0.0, 2.0 * job_s) + (known.startup_s if aim == 0 else 0.0))

    def _aim(self, command: Command, store: Path) -> None:
        """Waits for the next commit and, half of the time, a moment longer: it is over within milliseconds."""
        until, there = time.monotonic() + _AIM_FOR_S, num_artifacts(store)
        while time.monotonic() < until and command.code is None:
            if is_committing(store) or num_artifacts(store) > there:
                break
            time.sleep(_LOOK_S)
        if self._chance.random() < 0.5:
            time.sleep(self._chance.uniform(0.0, 0.03))

    def _moment(self, store: Path, before: dict[str, int]) -> Moment:
        return moment_now(store, before, self._undisturbed.num_jobs)
