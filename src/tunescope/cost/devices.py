"""What machines can do: memory, speed of matrix products, speed of memory."""

from __future__ import annotations

import platform
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import psutil

from tunescope.cost.threads import threads_of_a_job

_GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class DeviceProfile:
    """A device as predictions see it."""

    name: str
    memory_gib: float
    """Memory a job may use: a GPU's own, or the machine's RAM for a CPU."""
    fp32_tflops: float
    """Peak of dense fp32 matrix products, in 1e12 operations per second (PyTorch's default: no TF32)."""
    bf16_tflops: float
    """Peak of dense bf16 matrix products with fp32 sums, without sparsity."""
    bandwidth_gb_s: float
    """Peak of memory traffic, in 1e9 bytes per second."""
    utilisation: float
    """Share of the matrix products' peak that fine-tuning is assumed to reach; a CPU's is measured
    (benchmarks/results/memory_prediction.md)."""
    kernel_s: float
    """Seconds that starting one small operation takes."""
    source: str
    """Where the figures are from."""

    @property
    def is_gpu(self) -> bool:
        return self.name != "cpu"


def _gpu(name: str, memory_gib: float, fp32: float, bf16: float, bandwidth: float, source: str) -> DeviceProfile:
    return DeviceProfile(
        name=name,
        memory_gib=memory_gib,
        fp32_tflops=fp32,
        bf16_tflops=bf16,
        bandwidth_gb_s=bandwidth,
        utilisation=0.4,
        kernel_s=1e-5,
        source=f"{source}; 40% of the peaks is an assumption",
    )


DEVICES: dict[str, DeviceProfile] = {
    "L4": _gpu("L4", 22.5, 30.3, 121.0, 300.0, "NVIDIA L4 datasheet (242 TFLOPS with sparsity halved)"),
    "T4": _gpu("T4", 15.0, 8.1, 8.1, 320.0, "NVIDIA T4 datasheet; no bf16 units, so fp32's figure stands for both"),
    "A10G": _gpu("A10G", 22.5, 31.2, 70.0, 600.0, "AWS G5 and NVIDIA A10G product brief"),
    "A100-40GB": _gpu("A100-40GB", 39.5, 19.5, 312.0, 1555.0, "NVIDIA A100 datasheet, dense"),
    "A100-80GB": _gpu("A100-80GB", 79.2, 19.5, 312.0, 2039.0, "NVIDIA A100 datasheet (SXM), dense"),
    "H100": _gpu("H100", 79.1, 67.0, 989.0, 3350.0, "NVIDIA H100 datasheet (SXM), dense"),
    "H200": _gpu("H200", 139.8, 67.0, 989.0, 4800.0, "NVIDIA H200 datasheet (SXM), dense"),
    "RTX 4090": _gpu(
        "RTX 4090", 23.6, 82.6, 165.2, 1008.0, "NVIDIA Ada GPU architecture paper, bf16 with fp32 sums, dense"
    ),
    "cpu": DeviceProfile(
        name="cpu",
        memory_gib=16.0,
        fp32_tflops=0.1,
        bf16_tflops=0.1,
        bandwidth_gb_s=20.0,
        utilisation=0.65,
        kernel_s=1e-5,
        source="a guess at two cores of a server; `this_machine` measures instead",
    ),
}
"""Devices a study may name. Memory is what the driver offers, a little under the nominal size."""

_NVIDIA_NAMES: tuple[tuple[str, str], ...] = (
    (r"A100.*40GB", "A100-40GB"),
    (r"A100.*80GB", "A100-80GB"),
    (r"A10G", "A10G"),
    (r"H100 80GB HBM3", "H100"),
    (r"H200", "H200"),
    (r"RTX 4090", "RTX 4090"),
    (r"L4", "L4"),
    (r"T4", "T4"),
)
"""Whole names as `nvidia-smi` writes them, less the maker and the line of products, and what they are here."""


