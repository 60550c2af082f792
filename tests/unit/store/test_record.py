"""What a record takes and refuses."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tunescope.store.record import FileEntry, Record

_FIELDS = {
    "format": 1,
    "kind": "train",
    "id": "0" * 16,
    "label": "sst2-lora-seed13",
    "config": {"lr": 1e-05, "layers": [1, 2]},
    "inputs": {},
    "files": {"sub/model.safetensors": {"sha256": "a" * 64, "num_bytes": 3}},
    "facts": {"loss": 0.1},
    "versions": {"torch": "2.13.0"},
    "python": "3.11.2",
    "commit": None,
    "dirty": None,
    "machine": {
        "hostname": "node",
        "system": "Linux 6",
        "processor": "x",
        "num_cores": 2,
        "memory_gib": 1.5,
        "gpus": [],
    },
    "started_at": "2026-11-23T05:57:10Z",
    "duration_s": 1.5,
    "peak_memory_gib": 0.25,
    "peak_memory_covers": "job",
}


def test_goes_through_json_unchanged():
    record = Record.model_validate(_FIELDS)
    assert Record.model_validate_json(record.model_dump_json()) == record
    assert record.files["sub/model.safetensors"] == FileEntry(sha256="a" * 64, num_bytes=3)


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "", ".", "a//b", "./a", "a\\b"])
def test_files_lie_inside_the_artifact(path):
    with pytest.raises(ValidationError, match="plain path inside the artifact"):
        Record.model_validate(_FIELDS | {"files": {path: {"sha256": "a" * 64, "num_bytes": 3}}})


@pytest.mark.parametrize("change", [{"format": 2}, {"started_at": "2026-11-23T05:57:10"}, {"duration_s": -1}, {"x": 1}])
def test_what_is_no_record_is_refused(change):
    with pytest.raises(ValidationError):
        Record.model_validate(_FIELDS | change)
