"""`tunescope.api` offers every command's function, and imports only what is asked for."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from tunescope import api


@pytest.mark.parametrize("name", api.__all__)
def test_every_name_is_the_function_that_its_source_imports_for_types(name: str) -> None:
    function = getattr(api, name)
    assert inspect.isfunction(function)
    assert function.__name__ == name
    module = function.__module__.rpartition(".")[2]
    source = inspect.getsource(api)
    assert f"from tunescope.api.{module} import" in source.partition("__all__")[0]


def test_every_function_that_is_mapped_is_told_of() -> None:
    assert sorted(api._MODULE_OF) == sorted(api.__all__) == dir(api)


def test_a_name_it_has_not() -> None:
    with pytest.raises(AttributeError, match=r"module 'tunescope\.api' has no attribute 'plan_studies'"):
        _ = api.plan_studies  # type: ignore[attr-defined]


def test_a_plan_imports_nothing_of_reports_and_drift() -> None:
    asked = "import sys; from tunescope.api import plan_study; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout.split()
    assert "tunescope.api.plan" in loaded
    assert not {"tunescope.api.report", "tunescope.api.drift", "torch", "pyarrow"} & set(loaded)
