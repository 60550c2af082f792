"""Which code, which machine."""

from __future__ import annotations

import platform
import subprocess

import numpy as np
import pytest

from tunescope.store import provenance


def test_versions_are_those_installed():
    versions = provenance.library_versions()
    assert versions["numpy"] == np.__version__
    assert set(versions) <= set(provenance.LIBRARIES)


def test_machine_is_this_one():
    machine = provenance.this_machine()
    assert machine.hostname == platform.node()
    assert machine.num_cores >= 1
    assert machine.memory_gib > 0.1


@pytest.fixture
def checkout(tmp_path):
    """A git checkout with src/tunescope/a.py committed; returns (package folder, run git)."""
    package = tmp_path / "src" / "tunescope"
    package.mkdir(parents=True)
    (package / "a.py").write_text("A = 1\n")

    def git(*words):
        who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        return subprocess.run(
            ["git", *who, "-C", str(tmp_path), *words], check=True, capture_output=True, text=True
        ).stdout

    git("init", "-q")
    return package, git


def test_commit_and_dirty_of_a_checkout(checkout):
    package, git = checkout
    assert provenance.checkout_of(package) == (None, None)  # nothing is committed yet
    git("add", ".")
    git("commit", "-qm", "first")
    commit = git("rev-parse", "HEAD").strip()
    assert provenance.checkout_of(package) == (commit, False)
    (package.parent.parent / "notes.txt").write_text("not code")
    assert provenance.checkout_of(package) == (commit, False)
    (package / "b.py").write_text("B = 1\n")
    assert provenance.checkout_of(package) == (commit, True)


def test_an_installed_package_has_no_commit(tmp_path):
    package = tmp_path / "lib" / "site-packages" / "tunescope"
    package.mkdir(parents=True)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert provenance.checkout_of(package) == (None, None)


def test_git_that_does_not_answer_is_said_to_be_unknown(checkout, monkeypatch, caplog):
    package, _ = checkout
    monkeypatch.setenv("PATH", "")
    assert provenance.checkout_of(package) == (None, None)
    assert "records will say it is unknown" in caplog.text
