"""Arguments -> one function of `api` -> printed lines and an exit code. Nothing else in tunescope prints.

Exit codes: 0 done; 1 some job failed, or a check found a fault; 2 the request is wrong; 130 interrupted; 141 nobody reads
the output any more.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence

from tunescope.cli.parser import make_parser
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
    try:
        return command(arguments)
    except TunescopeError as error:
        from tunescope.report.inert import inert

        print(inert(f"tunescope: {error}").replace("\n", "\ntunescope: "), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("tunescope: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # as if SIGPIPE had ended it: a run that stopped half way is not done
