"""A GPU as NVML tells of it: what it does not support is None; a device is found by its UUID, or it is said why not."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from tunescope.execution.telemetry.gpu import Gpu, find_gpu


class FakeNvml:
    """A module `pynvml` with one device, which does not support what is named in `lacks`."""

    class NVMLError(Exception):
        pass

    def __init__(self, *lacks):
        self.lacks = lacks
        self.asked = []

    def _tell(self, name, value):
        if name in self.lacks:
            raise self.NVMLError("Not Supported")
        return value

    def nvmlInit(self):
        self._tell("init", None)

    def nvmlDeviceGetHandleByUUID(self, uuid):
        self.asked.append(uuid)
        return self._tell("uuid", "the device")

    def nvmlDeviceGetUtilizationRates(self, handle):
        return self._tell("rates", SimpleNamespace(gpu=73, memory=5))

    def nvmlDeviceGetMemoryInfo(self, handle):
        return self._tell("memory", SimpleNamespace(used=3 * 2**30, total=2**35))

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        return self._tell("energy", 5000)

    def nvmlDeviceGetPowerUsage(self, handle):
        return self._tell("power", 250_000)


def test_what_it_tells():
    gpu = Gpu(FakeNvml(), "the device")
    assert (gpu.utilisation_percent(), gpu.memory_used_gib()) == (73.0, 3.0)
    meter = gpu.energy_meter()
    assert meter.source == "NVML total energy counter"
    meter.sample()
    meter.sample()
    assert meter.joules() == 0.0


def test_power_where_there_is_no_counter():
    meter = Gpu(FakeNvml("energy"), "the device").energy_meter()
    assert meter.source == "NVML power, integrated"
    meter.sample()
    meter.sample()
    assert 0.0 <= meter.joules() < 250.0


def test_what_it_does_not_support_is_unknown():
    gpu = Gpu(FakeNvml("rates", "memory", "energy", "power"), "the device")
    assert (gpu.utilisation_percent(), gpu.memory_used_gib()) == (None, None)
    assert gpu.energy_meter().source == "not measured: this GPU tells NVML neither energy nor power"


@pytest.fixture
def torch_device(monkeypatch):
    import torch

    properties = SimpleNamespace(uuid="4b5e-1")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    return properties


@pytest.mark.usefixtures("torch_device")
def test_it_is_found_by_its_uuid(monkeypatch):
    nvml = FakeNvml()
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    found = find_gpu("cuda:0")
    assert isinstance(found, Gpu)
    assert nvml.asked == ["GPU-4b5e-1"]


@pytest.mark.usefixtures("torch_device")
@pytest.mark.parametrize(
    "nvml, why",
    [
        (None, "pynvml is not installed"),
        (FakeNvml("init"), "NVML does not answer (Not Supported)"),
        (FakeNvml("uuid"), "NVML does not know GPU-4b5e-1 (Not Supported)"),
    ],
)
def test_why_it_is_not_found(monkeypatch, nvml, why):
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    assert find_gpu("cuda:0").startswith(why)


def test_a_torch_that_does_not_tell(monkeypatch, torch_device):
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml())
    del torch_device.uuid
    assert find_gpu("cuda:0") == "this torch does not tell which GPU it uses"
