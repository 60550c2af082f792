import subprocess
import sys

import psutil
import pytest

from tunescope.cost import devices
from tunescope.cost.devices import DEVICES, parse_nvidia_smi, this_machine


@pytest.mark.parametrize("name", DEVICES)
def test_each_device_is_whole_and_sourced(name: str) -> None:
    device = DEVICES[name]
    assert device.name == name
    assert device.is_gpu is (name != "cpu")
    assert 0.0 < device.utilisation <= 1.0
    assert 0.0 < device.fp32_tflops <= device.bf16_tflops
    assert device.bandwidth_gb_s > 0.0
    assert device.source


@pytest.mark.parametrize(
    "line, name",
    [
        ("NVIDIA L4, 23034", "L4"),
        ("Tesla T4, 15360", "T4"),
        ("NVIDIA A10G, 23028", "A10G"),
        ("NVIDIA A100-SXM4-40GB, 40960", "A100-40GB"),
        ("NVIDIA A100 80GB PCIe, 81920", "A100-80GB"),
        ("NVIDIA H100 80GB HBM3, 81559\nNVIDIA H100 80GB HBM3, 81559", "H100"),
        ("NVIDIA GeForce RTX 4090, 24564", "RTX 4090"),
    ],
)
def test_gpus_as_nvidia_smi_names_them(line: str, name: str) -> None:
    device = parse_nvidia_smi(line)
    assert device is not None
    assert device.name == name
    assert device.memory_gib == pytest.approx(float(line.splitlines()[0].split(", ")[1]) / 1024)


@pytest.mark.parametrize(
    "line", ["", "NVIDIA L40S, 46068", "NVIDIA GeForce RTX 4090 Laptop GPU, 16376", "NVIDIA H100 PCIe, 81559"]
)
def test_another_gpu_is_not_mistaken_for_a_known_one(line: str) -> None:
    assert parse_nvidia_smi(line) is None


def test_the_cpu_is_measured_once_and_without_torch() -> None:
    device = this_machine(use_gpu=False)
    assert device is this_machine(use_gpu=False)
    assert device.name == "cpu"
    assert 0.001 < device.fp32_tflops < 100.0
    assert 0.5 < device.bandwidth_gb_s < 5000.0
    assert 0.1 < device.memory_gib <= psutil.virtual_memory().total / 2**30
    code = "import sys, tunescope.cost.devices as d, tunescope.study.estimate, tunescope.study.placement; d.this_machine(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_or_hanging_nvidia_smi_means_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*args: object, **kwargs: object) -> None:
        raise subprocess.TimeoutExpired("nvidia-smi", 5.0)

    monkeypatch.setattr(devices.subprocess, "run", hang)
    assert devices._first_gpu() is None