@cache
def this_machine(use_gpu: bool = True, num_threads: int | None = None) -> DeviceProfile:
    """The machine this runs on: its first GPU if `nvidia-smi` lists a known one, else its CPU, measured.

    The CPU's speed is that of a few NumPy float32 matrix products and copies (some tens of milliseconds, once per process),
    for an otherwise idle machine: per second on one processor, times the threads a job will use. Its memory is the machine's,
    or the container's limit where there is one. Torch is not needed.

    Args:
        use_gpu: False looks at the CPU only.
        num_threads: CPU threads that a job is given; where None, as `threads_of_a_job` has it.
    """
    found = _first_gpu() if use_gpu else None
    return found if found is not None else _measured_cpu(threads_of_a_job(num_threads))


def _measured_cpu(threads: int) -> DeviceProfile:
    flops = threads * _matmul_flops()
    return replace(
        DEVICES["cpu"],
        memory_gib=_ram_bytes() / _GIB,
        fp32_tflops=flops / 1e12,
        bf16_tflops=flops / 1e12,
        bandwidth_gb_s=_copy_bytes_per_s() / 1e9,
        source=f"measured with NumPy for {threads} otherwise idle processors ({platform.machine()}); bf16 taken to be as fast as fp32",
    )


def _matmul_flops(size: int = 512, repeats: int = 8) -> float:
    """Operations per second of one processor, from the fastest of some (size, size) float32 products."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    left = np.random.default_rng(0).standard_normal((size, size), dtype=np.float32)
    out = np.empty_like(left)
    with threadpool_limits(1):  # several threads would wait for each other on a busy machine
        return 2.0 * size**3 / min(_processor_seconds(lambda: np.matmul(left, left, out=out)) for _ in range(repeats))


def _copy_bytes_per_s(num_values: int = 8_000_000, repeats: int = 3) -> float:
    """Bytes read and written per second by the fastest of some copies too large for a cache."""
    source = np.ones(num_values, dtype=np.float32)
    target = np.zeros_like(source)
    return 8.0 * num_values / min(_processor_seconds(lambda: np.copyto(target, source)) for _ in range(repeats))


def _processor_seconds(work: Callable[[], object]) -> float:
    """Time on the processors, all threads together: what else runs on the machine hardly counts."""
    began = time.process_time()
    work()
    return max(time.process_time() - began, 1e-9)


def _ram_bytes() -> float:
    """RAM of the machine, or less where a container is limited (cgroup v2)."""
    total = float(psutil.virtual_memory().total)
    try:
        with open("/sys/fs/cgroup/memory.max", encoding="ascii") as file:
            limit = file.read().strip()
    except OSError:  # not Linux, or not in a cgroup v2
        return total
    return min(total, float(limit)) if limit.isdigit() else total


def _first_gpu() -> DeviceProfile | None:
    """The first GPU `nvidia-smi` lists, with the memory it reports; None without one, or with one not in `DEVICES`."""
    try:
        answer = subprocess.run(
            ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=5.0,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):  # no such program, no driver, or it hangs
        return None
    return parse_nvidia_smi(answer.stdout)


def parse_nvidia_smi(text: str) -> DeviceProfile | None:
    """The first device of `nvidia-smi --query-gpu=name,memory.total --format=csv,noheader,nounits`.

    Args:
        text: Lines such as `NVIDIA L4, 23034`; memory in MiB.

    Returns:
        None where the text is empty or its first device is not in `DEVICES`.
    """
    name, _, mebibytes = (text.strip().splitlines() or [""])[0].partition(",")
    words = re.sub(r"^(NVIDIA|Tesla|GeForce|\s)+", "", name).strip()
    for pattern, key in _NVIDIA_NAMES:
        if re.fullmatch(f"{pattern}( PCIe)?", words):
            reported = mebibytes.strip()
            memory_gib = float(reported) / 1024.0 if reported.isdigit() else DEVICES[key].memory_gib
            return replace(DEVICES[key], memory_gib=memory_gib)
    return None
