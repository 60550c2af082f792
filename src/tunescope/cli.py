"""Arguments -> one function of `api` -> printed lines and an exit code. Nothing else in tunescope prints.

Exit codes: 0 done; 1 some job failed, or a check found a fault; 2 the request is wrong; 130 interrupted; 141 nobody reads
the output any more.
"""

from __future__ import annotations

import argparse
import io
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tunescope.errors import TunescopeError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_DEFAULT_STORE = Path("tunescope-store")
_PIPE_WIDTH = 140
"""Characters of a line where nobody's terminal says how many it has."""


def main(argv: Sequence[str] | None = None) -> int:
    """The `tunescope` command. Returns its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without a sign for "±" shows "?"
    parser = _parser()
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


def _run(arguments: argparse.Namespace) -> int:
    if arguments.dry_run:
        return _plan(arguments)
    from tunescope import api
    from tunescope.report.hypotheses import hypothesis_summary
    from tunescope.report.progress import RunProgress
    from tunescope.report.results import result_summary
    from tunescope.report.trials import sweep_lines

    console = _console()
    with RunProgress(console) as progress:
        run = api.run_study(
            arguments.study,
            store=arguments.store,
            mirror=arguments.mirror,
            changes=arguments.changes,
            on_event=progress.on_event,
        )
    console.print(result_summary(run.rows, run.plan.study), soft_wrap=False)
    for line in sweep_lines(run.sweeps):
        console.print(line)
    console.print(hypothesis_summary(run.comparisons.comparisons, run.comparisons.opinions))
    summary = run.summary
    told = f"{len(summary.done)} jobs done, {len(summary.reused)} were there, {len(summary.failed)} failed, {len(summary.blocked)} blocked"
    if summary.tolerated:
        told += f", {len(summary.tolerated)} trials failed and count as such"
    if summary.interrupted:
        told += f", {len(summary.left)} left; run the same command to go on"
    console.print(f"{told} ({summary.duration_s:.1f} s). Store: {run.store}", highlight=False, markup=False)
    return summary.exit_code


def _check(arguments: argparse.Namespace) -> int:
    from tunescope.preflight.check import check_study
    from tunescope.report.check import check_summary

    report = check_study(
        arguments.study,
        store=arguments.store,
        mirror=arguments.mirror,
        changes=arguments.changes,
        workers=arguments.workers,
        deep=arguments.deep,
    )
    if arguments.format == "json":
        print(report.to_json())
    else:
        _console().print(check_summary(report))
    return 0 if report.is_clean else 1


def _plan(arguments: argparse.Namespace) -> int:
    from tunescope import api
    from tunescope.report.plan import plan_summary
    from tunescope.study.known import expected_device

    plan, placement = api.plan_study(
        arguments.study, mirror=arguments.mirror, changes=arguments.changes, workers=arguments.workers
    )
    device = expected_device(plan.study)
    named = f"{device.name}, {device.memory_gib:.1f} GiB"
    _console().print(plan_summary(plan, placement, device=named, every_job=arguments.jobs))
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from tunescope import api
    from tunescope.report.status import status_summary

    status = api.study_status(
        arguments.study, store=arguments.store, mirror=arguments.mirror, changes=arguments.changes
    )
    told = [one for one in status.jobs if one.state != "missing" or one.is_wanted]
    states = [(one.job, one.state, one.reason) for one in told]
    logs = [str(one.log) for one in told]
    left = status.counts["missing"]
    rest = f"{left} left" if left else "nothing left"
    _console().print(status_summary(status.plan.study.name, states, logs, f"{rest}. Store: {status.store}"))
    return 1 if status.counts["failed"] else 0


def _results(arguments: argparse.Namespace) -> int:
    from tunescope import api
    from tunescope.analysis.collect import as_table
    from tunescope.analysis.trials import TrialRow
    from tunescope.report.results import result_summary
    from tunescope.report.tidy import encoded, output_format
    from tunescope.report.trials import trial_summary
    from tunescope.study.load import load_study

    form = output_format(arguments.format, arguments.output)
    where = {"store": arguments.store, "mirror": arguments.mirror, "changes": arguments.changes}
    if arguments.trials:
        trials, sweeps = api.study_trials(arguments.study, **where)
        shown = trial_summary(trials, sweeps) if form == "table" else encoded(as_table(trials, TrialRow), form)
    else:
        rows = api.study_results(arguments.study, **where)
        study = load_study(arguments.study, arguments.changes)
        shown = result_summary(rows, study) if form == "table" else encoded(as_table(rows), form)
    _put_out(shown, arguments.output)
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    if arguments.source.suffix in (".yaml", ".yml"):
        return _compare_study(arguments)
    from tunescope.analysis.tables.compare_file import compare_scores_file, pairs_as_table
    from tunescope.report.rankings import compare_summary
    from tunescope.report.tidy import encoded, output_format

    form = output_format(arguments.format, arguments.output)
    found = compare_scores_file(
        arguments.source, measure=arguments.measure, reference=arguments.reference, alpha=arguments.alpha
    )
    _put_out(compare_summary(found) if form == "table" else encoded(pairs_as_table(found), form), arguments.output)
    return 0


def _compare_study(arguments: argparse.Namespace) -> int:
    from tunescope import api
    from tunescope.analysis.hypotheses import comparisons_as_table
    from tunescope.report.hypotheses import hypothesis_summary
    from tunescope.report.tidy import encoded, output_format

    form = output_format(arguments.format, arguments.output)
    for option in ("measure", "reference"):
        if getattr(arguments, option) is not None:
            raise TunescopeError(
                f"--{option} is for tables of scores; a study says what it compares under `compare:` in {arguments.source}."
            )
    found = api.compare_study(
        arguments.source,
        store=arguments.store,
        mirror=arguments.mirror,
        changes=arguments.changes,
        alpha=arguments.alpha,
    )
    if form == "table":
        _put_out(hypothesis_summary(found.comparisons, found.opinions), arguments.output)
    else:
        _put_out(encoded(comparisons_as_table(found.comparisons), form), arguments.output)
    return 0


def _put_out(content: bytes | RenderableType, file: Path | None) -> None:
    """Writes to a file, or to the terminal where none is given; in a file, text has the width it has in a pipe."""
    if file is None:
        if isinstance(content, bytes):
            sys.stdout.buffer.write(content)
        else:
            _console().print(content)
        return
    try:
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            from tunescope.report.results import render

            file.write_text(render(content, width=_PIPE_WIDTH), encoding="utf-8")
    except OSError as error:
        raise TunescopeError(f"--output {file} cannot be written: {error.strerror}.") from error


def _list(arguments: argparse.Namespace) -> int:
    from tunescope.report.catalogue import catalogue_summary

    _console().print(catalogue_summary(arguments.what))
    return 0


def _init(arguments: argparse.Namespace) -> int:
    from tunescope.report.starter import STARTER

    path: Path = arguments.path
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(STARTER.format(path=shlex.quote(str(path)), name=_study_name(path)))
    except FileExistsError as error:
        raise TunescopeError(f"{path} is there already, and stays as it is. Give another name.") from error
    except OSError as error:
        raise TunescopeError(f"{path} cannot be written: {error.strerror}.") from error
    print(f"wrote {path}. Next: tunescope run {shlex.quote(str(path))}")
    return 0


def _forget(arguments: argparse.Namespace) -> int:
    from tunescope import api

    for name in api.forget(arguments.id, store=arguments.store):
        print(f"forgot {name}; the next run makes it anew")
    return 0


def _study_name(path: Path) -> str:
    kept = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "_-") else "-" for letter in path.stem)
    return kept.strip("-_")[:64] or "study"


def _console() -> Console:
    from rich.console import Console

    class PlainConsole(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # for `main`, where rich would exit with 1

    asked = os.environ.get("COLUMNS", "")
    width = None if sys.stdout.isatty() else max(_PIPE_WIDTH, int(asked) if asked.isdecimal() else 0)
    return PlainConsole(width=width)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tunescope",
        description="Full fine-tuning, LoRA or another PEFT method? One YAML study in, one trustworthy report out.",
    )
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    parser.set_defaults(command=None)

    options = argparse.ArgumentParser(add_help=False)
    options.add_argument(
        "--store",
        type=Path,
        default=_DEFAULT_STORE,
        metavar="DIR",
        help="where results are kept (default: %(default)s)",
    )
    options.add_argument(
        "--mirror", type=Path, metavar="DIR", help="a folder that stands in for the hub: datasets/<id>/, models/<id>/"
    )
    options.add_argument(
        "--set",
        action="append",
        default=[],
        dest="changes",
        metavar="KEY=VALUE",
        help="change a field of the study, such as training.epochs=1; repeatable",
    )
    study = argparse.ArgumentParser(add_help=False, parents=[options])
    study.add_argument("study", type=Path, metavar="STUDY", help="the study's YAML file")
    placed = argparse.ArgumentParser(add_help=False)
    placed.add_argument(
        "--workers", type=_workers, default=1, metavar="N", help="how many workers to place the jobs on (default: 1)"
    )

    run = _add(
        commands, "run", _run, "check, plan, run what is missing, and show the results; run again to resume", study
    )
    run.add_argument("--dry-run", action="store_true", help="only show the plan")
    run.set_defaults(workers=1, jobs=False)
    check = _add(
        commands,
        "check",
        _check,
        "find faults before hours are spent; exit 1 and a list if there are any",
        study,
        placed,
    )
    check.add_argument("--deep", action="store_true", help="also overfit ten examples with every method")
    check.add_argument("--format", choices=("table", "json"), default="table")
    plan = _add(
        commands, "plan", _plan, "the jobs, their predicted time, memory and disk, and who runs what", study, placed
    )
    plan.add_argument("--jobs", action="store_true", help="list every job, however many")
    _add(commands, "status", _status, "done, failed and left; every failure with its reason", study)
    results = _add(commands, "results", _results, "the result table; tidy rows with --format", study)
    results.add_argument(
        "--format",
        choices=("table", "csv", "json", "parquet"),
        help="default: as --output ends (.csv, .json, .jsonl, .parquet, .txt), else table; json is one object a line",
    )
    results.add_argument("--trials", action="store_true", help="the sweeps' trials instead of the runs")
    results.add_argument("--output", type=Path, metavar="FILE", help="write there instead of to the terminal")
    compare = _add(
        commands, "compare", _compare, "which differences are real: of a study, or of any table of scores", options
    )
    compare.add_argument(
        "source",
        type=Path,
        metavar="SOURCE",
        help="a study's YAML file; a CSV, JSON-lines or Parquet file of scores; a folder of PEFT's method-comparison results",
    )
    compare.add_argument("--measure", metavar="NAME", help="tables of scores: this score alone")
    compare.add_argument(
        "--reference", metavar="METHOD", help="tables of scores: each method against this one, not all pairs"
    )
    compare.add_argument(
        "--alpha",
        type=float,
        default=0.05,
        metavar="SHARE",
        help="chance of a false finding in the family (default: 0.05)",
    )
    compare.add_argument(
        "--format", choices=("table", "csv", "json", "parquet"), help="default: as --output ends, else table"
    )
    compare.add_argument("--output", type=Path, metavar="FILE", help="write there instead of to the terminal")
    listing = _add(commands, "list", _list, "the tasks, methods or metrics there are")
    listing.add_argument("what", choices=("tasks", "methods", "metrics"))
    init = _add(commands, "init", _init, "write a commented study to start from")
    init.add_argument("path", type=Path, nargs="?", default=Path("study.yaml"))
    forget = _add(commands, "forget", _forget, "delete one artifact, so that the next run makes it anew")
    forget.add_argument("id", metavar="ID", help="the first digits of its id, four or more")
    forget.add_argument("--store", type=Path, default=_DEFAULT_STORE, metavar="DIR")
    return parser


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    command: Callable[[argparse.Namespace], int],
    purpose: str,
    *parents: argparse.ArgumentParser,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=purpose, description=purpose, parents=list(parents))
    parser.set_defaults(command=command)
    return parser


def _workers(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"expected a number of workers, 1 or more, got {text!r}")
    return int(text)


def _version() -> str:
    from importlib.metadata import version

    return f"tunescope {version('tunescope')}"
