"""Versions are held against what the package declares."""

from __future__ import annotations

import importlib
import re

import pytest
from packaging.requirements import Requirement

from tunescope.errors import TunescopeError
from tunescope.preflight import environment
from tunescope.study.spec import Compute


def test_the_environment_of_the_tests_is_sound():
    found = list(environment.check_environment())
    assert {finding.subject for finding in found} >= {
        "python",
        "torch",
        "transformers",
        "peft",
        "datasets",
    }
    assert "pytest" not in {finding.subject for finding in found}, "extras are not asked for"
    assert [finding for finding in found if finding.status != "ok"] == []


@pytest.mark.parametrize(
    "requirement,complaint",
    [
        ("torch>=99", r"found \S+, expected >=99: pip install \"torch>=99\""),
        ("no-such-library>=1.0", r"not installed, expected >=1\.0"),
    ],
)
def test_what_is_missing_or_too_old_is_a_fault(requirement, complaint):
    finding = environment.check_library(Requirement(requirement))
    assert finding.status == "fault"
    assert re.match(complaint, finding.message)


def test_a_broken_library_is_a_fault(monkeypatch):
    def broken(name):
        raise ImportError("libcudart.so.12: cannot open shared object file")

    monkeypatch.setattr(importlib, "import_module", broken)
    finding = environment.check_library(Requirement("torch>=2"))
    assert finding.status == "fault"
    assert "cannot be imported: libcudart" in finding.message


def test_an_old_python_is_a_fault():
    assert environment.check_python(">=3.11", "3.10.4").status == "fault"
    assert environment.check_python(">=3.11", "3.13.0rc1").status == "ok"


def test_a_gpu_that_is_not_there_is_a_fault_and_the_rest_goes_on(monkeypatch):
    def none_here(asked):
        raise TunescopeError("torch sees no GPU here")

    monkeypatch.setattr("tunescope.steps.device.chosen_device", none_here)
    device, finding = environment.check_device(Compute(device="cuda"))
    assert (device, finding.status, finding.message) == ("cpu", "fault", "torch sees no GPU here")


def test_a_cpu_is_told_with_its_memory():
    device, finding = environment.check_device(Compute(device="cpu", num_threads=3))
    assert device == "cpu"
    assert finding.status == "ok"
    assert "3 thread(s)" in finding.message
    assert "GiB RAM free" in finding.message
