"""Kills a small real study at random moments until it is complete, and holds what comes of it against an undisturbed one.

    python tools/chaos --kills 10 --targets driver,worker,term

Bitwise the same tables and artifacts, no finished job done twice, nothing left behind: else the exit code is 1. The default
takes about ten minutes on two processors. It may be stopped at any moment; the same command goes on from there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shlex
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

from nodes import Nodes, three_nodes
from rounds import run_round, undisturbed
from state import Round, State, load, save
from table import WHO, as_markdown, rows, wrongs

_HERE = Path(__file__).resolve().parent


def main() -> int:
    """Runs all rounds that are left, writes `chaos.md` and `table.json` beside the stores, and prints the table."""
    asked = _arguments()
    root: Path = asked.store_root.resolve()
    root.mkdir(parents=True, exist_ok=True)
    state = load(root, _about(asked))
    options = ["--workers", str(asked.workers)]
    if state.undisturbed is None:
        _say("undisturbed")
        state.undisturbed = undisturbed(asked.study, root, options)
        save(root, state)
        _say(f"  {state.undisturbed.num_jobs} jobs in {state.undisturbed.seconds:.1f} s")
    for target in asked.targets:
        if not _is_left(state, target, asked.kills):
            continue
        with three_nodes() if target == "node" else nullcontext() as nodes:
            while _is_left(state, target, asked.kills):
                _run_next(state, target, asked, root, options, nodes)
    told = as_markdown(state, shlex.join(["python", "tools/chaos", *sys.argv[1:]]))
    (root / "chaos.md").write_text(told, encoding="utf-8")
    (root / "table.json").write_text(json.dumps(rows(state), indent=1), encoding="utf-8")
    print(told)
    for what in wrongs(state):
        print(f"WRONG {what}")
    return 1 if wrongs(state) else 0


def _is_left(state: State, target: str, kills: int) -> bool:
    rounds = state.of(target)
    if any(not one.is_clean for one in rounds):
        return False  # what went wrong is told, not piled upon
    return state.num_kills(target) < kills or not rounds[-1].is_complete


def _run_next(
    state: State, target: str, asked: argparse.Namespace, root: Path, options: list[str], nodes: Nodes | None
) -> None:
    assert state.undisturbed is not None
    rounds = state.of(target)
    if not rounds or rounds[-1].is_complete:
        state.rounds.append(Round(target=target, store=f"{target}-{len(rounds) + 1}"))
    current = state.of(target)[-1]
    others = state.num_kills(target) - len(current.kills)

    def keep() -> None:
        save(root, state)
        last = f", the last {current.kills[-1].moment}" if current.kills else ""
        _say(f"  {current.store}: {others + len(current.kills)} of {asked.kills} kills{last}; {current.seconds:.0f} s")

    run_round(
        current,
        asked.study,
        root,
        state.undisturbed,
        wanted=asked.kills - others,
        seed=asked.seed,
        options=options,
        nodes=nodes,
        keep=keep,
    )
    _say(
        f"  {current.store} {'is the same' if current.is_clean else 'IS NOT THE SAME'} after {len(current.kills)} kills"
    )


def _about(asked: argparse.Namespace) -> dict[str, object]:
    git = ["git", "-C", str(_HERE), "describe", "--always", "--dirty"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
    study = hashlib.sha256(asked.study.read_bytes()).hexdigest()
    return {"seed": asked.seed, "commit": commit, "study": study, "workers": asked.workers}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("tools/chaos", description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10, metavar="N", help="of each target (default: 10)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the moments (default: 0)")
    parser.add_argument(
        "--targets", type=_targets, default=("driver", "worker", "term"), metavar="A,B", help=", ".join(WHO)
    )
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="worker processes (default: 2)")
    parser.add_argument(
        "--study", type=Path, default=_HERE / "study.yaml", help="(default: the one beside this program)"
    )
    parser.add_argument(
        "--store-root", type=Path, default=Path("chaos-stores"), metavar="DIR", help="(default: chaos-stores)"
    )
    return parser.parse_args()


def _targets(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if unknown := [name for name in names if name not in WHO]:
        raise argparse.ArgumentTypeError(f"unknown {', '.join(unknown)}: expected some of {', '.join(WHO)}")
    return names


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
