"""SIGINT, SIGTERM and SIGHUP ask to stop; a signal the process ignores stays ignored."""

from __future__ import annotations

import signal
import threading

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
