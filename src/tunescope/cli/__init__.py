"""Arguments -> one function of `api` -> printed lines and an exit code. Nothing else in tunescope prints.

Exit codes: 0 done; 1 some job failed (`run`, `status`), or `check` found a fault; 2 the request is wrong; 130 interrupted;
141 nobody reads the output any more. `results`, `compare` and `drift` show what there is, failures among it, and exit with 0.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable, Sequence

from tunescope.cli.output import stop_writing
from tunescope.cli.parser import make_parser
from tunescope.cli.storage import with_copies
from tunescope.errors import TunescopeError


def main(argv: Sequence[str] | None = None) -> int:
    """The `tunescope` command. Returns its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without a sign for "±" shows "?"
    parser = make_parser()
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.print_help()
        return 2
    command: Callable[[argparse.Namespace], int] = arguments.command
    from tunescope.execution.signals import stop_on_signals

    try:
        with stop_on_signals():
            return command(with_copies(arguments))
    except TunescopeError as error:
        from tunescope.report.terminal.inert import inert

        print(inert(f"tunescope: {error}").replace("\n", "\ntunescope: "), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("tunescope: interrupted", file=sys.stderr)
        # Where it passed through an `exec`, as in the making of a dataclass, CPython ends `python -m` by SIGINT whatever the exit
        # code is, unless another `exec` has come to its end since.
        exec("")
        return 130
    except BrokenPipeError:
        stop_writing()
        return 141  # as if SIGPIPE had ended it: a run that stopped half way is not done
