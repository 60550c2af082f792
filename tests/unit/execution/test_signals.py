"""SIGINT, SIGTERM and SIGHUP ask to stop; a signal the process ignores stays ignored."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from tunescope.execution.signals import stop_on_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_raises_and_is_remembered(number):
    before = signal.getsignal(number)
    with stop_on_signals() as request:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        assert request.asked
    assert signal.getsignal(number) is before


def test_what_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stop_on_signals() as request:
            signal.raise_signal(signal.SIGINT)
            assert not request.asked
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_outside_the_main_thread_nothing_is_installed():
    before = signal.getsignal(signal.SIGTERM)
    found = []

    def inside():
        with stop_on_signals():
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert found == [before]


def _ask():
    signal.raise_signal(signal.SIGTERM)


def test_a_block_that_ends_by_itself_is_interrupted_by_the_second_signal_alone():
    calls = []

    def on_asked():
        calls.append(1)
        return True

    with stop_on_signals(on_asked) as request:
        _ask()
        assert request.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert calls == [1]


def test_a_sigterm_that_is_passed_on_at_once_is_no_second_one():
    with stop_on_signals(lambda: True) as request:
        _ask()
        _ask()
        assert request.asked


def test_a_sigterm_later_is_a_second_one(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("tunescope.execution.signals.time.monotonic", lambda: now[0])
    with stop_on_signals(lambda: True):
        _ask()
        now[0] += 1.5
        with pytest.raises(KeyboardInterrupt):
            _ask()


def test_a_block_that_does_not_end_is_interrupted_when_its_grace_is_over():
    began = time.monotonic()
    with stop_on_signals(lambda: True, grace_s=0.1):
        _ask()
        with pytest.raises(KeyboardInterrupt):
            time.sleep(20.0)
    assert time.monotonic() - began < 10.0


def test_no_signal_comes_after_the_block():
    with stop_on_signals(lambda: True, grace_s=0.05):
        _ask()
    time.sleep(0.15)  # a late SIGTERM would end this process
