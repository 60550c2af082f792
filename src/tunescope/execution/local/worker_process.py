"""The command's side of one worker process: starts it, tells it what to do, hears what it says, and ends it for sure."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

from tunescope.errors import TunescopeError
from tunescope.execution.local.devices import WorkerDevice
from tunescope.execution.local.messages import FromWorker, Setup, ToWorker
from tunescope.store.atomic import writing_in

_SERVE = "tunescope.execution.local.serve"
_END_S = 30.0
"""How long a process may take to die of SIGKILL: one that waits for a disk that does not answer cannot die."""
_TAIL_BYTES = 4000

Inbox = queue.SimpleQueue[tuple["WorkerProcess", FromWorker | None]]
"""What workers said, in each one's order; None is a worker's last word: it has gone."""


class WorkerProcess:
    """A process that serves one device, from its start to its death.

    A thread of its own reads what it says: a worker that was stopped in the middle of a message must not stop the command.
    It stands in a session of its own, so that a Ctrl-C in the terminal reaches the command alone, and so that what it has
    started ends with it. Its standard output and error go to a log: whatever a library prints, the terminal stays readable.

    Args:
        device: What it computes on.
        setup: Sent at once.
        inbox: Where what it says is put.
        log: Its log, appended to.

    Raises:
        StoreError: If the log cannot be written because the disk is full or not writable.
        TunescopeError: If there is no Python interpreter to start.
    """

    def __init__(self, device: WorkerDevice, setup: Setup, inbox: Inbox, log: Path) -> None:
        self.name = device.name
        self.device = device.device if device.gpu_id is None else f"cuda:{device.gpu_id}"
        self.log = log
        self.is_ready = False
        self.host = socket.gethostname()
        self.heard_s = time.monotonic()
        """When it last gave a sign of life, by the monotonic clock."""
        self.rss_gib: float | None = None
        self.gpu_memory_gib: float | None = None
        self._inbox = inbox
        self._socket, theirs = socket.socketpair()
        self._connection = Connection(os.dup(self._socket.fileno()))
        with writing_in(log.parent):
            log.parent.mkdir(parents=True, exist_ok=True)
            with open(log, "ab") as file, theirs:
                file.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {self.name} starts on {self.device}\n".encode())
                file.flush()
                self._log_begin = file.tell()
                self._process = _started(device, setup, theirs.fileno(), file.fileno())
        self.pid = self._process.pid
        self._reader = threading.Thread(target=self._read, name=f"hears {self.name}", daemon=True)
        self._reader.start()
        self.send(setup)

    def send(self, message: ToWorker) -> None:
        """Tells the worker something; to one that is gone, nothing: its end is in the inbox."""
        with contextlib.suppress(OSError):
            self._connection.send(message)

    def sample(self) -> None:
        """Notes the resident memory of the process."""
        with contextlib.suppress(psutil.Error):
            held = psutil.Process(self.pid).memory_info().rss / 2**30
            self.rss_gib = held or self.rss_gib  # one that has died and was not waited for holds nothing

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """Sends SIGKILL to the process and to all that it has started; `end` waits for it."""
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group that has died
            os.killpg(self.pid, signal.SIGKILL)

    def end(self) -> int:
        """Ends the process, if it runs, and waits until it has gone; what it said before is in the inbox then.

        Returns:
            Its exit code; -9 if SIGKILL ended it.

        Raises:
            TunescopeError: If it cannot be ended: what it was doing may not be done by another then.
        """
        self.kill()
        try:
            code = self._process.wait(_END_S)
        except subprocess.TimeoutExpired as error:
            raise TunescopeError(
                f"{self.name} (process {self.pid}) does not end, {_END_S:.0f} s after SIGKILL: it waits for a disk or a "
                "device that does not answer. Mend that, or restart the machine, and run the same command again."
            ) from error
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the reader, should something still hold the other end
        self._reader.join()
        self._connection.close()
        self._socket.close()
        return code

    def last_words(self) -> str:
        """The end of what this process wrote into its log; empty if nothing."""
        with open(self.log, "rb") as file:
            file.seek(max(self._log_begin, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            return file.read().decode(errors="replace").strip()

    def _read(self) -> None:
        while True:
            try:
                message = self._connection.recv()
            except (EOFError, OSError):
                self._inbox.put((self, None))
                return
            self.heard_s = time.monotonic()
            self._inbox.put((self, message))


def _started(device: WorkerDevice, setup: Setup, descriptor: int, log: int) -> subprocess.Popen[bytes]:
    """`python -m tunescope.execution.local.serve DESCRIPTOR`: a fresh interpreter with this one's path.

    Not a fork, which would take over threads' locks and CUDA half way, and not multiprocessing's spawn, which runs the main
    script again: this works from a notebook and from a script without a `__main__` guard.
    """
    lock = () if setup.lock_descriptor is None else (setup.lock_descriptor,)
    path = os.pathsep.join(os.path.abspath(one) for one in sys.path)
    environment = os.environ | {"PYTHONPATH": path} | device.environment()
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", _SERVE, str(descriptor)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(descriptor, *lock),
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        raise TunescopeError(
            f"{device.name} cannot be started with {sys.executable or 'an unknown interpreter'}: {error}. "
            "Check that this Python is still installed as it was when the command began."
        ) from error
