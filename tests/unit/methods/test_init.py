"""The registry, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys

from tunescope.methods import METHODS, Method


def test_the_registry_names_each_method_by_its_kind() -> None:
    assert {name: method.kind for name, method in METHODS.items()} == {name: name for name in METHODS}
    assert set(METHODS) == {"full", "lora", "head_only", "peft"}
    assert all(issubclass(method, Method) for method in METHODS.values())


def test_every_setting_is_explained() -> None:
    for method in METHODS.values():
        assert all(field.description for field in method.model_fields.values()), method


def test_importing_methods_imports_no_deep_learning_library() -> None:
    code = (
        "import sys, tunescope.methods, tunescope.models.base\n"
        "print(sorted({'torch', 'transformers', 'peft'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
