"""Peak memory: of the job where the kernel lets the mark be set back, of the process elsewhere."""

from __future__ import annotations

import mmap
import resource

import pytest
import torch

from tunescope.execution.telemetry import peak_memory
from tunescope.execution.telemetry.peak_memory import PeakMemory


def test_a_block_that_is_gone_still_counts():
    measured = PeakMemory.begin()
    before = measured.gib()
    with mmap.mmap(-1, 128 * 2**20) as block:  # fresh pages: a bytearray may take room that was held already
        for page in range(0, len(block), mmap.PAGESIZE):
            block[page] = 1
    if measured.covers == "process":
        pytest.skip(
            "needs Linux and a writable /proc/self/clear_refs (containers often forbid it), to set the memory mark back"
        )
    assert measured.gib() - before == pytest.approx(0.125, abs=0.03)


def test_where_the_mark_cannot_be_set_back_the_process_counts(monkeypatch, tmp_path):
    monkeypatch.setattr(peak_memory, "_CLEAR_REFS", tmp_path / "absent" / "clear_refs")
    measured = PeakMemory.begin()
    assert measured.covers == "process"
    assert measured.gib() == pytest.approx(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, rel=0.01)


def test_what_was_held_at_the_start_is_told():
    measured = PeakMemory.begin()
    assert 0.0 < measured.at_start_gib <= measured.gib()
    assert measured.gpu_gib() is None


def test_on_a_gpu_torchs_own_marks_are_set_back_and_read(monkeypatch):
    reset = []
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", reset.append)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 3 * 2**30)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda device: 4 * 2**30)
    measured = PeakMemory.begin("cuda:0")
    assert reset == ["cuda:0"]
    assert measured.gpu_gib() == (3.0, 4.0)
