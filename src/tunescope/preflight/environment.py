"""Whether the libraries are there, in the versions that tunescope declares, and what there is to compute on."""

from __future__ import annotations

import importlib
import importlib.metadata
import platform
from collections.abc import Iterator, Sequence

import psutil
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tunescope.errors import TunescopeError
from tunescope.preflight.finding import Finding, Status
from tunescope.study.spec import Compute

_MODULES = {"pyyaml": "yaml", "scikit-learn": "sklearn"}
"""Distributions whose module has another name."""


def check_python(declared: str, found: str) -> Finding:
    """Holds Python's version against the declared range, such as `>=3.11`."""
    fits = SpecifierSet(declared).contains(found, prereleases=True)
    message = found if fits else f"found {found}, expected {declared}: use a newer Python"
    return _finding("python", "ok" if fits else "fault", message)


def check_libraries(requirements: Sequence[str]) -> Iterator[Finding]:
    """Imports every required library and holds its version against the declared range.

    Args:
        requirements: As package metadata lists them, such as `torch>=2.6`; those of extras are left out.
    """
    for text in requirements:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        yield check_library(requirement)


def check_library(requirement: Requirement) -> Finding:
    """Imports one library and holds its version against the declared range."""
    name = requirement.name
    advice = f'pip install "{requirement}"'
    try:
        found = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return _finding(name, "fault", f"not installed, expected {requirement.specifier}: {advice}")
    if not requirement.specifier.contains(found, prereleases=True):
        return _finding(name, "fault", f"found {found}, expected {requirement.specifier}: {advice}")
    try:
        importlib.import_module(_MODULES.get(name.lower(), name))
    except (ImportError, OSError) as error:  # OSError: a shared library that it needs is missing
        return _finding(name, "fault", f"{found} is installed and cannot be imported: {error}. Reinstall it: {advice}")
    return _finding(name, "ok", found)


def declared_requirements() -> tuple[str, list[str]]:
    """Python's range and the libraries that the installed tunescope declares.

    Raises:
        TunescopeError: If tunescope is not installed as a package.
    """
    try:
        about = importlib.metadata.metadata("tunescope")
        return about["Requires-Python"], importlib.metadata.requires("tunescope") or []
    except importlib.metadata.PackageNotFoundError as error:
        raise TunescopeError(
            "tunescope is not installed as a package, so its requirements are not known: pip install -e ."
        ) from error


def check_environment() -> Iterator[Finding]:
    """Python and every declared library."""
    python, libraries = declared_requirements()
    yield check_python(python, platform.python_version())
    yield from check_libraries(libraries)


def check_device(compute: Compute) -> tuple[str, Finding]:
    """The device that jobs would get here, as torch names it, and what it is; the CPU where the asked one is missing."""
    from tunescope.steps.device import chosen_device, chosen_threads

    memory = psutil.virtual_memory()
    cpu = (
        f"{chosen_threads(compute.num_threads)} thread(s) of {psutil.cpu_count()} processors, "
        f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB RAM free"
    )
    try:
        device = chosen_device(compute.device)
    except TunescopeError as error:
        return "cpu", _finding("device", "fault", str(error))
    if device == "cpu":
        return device, _finding("device", "ok", f"cpu: {cpu}")
    import torch

    free, total = torch.cuda.mem_get_info(torch.device(device))
    name = torch.cuda.get_device_name(torch.device(device))
    return device, _finding(
        "device", "ok", f"{device}: {name}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free; {cpu}"
    )


def _finding(subject: str, status: Status, message: str) -> Finding:
    return Finding(section="environment", subject=subject, status=status, message=message)
