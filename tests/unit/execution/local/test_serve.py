"""The worker's side as far as it needs no other process; the rest is in test_worker_process.py."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fake_steps import KINDS
from tunescope.errors import TunescopeError
from tunescope.execution.local.serve import load_steps
from tunescope.steps import STEPS


def test_steps_are_found_by_name():
    assert load_steps("tunescope.steps:STEPS") is STEPS


def test_a_function_makes_steps_of_its_arguments(tmp_path):
    assert set(load_steps("fake_steps:fake_steps", (tmp_path / "ran",))) == {kind.kind for kind in KINDS}


@pytest.mark.parametrize("target", ["tunescope.steps:NONE", "tunescope.steps"])
def test_a_name_that_leads_nowhere_is_told(target):
    with pytest.raises(TunescopeError, match=f"steps '{target}': expected 'module:attribute', such as"):
        load_steps(target)


def test_it_starts_without_the_libraries_that_a_job_may_not_need():
    heavy = "{'torch', 'transformers', 'datasets', 'sklearn', 'numpy'} & set(sys.modules)"
    code = f"import sys, tunescope.execution.local.serve; print(sorted({heavy}))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout == "[]\n"
