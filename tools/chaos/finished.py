"""What a finished study comes to: its tables and the bytes of its artifacts, but for times and memory; and what it left behind."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path

from command import tell

from tunescope.errors import StoreError
from tunescope.store import Store

_TIMES = {"train_s", "evaluate_s", "peak_memory_gib"}
"""Columns that no two runs of a study share."""
_TIMED = {"record.json", "log.jsonl"}
"""Files that hold times; the metric log's other values are compared entry by entry."""
_TIMED_VALUES = {"seconds", "watch_s"}


def fingerprint(study: Path, store: Path) -> dict[str, str]:
    """Table or file -> SHA-256 of what must not depend on how often the study was killed."""
    found = {}
    for name, option in (("results", ()), ("drift", ("--drift",)), ("trials", ("--trials",))):
        text = tell("results", study, "--store", store, "--format", "csv", *option)
        found[f"table {name}"] = _sha256(_without_times(text).encode())
    for path in sorted(store.glob("artifacts/**/*")):
        if path.is_file() and path.name not in _TIMED:
            found[str(path.relative_to(store))] = _sha256(path.read_bytes())
        elif path.name == "log.jsonl":
            found[str(path.relative_to(store))] = _sha256(_entries(path).encode())
    return found


def differences(expected: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Tables and files that are not what they are undisturbed."""
    told = [f"{name} differs" for name in expected if name in found and found[name] != expected[name]]
    told += [f"{name} is missing" for name in expected if name not in found]
    return told + [f"{name} should not be there" for name in found if name not in expected]


def record_hashes(store: Path) -> dict[str, str]:
    """Artifact -> SHA-256 of its record, which holds when it was made: another one means that the job ran again."""
    return {
        f"{path.parent.parent.name}/{path.parent.name}": _sha256(path.read_bytes())
        for path in store.glob("artifacts/*/*/record.json")
    }


def done_twice(store: Path, seen: Mapping[str, str]) -> list[str]:
    """Jobs that ran again although their artifact was whole: by the records seen after each kill, and by the jobs' logs."""
    now = record_hashes(store)
    again = {name for name, record in seen.items() if now.get(name) != record}
    for path in store.glob("logs/*.log"):
        text = path.read_text(encoding="utf-8", errors="replace")
        if ": begin " in text[max(text.find(": done in "), 0) :] and ": done in " in text:
            again.add("/".join(path.stem.rsplit("-", 1)))
    return sorted(again)


def not_whole(store: Path) -> list[str]:
    """What of the store is not as it was written, or was left behind half done."""
    told = []
    opened = Store.open(store, create=False)
    try:
        for record in opened.records():
            opened.verify(record.kind, record.id)
    except StoreError as error:
        told.append(str(error))
    left = {path for path in store.glob("work/*") if path.name != ".trash"}  # the next run empties that
    for pattern in (".tmp-*", "*.tmp", "*.new", "failures/*"):
        left |= set(store.rglob(pattern))
    return told + [f"{path.relative_to(store)} was left behind" for path in sorted(left)]


def num_resumed(store: Path) -> int:
    """How often a training went on from a checkpoint, by the metric logs that it left."""
    return sum(
        path.read_text(encoding="utf-8").count('"event": "resumed"') for path in store.glob("artifacts/*/*/log.jsonl")
    )


def _without_times(text: str) -> str:
    rows = list(csv.DictReader(io.StringIO(text)))
    out = io.StringIO()
    writer = csv.DictWriter(out, [name for name in rows[0] if name not in _TIMES], extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _entries(path: Path) -> str:
    """The entries of a metric log without times, the last of each step and event, as resuming writes some again."""
    latest: dict[tuple[str, int], dict[str, object]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.endswith("}"):
            continue  # torn by a kill
        entry = json.loads(line)
        if entry["event"] != "resumed":
            values = {name: value for name, value in entry.items() if name not in _TIMED_VALUES}
            latest[(entry["event"], entry["step"])] = values
    return json.dumps([latest[key] for key in sorted(latest)], sort_keys=True)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
