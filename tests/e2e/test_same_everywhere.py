"""One small real study in one process, on 2 workers, as 3 shards merged and on 3 Ray nodes: the same tables and files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="needs Ray: pip install 'tunescope[ray]'")
PROGRAM = Path(__file__).resolve().parents[2] / "tools" / "same_everywhere"


@pytest.mark.slow  # several minutes
def test_where_the_jobs_run_makes_no_difference(tmp_path):
    ended = subprocess.run(
        [sys.executable, PROGRAM, tmp_path / "ways"],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = json.loads((tmp_path / "ways" / "found.json").read_text(encoding="utf-8"))
    assert [one["way"] for one in found] == ["inline", "local", "shards", "ray"]
    for one in found:
        assert (one["other_tables"], one["other_files"]) == ([], [])
        assert (one["jobs"], one["files"]) == (found[0]["jobs"], found[0]["files"])
    assert found[0]["files"] > 100
