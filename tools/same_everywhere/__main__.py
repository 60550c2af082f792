"""One small real study in one process, on 2 local workers, as 3 shards merged and on a Ray cluster of 3 nodes: is it the same?

    python tools/same_everywhere FOLDER [--study STUDY] [--ways inline,local,shards,ray]

Compares all tables without their time columns, and every file of every artifact by SHA-256. Prints a table; the exit code is 1
if anything differs. Several minutes on two processors. The folder is new; what was run stays there.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).resolve().parent
TABLES = {"results": (), "drift": ("--drift",), "retention": ("--retention",), "trials": ("--trials",)}
TIMES = {"train_s", "evaluate_s", "peak_memory_gib"}
"""Columns that no two runs of a study share."""
TIMED = {"log.jsonl"}
"""Files of artifacts that hold times and so differ by nature."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one way came to."""

    way: str
    seconds: float
    tables: dict[str, str]
    """Table -> SHA-256 of its CSV without times."""
    files: dict[str, str]
    """`kind/id/path` -> SHA-256, but for `TIMED`."""
    num_jobs: int


def main() -> int:
    """Runs all ways, compares each with the first, and prints what it found."""
    asked = _arguments()
    root: Path = asked.folder.resolve()
    root.mkdir(parents=True)
    outcomes = []
    for way in asked.ways:
        began = time.monotonic()
        store = WAYS[way](asked.study, root)
        seconds = time.monotonic() - began
        outcomes.append(_outcome(way, asked.study, store, seconds))
        print(f"{way}: {outcomes[-1].num_jobs} jobs in {seconds:.0f} s", file=sys.stderr, flush=True)
    found = [_compared(outcomes[0], other) for other in outcomes]
    (root / "found.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    print(
        "| way | seconds | jobs | files compared | files that differ | tables that differ |\n|---|---|---|---|---|---|"
    )
    for one in found:
        cells = (
            one["way"],
            one["seconds"],
            one["jobs"],
            one["files"],
            len(one["other_files"]),
            len(one["other_tables"]),
        )
        print("| " + " | ".join(map(str, cells)) + " |")
    for one in found:
        for name in (*one["other_tables"], *one["other_files"]):
            print(f"WRONG {one['way']}: {name}")
    return 1 if any(one["other_files"] or one["other_tables"] for one in found) else 0


def _inline(study: Path, root: Path) -> Path:
    _tunescope("run", study, "--store", root / "inline", "--executor", "inline")
    return root / "inline"


def _local(study: Path, root: Path) -> Path:
    _tunescope("run", study, "--store", root / "local", "--executor", "local", "--workers", "2")
    return root / "local"


def _shards(study: Path, root: Path) -> Path:
    stores = [root / f"shard{index}" for index in (1, 2, 3)]
    for index, store in enumerate(stores, start=1):
        _tunescope("run", study, "--store", store, "--shard", f"{index}/3")
    _tunescope("merge", *stores, "--into", root / "merged")
    return root / "merged"


def _ray(study: Path, root: Path) -> Path:
    with _three_nodes() as address:
        _tunescope("run", study, "--store", root / "ray", "--executor", "ray", "--address", address)
    return root / "ray"


WAYS: dict[str, Callable[[Path, Path], Path]] = {"inline": _inline, "local": _local, "shards": _shards, "ray": _ray}


@contextmanager
def _three_nodes() -> Iterator[str]:
    """A cluster of three nodes that this machine plays, each with one processor to give."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    try:
        for _ in range(2):
            cluster.add_node(**node)
        yield cluster.address
    finally:
        cluster.shutdown()


def _outcome(way: str, study: Path, store: Path, seconds: float) -> Outcome:
    tables = {}
    for name, option in TABLES.items():
        text = _tunescope("results", study, "--store", store, "--format", "csv", *option)
        tables[name] = hashlib.sha256(_without_times(text).encode()).hexdigest()
    files = {}
    for record in sorted(store.glob("artifacts/*/*/record.json")):
        for name in json.loads(record.read_text(encoding="utf-8"))["files"]:
            if Path(name).name not in TIMED:
                path = record.with_name(name) if "/" not in name else record.parent / name
                files[f"{record.parent.relative_to(store / 'artifacts')}/{name}"] = _sha256(path)
    num_jobs = len(list(store.glob("artifacts/*/*/record.json")))
    return Outcome(way=way, seconds=seconds, tables=tables, files=files, num_jobs=num_jobs)


def _compared(first: Outcome, other: Outcome) -> dict[str, object]:
    names = sorted({*first.files, *other.files})
    return {
        "way": other.way,
        "seconds": round(other.seconds),
        "jobs": other.num_jobs,
        "files": len(names),
        "other_files": [name for name in names if first.files.get(name) != other.files.get(name)],
        "other_tables": [name for name in TABLES if first.tables[name] != other.tables[name]],
    }


def _without_times(text: str) -> str:
    rows = list(csv.DictReader(io.StringIO(text)))
    out = io.StringIO()
    writer = csv.DictWriter(out, [name for name in rows[0] if name not in TIMES], extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _tunescope(*words: str | Path) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", "tunescope", *map(str, words)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        check=False,
    )
    if ended.returncode:
        raise SystemExit(
            f"tunescope {' '.join(map(str, words))} ended with {ended.returncode}:\n{ended.stderr}{ended.stdout}"
        )
    return ended.stdout


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where the stores go: a new folder")
    parser.add_argument("--study", type=Path, default=_HERE / "study.yaml", metavar="STUDY")
    parser.add_argument(
        "--ways", type=lambda text: text.split(","), default=list(WAYS), metavar="WAYS", help=",".join(WAYS)
    )
    asked = parser.parse_args()
    if not set(asked.ways) <= set(WAYS):
        parser.error(f"--ways {','.join(asked.ways)}: expected some of {', '.join(WAYS)}")
    return asked


if __name__ == "__main__":
    sys.exit(main())
