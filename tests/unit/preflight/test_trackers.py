"""Trackers are no fault, whatever their state."""

from __future__ import annotations

import socket

import pytest

from tunescope.preflight.trackers import check_trackers
from tunescope.study.spec import Trackers


def _wandb(mode):
    return Trackers.model_validate({"wandb": {"project": "p", "mode": mode}})


def _said(trackers, **how):
    return [(one.status, one.message) for one in check_trackers(trackers, **how)]


def test_none_is_fine():
    assert [status for status, _ in _said(Trackers())] == ["ok"]


@pytest.mark.parametrize(
    "mode,installed,reachable,statuses,last",
    [
        ("disabled", True, True, ["note"], "sends nothing"),
        ("offline", True, False, ["note", "ok"], "offline: no server is needed"),
        ("offline", False, False, ["note", "note", "ok"], "offline: no server is needed"),
        ("online", True, True, ["note", "ok"], "api.wandb.ai answers"),
        ("online", True, False, ["note", "note"], "does not answer within 3 s: use mode: offline"),
    ],
)
def test_each_mode_is_told(mode, installed, reachable, statuses, last):
    said = _said(_wandb(mode), is_installed=lambda name: installed, is_reachable=lambda: reachable)
    assert [status for status, _ in said] == statuses
    assert last in said[-1][1]


def test_no_network_is_no_answer(monkeypatch):
    def refused(address, timeout):
        assert timeout == 3.0
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", refused)
    assert "does not answer" in _said(_wandb("online"), is_installed=lambda name: True)[-1][1]
