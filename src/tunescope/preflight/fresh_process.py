"""Functions called in processes of their own: a crash in one is told and survived, and its peak memory is its own.

One server process imports the libraries once; on Linux each call is a fork of it, so it starts at once and yet as fresh as a
job. Elsewhere, where forking a process with such libraries is not safe, each call has a server of its own.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, TypeVar

from tunescope.errors import RunError, TunescopeError

_FORKS = sys.platform == "linux"
_PRELOADED = (
    "datasets",
    "peft",
    "sklearn.metrics",
    "transformers.modeling_utils",
    "transformers.models.auto.modeling_auto",
    "tunescope.preflight.network",
    "tunescope.preflight.overfit",
)
"""What a process that runs jobs has in memory, and the functions that are called."""
_SERVER = f"from {__name__} import main; main()"
"""Not `-m`: what is pickled must be of this module, not of `__main__`."""
_GIB = 2.0**30
_STATUS = Path("/proc/self/status")

Argument = TypeVar("Argument")
Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class _Call:
    function: Callable[[Any], Any]
    argument: Any
    limit_s: int


@dataclass(frozen=True, kw_only=True)
class _Reply:
    value: Any = None
    problem: str | None = None
    peak_gib: float = 0.0


class FreshProcesses:
    """Calls functions one at a time, each in a process that has done nothing else. Use it in a `with` block."""

    def __init__(self) -> None:
        self._server: subprocess.Popen[bytes] | None = None
        self._replies: IO[bytes] | None = None
        self._log: IO[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def call(
        self, function: Callable[[Argument], Value], argument: Argument, *, limit_s: int = 600
    ) -> tuple[Value, float]:
        """What the function returns, and the most memory its process held.

        Args:
            function: A module's function.
            argument: Its one argument; like the result, something that can be pickled.
            limit_s: Seconds after which it is ended.

        Returns:
            The result, and the peak of the process' resident memory in GiB, libraries included.

        Raises:
            RunError: With what the function raised, or how its process ended.
        """
        if self._server is None:
            self._start()
        assert self._server is not None
        assert self._server.stdin is not None
        assert self._replies is not None
        try:
            pickle.dump(_Call(function=function, argument=argument, limit_s=limit_s), self._server.stdin)
            self._server.stdin.flush()
            reply: _Reply = pickle.load(self._replies)
        except (EOFError, BrokenPipeError) as error:
            said = self._last_words()
            self._stop()
            raise RunError(
                f"the process that tries things out ended before it answered. It last said: {said}"
            ) from error
        except BaseException:
            self._stop()
            raise
        if not _FORKS:
            self._stop()
        if reply.problem is not None:
            raise RunError(reply.problem)
        return reply.value, reply.peak_gib

    def _start(self) -> None:
        read_end, write_end = os.pipe()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the server is
        self._server = subprocess.Popen(
            [sys.executable, "-c", _SERVER, str(write_end)],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            pass_fds=(write_end,),
            # Threads that wait must not spin: on a machine that does other work too, a step takes ten times as long then.
            env={"OMP_WAIT_POLICY": "PASSIVE"} | os.environ | {"TOKENIZERS_PARALLELISM": "false"},
        )
        os.close(write_end)
        self._replies = os.fdopen(read_end, "rb")

    def _stop(self) -> None:
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            assert self._server.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # the server died with a call half written
                self._server.stdin.close()
        for file in (self._replies, self._log):
            if file is not None:
                file.close()
        self._server = self._replies = self._log = None

    def _last_words(self) -> str:
        assert self._log is not None
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "nothing")


def main() -> None:
    """The server: reads calls from its standard input, writes replies to the pipe it is given, until the input ends."""
    replies = os.fdopen(int(sys.argv[1]), "wb")
    for name in _PRELOADED:
        importlib.import_module(name)
    while True:
        try:
            call: _Call = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        replies.write(_reply_of_fork(call) if _FORKS else _reply_to(call, shared_gib=0.0))
        replies.flush()


def _reply_of_fork(call: _Call) -> bytes:
    shared_gib = _file_pages_gib()
    with tempfile.TemporaryFile() as answer:
        child = os.fork()
        if child == 0:
            try:
                signal.alarm(call.limit_s)
                answer.write(_reply_to(call, shared_gib=shared_gib))
                answer.flush()
                os._exit(0)
            finally:
                os._exit(1)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status == 0:
            answer.seek(0)
            return answer.read()
    return pickle.dumps(_Reply(problem=_how_it_ended(status, call.limit_s)))


def _reply_to(call: _Call, *, shared_gib: float) -> bytes:
    try:
        value = call.function(call.argument)
    except TunescopeError as error:
        return pickle.dumps(_Reply(problem=str(error)))
    except Exception as error:  # noqa: BLE001 - whatever is tried out, the others are tried too
        return pickle.dumps(_Reply(problem=_in_words(error)))
    return pickle.dumps(_Reply(value=value, peak_gib=_peak_gib(shared_gib)))


def _in_words(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" ({Path(trace.tb_frame.f_code.co_filename).name}, line {trace.tb_lineno})" if trace is not None else ""
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")
    return f"{type(error).__name__}: {said}{place}"


def _how_it_ended(status: int, limit_s: int) -> str:
    if status == -signal.SIGALRM:
        return f"it was not done after {limit_s} s and was ended"
    if status == -signal.SIGKILL:
        return "its process was killed, most likely because the machine's memory was used up: lower compute.micro_batch_tokens"
    if status < 0:
        return f"its process ended by signal {signal.Signals(-status).name}"
    return f"its process ended with exit code {status}"


def _peak_gib(shared_gib: float) -> float:
    """Peak resident memory of this process, GiB.

    A forked process has the pages of libraries that its parent read from files in no count of its own: they are added.
    """
    if not _FORKS:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak * (1.0 if sys.platform == "darwin" else 1024.0) / _GIB
    own = _file_pages_gib()
    return _status_gib("VmHWM") - own + max(own, shared_gib)


def _file_pages_gib() -> float:
    return _status_gib("RssFile") if _FORKS else 0.0


def _status_gib(name: str) -> float:
    lines = _STATUS.read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1]) * 1024.0 / _GIB
