"""The most memory a job's process held, by the kernel's own mark."""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass
from pathlib import Path

from tunescope.store.record import Covers

_CLEAR_REFS = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


@dataclass(frozen=True, kw_only=True)
class PeakMemory:
    """Measures from `begin` on where the kernel lets the mark be set back, else since the process started."""

    covers: Covers

    @classmethod
    def begin(cls) -> PeakMemory:
        """Sets the mark back to what is held now (Linux: "5" into /proc/self/clear_refs)."""
        try:
            _CLEAR_REFS.write_text("5", encoding="ascii")
        except OSError:  # another system, or a container that forbids it: `covers` says so
            return cls(covers="process")
        return cls(covers="job")

    def gib(self) -> float:
        """Peak resident memory, GiB: VmHWM of /proc/self/status for a job, ru_maxrss of getrusage for a process."""
        if self.covers == "job":
            lines = _STATUS.read_text(encoding="utf-8").splitlines()
            kib = int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])
            return kib / 2**20
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 2**30 if sys.platform == "darwin" else peak / 2**20
