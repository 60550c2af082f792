"""One holder at a time, and who it is. A second process stands in tests/fault/test_store_faults.py."""

from __future__ import annotations

import os

import pytest

from tunescope.errors import StoreError
from tunescope.store.lock import command_line, held


def test_a_second_holder_is_refused_and_told_who_holds_it(tmp_path):
    with (
        held(tmp_path / "lock"),
        pytest.raises(StoreError, match=rf"in use by process {os.getpid()} on .+ since \d{{4}}-") as error,
        held(tmp_path / "lock"),
    ):
        pass
    assert "Wait until it has ended, or stop it" in str(error.value)


def test_it_is_free_again_after_an_error(tmp_path):
    with pytest.raises(RuntimeError, match="inside"), held(tmp_path / "lock"):
        raise RuntimeError("inside")
    with held(tmp_path / "lock"):
        assert (tmp_path / "lock").stat().st_size > 0
    assert (tmp_path / "lock").read_text() == ""


def test_a_command_is_told_without_its_values():
    words = ["/x/tunescope", "run", "my study.yaml", "--set", "tracker.key=secret", "--store=/s"]
    assert command_line(words) == "tunescope run 'my study.yaml' --set tracker.key=... --store=..."
    assert command_line([]) == "python"
