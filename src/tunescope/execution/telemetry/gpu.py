"""An NVIDIA GPU as its driver sees it (NVML, through `pynvml`): utilisation, memory and energy; None what it does not tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tunescope.execution.telemetry.energy import Counter, CounterMeter, EnergyMeter, NoMeter, PowerMeter


class Gpu:
    """One device.

    Args:
        nvml: The module `pynvml`, initialised.
        handle: The device, as the module knows it.
    """

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml, self._handle = nvml, handle

    def utilisation_percent(self) -> float | None:
        """Share of the driver's last sample period (a second or less) in which a kernel ran."""
        rates = self._ask(self._nvml.nvmlDeviceGetUtilizationRates)
        return None if rates is None else float(rates.gpu)

    def memory_used_gib(self) -> float | None:
        """Of the whole device, whoever uses it."""
        memory = self._ask(self._nvml.nvmlDeviceGetMemoryInfo)
        return None if memory is None else float(memory.used) / 2**30

    def energy_meter(self) -> EnergyMeter:
        """The device's own counter of joules where it has one (Volta and later), else its power, integrated."""
        if self._joules() is not None:
            return CounterMeter("NVML total energy counter", [Counter(read=self._joules)])
        if self._watts() is not None:
            return PowerMeter("NVML power, integrated", self._watts)
        return NoMeter("not measured: this GPU tells NVML neither energy nor power")

    def _joules(self) -> float | None:
        millijoules = self._ask(self._nvml.nvmlDeviceGetTotalEnergyConsumption)
        return None if millijoules is None else float(millijoules) * 1e-3

    def _watts(self) -> float | None:
        milliwatts = self._ask(self._nvml.nvmlDeviceGetPowerUsage)
        return None if milliwatts is None else float(milliwatts) * 1e-3

    def _ask(self, function: Callable[[Any], Any]) -> Any:
        try:
            return function(self._handle)
        except self._nvml.NVMLError:
            return None


def find_gpu(device: str) -> Gpu | str:
    """The GPU that torch calls `device`, or why NVML does not tell of it.

    It is found by its UUID: torch counts the devices that CUDA_VISIBLE_DEVICES leaves, NVML all of them.

    Args:
        device: "cuda:0".
    """
    try:
        import pynvml
    except ImportError:
        return "pynvml is not installed (pip install 'tunescope[gpu]')"
    import torch

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return f"NVML does not answer ({error})"
    uuid = getattr(torch.cuda.get_device_properties(device), "uuid", None)
    if uuid is None:
        return "this torch does not tell which GPU it uses"
    try:
        return Gpu(pynvml, pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}"))
    except pynvml.NVMLError as error:
        return f"NVML does not know GPU-{uuid} ({error})"
