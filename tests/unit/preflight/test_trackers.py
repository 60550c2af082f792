"""Trackers are no fault, whatever their state; what is told goes where the check says."""

from __future__ import annotations

import socket

import pytest

from tunescope.preflight.trackers import check_trackers
from tunescope.study.trackers import Trackers


@pytest.fixture(autouse=True)
def _no_server_of_ones_own(monkeypatch):
    monkeypatch.delenv("WANDB_BASE_URL", raising=False)


def _wandb(mode):
    return Trackers.model_validate({"wandb": {"project": "p", "mode": mode}})


def _said(trackers, **how):
    return [(one.status, one.message) for one in check_trackers(trackers, **how)]


def test_none_is_fine():
    assert _said(Trackers()) == [("ok", "none asked for; metrics are kept in the store")]


@pytest.mark.parametrize(
    "mode,installed,reachable,statuses,last",
    [
        ("disabled", False, False, ["ok"], "disabled: nothing is told"),
        ("offline", True, False, ["ok"], "runs of project p are written into the store's exports/wandb; `wandb sync`"),
        ("offline", False, False, ["note"], "wandb not installed: pip install 'tunescope[wandb]'; metrics are kept"),
        ("online", True, True, ["ok", "ok"], "api.wandb.ai answers"),
        ("online", True, False, ["ok", "note"], "does not answer within 3 s: use mode: offline"),
        ("online", False, True, ["note", "ok"], "api.wandb.ai answers"),
    ],
)
def test_each_mode_is_told(mode, installed, reachable, statuses, last):
    said = _said(_wandb(mode), is_installed=lambda name: installed, is_reachable=lambda host, port: reachable)
    assert [status for status, _ in said] == statuses
    assert last in said[-1][1]


@pytest.mark.parametrize(
    "trackers,message",
    [
        ({"mlflow": {}}, "runs are written into the store's exports"),
        ({"mlflow": {"tracking_uri": "http://server:5000"}}, "runs are written to http://server:5000"),
        ({"tensorboard": {"folder": "board"}}, "runs are written to board"),
        ({"trackio": {}}, "runs are written into the store's exports"),
    ],
)
def test_where_the_others_write_is_told(trackers, message):
    assert _said(Trackers.model_validate(trackers), is_installed=lambda name: True) == [("ok", message)]


def test_half_an_extra_is_not_enough():
    said = _said(Trackers.model_validate({"mlflow": {}}), is_installed=lambda name: name == "mlflow")
    assert said == [
        (
            "note",
            "sqlalchemy, alembic not installed: pip install 'tunescope[mlflow]'; metrics are kept in the store",
        )
    ]


def test_no_network_is_no_answer(monkeypatch):
    def refused(address, timeout):
        assert (address, timeout) == (("api.wandb.ai", 443), 3.0)
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", refused)
    assert "api.wandb.ai does not answer" in _said(_wandb("online"), is_installed=lambda name: True)[-1][1]


def test_a_server_of_ones_own_is_asked(monkeypatch):
    monkeypatch.setenv("WANDB_BASE_URL", "http://wandb.local:8080")
    said = _said(_wandb("online"), is_installed=lambda name: True, is_reachable=lambda *at: at == ("wandb.local", 8080))
    assert said[-1] == ("ok", "wandb.local answers")
