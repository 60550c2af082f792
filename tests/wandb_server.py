"""As much of a W&B server as a run needs to be sent to it: it keeps runs, their history by line, config and summary.

A run that is begun again without being resumed loses its history, as W&B's users report (wandb/wandb issues 3841 and 5865).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Sent:
    """One run as it arrived."""

    about: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    lines: dict[int, dict[str, Any]] = field(default_factory=dict)
    """History by number of the line."""
    exit_code: int | None = None
    is_closed: bool = False

    def curve(self, name: str) -> dict[int, float]:
        """One metric by step, each step once."""
        found = [(line["_step"], line[name]) for line in self.lines.values() if name in line]
        assert len(dict(found)) == len(found), f"steps of {name} stand twice"
        return dict(found)


class WandbServer:
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.runs: dict[str, Sent] = {}
        self.port = 0

    def answer(self, path: str, body: bytes) -> dict[str, Any]:
        if path.startswith("/graphql"):
            said = json.loads(body)
            return {"data": self._data(said["query"], said.get("variables") or {})}
        if path.endswith("/file_stream"):
            self._stream(self.runs[path.split("/")[-2]], json.loads(body))
        return {}

    def _data(self, query: str, given: dict[str, Any]) -> dict[str, Any]:
        entity = {"id": "e", "name": given.get("entity") or "someone"}
        if "RunResumeStatus" in query:
            kept = self.runs.get(given["name"])
            if kept is not None:
                kept.is_closed = False
            bucket = None if kept is None else self._bucket(given["name"], kept)
            return {"model": {"id": "p", "name": given["project"], "entity": entity, "bucket": bucket}}
        if "mutation UpsertBucket" in query:
            is_new = given["name"] not in self.runs
            kept = self.runs.setdefault(given["name"], Sent())
            if kept.is_closed:
                kept.lines.clear()
                kept.is_closed = False
            kept.about |= {name: value for name, value in given.items() if value is not None}
            if given.get("config"):
                kept.config |= {name: one["value"] for name, one in json.loads(given["config"]).items()}
            project = {"id": "p", "name": given["project"], "entity": entity}
            bucket = {"id": "x", "name": given["name"], "displayName": given.get("displayName"), "project": project}
            return {"upsertBucket": {"bucket": bucket | {"historyLineCount": len(kept.lines)}, "inserted": is_new}}
        if "mutation CreateRunFiles" in query:
            files = [{"name": one, "uploadUrl": f"http://127.0.0.1:{self.port}/put"} for one in given["files"]]
            return {"createRunFiles": {"runID": "x", "uploadHeaders": [], "files": files}}
        return {}

    def _bucket(self, name: str, kept: Sent) -> dict[str, Any]:
        tail = json.dumps([json.dumps(kept.lines[max(kept.lines)])]) if kept.lines else "[]"
        config = json.dumps({key: {"value": value} for key, value in kept.config.items()})
        return {
            "id": "x",
            "name": name,
            "displayName": kept.about.get("displayName"),
            "config": config,
            "tags": [],
            "summaryMetrics": json.dumps(kept.summary),
            "logLineCount": 0,
            "historyLineCount": len(kept.lines),
            "eventsLineCount": 0,
            "historyTail": tail,
            "eventsTail": "[]",
            "wandbConfig": '{"t": 1}',
        }

    @staticmethod
    def _stream(kept: Sent, said: dict[str, Any]) -> None:
        history = said.get("files", {}).get("wandb-history.jsonl")
        if history is not None:
            kept.lines |= {history["offset"] + i: json.loads(line) for i, line in enumerate(history["content"])}
        summary = said.get("files", {}).get("wandb-summary.json")
        if summary is not None:
            kept.summary = json.loads(summary["content"][-1])
        if said.get("complete"):
            kept.exit_code, kept.is_closed = said["exitcode"], True


@contextmanager
def wandb_server() -> Iterator[WandbServer]:
    """Answers on a port of this machine while the block runs."""
    held = WandbServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = json.dumps(held.answer(self.path, body)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_PUT = do_POST
        do_GET = do_POST

        def log_message(self, format: str, *args: Any) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    held.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield held
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
