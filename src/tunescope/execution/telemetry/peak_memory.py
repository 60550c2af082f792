"""The most memory a job's process held, by the kernel's own mark and, on a GPU, by torch's."""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from tunescope.store.record import Covers

_CLEAR_REFS = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


@dataclass(frozen=True, kw_only=True)
class PeakMemory:
    """Measures from `begin` on where the kernel lets the mark be set back, else since the process started."""

    covers: Covers
    device: str
    at_start_gib: float
    """Resident memory when the job began, GiB: libraries, and what earlier jobs of the process read and keep."""

    @classmethod
    def begin(cls, device: str = "cpu") -> PeakMemory:
        """Sets the marks back to what is held now (Linux: "5" into /proc/self/clear_refs; torch's for a GPU)."""
        if device.startswith("cuda"):
            import torch

            torch.cuda.reset_peak_memory_stats(device)
        covers: Covers = "job"
        try:
            _CLEAR_REFS.write_text("5", encoding="ascii")
        except OSError:  # another system, or a container that forbids it: `covers` says so
            covers = "process"
        return cls(covers=covers, device=device, at_start_gib=psutil.Process().memory_info().rss / 2**30)

    def gpu_gib(self) -> tuple[float, float] | None:
        """Peak GPU memory of tensors, and of all that torch's allocator took, GiB; None where the job has no GPU."""
        if not self.device.startswith("cuda"):
            return None
        import torch

        allocated, reserved = torch.cuda.max_memory_allocated(self.device), torch.cuda.max_memory_reserved(self.device)
        return allocated / 2**30, reserved / 2**30

    def gib(self) -> float:
        """Peak resident memory, GiB: VmHWM of /proc/self/status for a job, ru_maxrss of getrusage for a process."""
        if self.covers == "job":
            lines = _STATUS.read_text(encoding="utf-8").splitlines()
            kib = int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])
            return kib / 2**20
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 2**30 if sys.platform == "darwin" else peak / 2**20
