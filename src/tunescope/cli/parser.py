"""The arguments of every command."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from tunescope.cli import compare, drift, export, report, start, status, stores, study
from tunescope.cli.storage import folder, place

_DEFAULT_STORE = Path("tunescope-store")
_ON_MACHINES = "A study's file and its data lie on every machine."
_WITHOUT = "Leave --store out: without one the study is checked and planned as if nothing had run."


def make_parser() -> argparse.ArgumentParser:
    """`arguments.command` is the function to call; None where no command was given."""
    parser = argparse.ArgumentParser(
        prog="tunescope",
        description="Full fine-tuning, LoRA or another PEFT method? One YAML study in, one trustworthy report out.",
    )
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    parser.set_defaults(command=None)

    options = _options(place, "DIR|URL")
    of_study = argparse.ArgumentParser(add_help=False)
    of_study.add_argument("study", type=folder(_ON_MACHINES), metavar="STUDY", help="the study's YAML file")
    planned = _options(folder(_WITHOUT), "DIR")
    of_stored = argparse.ArgumentParser(add_help=False, parents=[options])
    of_stored.add_argument(
        "study", type=place, metavar="STUDY", help="the study's YAML file; or its store alone, or STORE/studies/NAME"
    )
    placed = argparse.ArgumentParser(add_help=False)
    placed.add_argument(
        "--workers", type=_workers, default=1, metavar="N", help="how many workers to place the jobs on (default: 1)"
    )

    run = _add(
        commands,
        "run",
        study.run,
        "check, plan, run what is missing, and show the results; run again to resume",
        of_study,
        options,
    )
    run.add_argument("--dry-run", action="store_true", help="only show the plan")
    run.add_argument(
        "--executor",
        choices=("local", "inline", "ray"),
        help="local: worker processes on this machine (default); inline: in this process; ray: on a cluster",
    )
    run.add_argument(
        "--workers",
        type=_workers,
        metavar="N",
        help="jobs at once (default: one per GPU, else one; with ray, one per GPU of the cluster)",
    )
    run.add_argument("--address", metavar="HOST:PORT", help="the Ray cluster's (default: the one on this machine)")
    run.add_argument(
        "--shard",
        metavar="I/N",
        help="only this machine's share of the jobs, the I-th of N; `tunescope merge` joins the stores",
    )
    run.set_defaults(jobs=False, write_scripts=None, works_on_urls=True)
    check = _add(
        commands,
        "check",
        study.check,
        "find faults before hours are spent; exit 1 and a list if there are any",
        of_study,
        planned,
        placed,
    )
    check.add_argument("--deep", action="store_true", help="also overfit ten examples with every method")
    check.add_argument("--format", choices=("table", "json"), default="table")
    plan = _add(
        commands,
        "plan",
        study.plan,
        "the jobs, their predicted time, memory and disk, and who runs what",
        of_study,
        planned,
        placed,
    )
    plan.add_argument("--jobs", action="store_true", help="list every job, however many")
    plan.add_argument(
        "--write-scripts",
        type=Path,
        metavar="DIR",
        help="write vm1.sh, vm2.sh, ... there: what each of --workers machines runs",
    )
    watching = _add(
        commands,
        "status",
        status.status,
        "what runs, is done, failed and left; every failure with its reason and log",
        of_stored,
    )
    watching.add_argument(
        "--watch",
        type=status.seconds,
        nargs="?",
        const=status.WATCH_S,
        metavar="SECONDS",
        help="keep it on screen, anew every so many seconds (default: %(const)s)",
    )
    results = _add(commands, "results", study.results, "the result table; tidy rows with --format", of_stored)
    results.add_argument(
        "--format",
        choices=("table", "csv", "json", "parquet"),
        help="default: as --output ends (.csv, .json, .jsonl, .parquet, .txt), else table; json is one object a line",
    )
    instead = results.add_mutually_exclusive_group()
    instead.add_argument("--trials", action="store_true", help="the sweeps' trials instead of the runs")
    instead.add_argument(
        "--drift", action="store_true", help="drift instead of scores; rows are every layer and measure"
    )
    instead.add_argument(
        "--probes", action="store_true", help="what runs still say of the study's other tasks, instead of scores"
    )
    instead.add_argument("--retention", action="store_true", help="what runs forgot of plain text instead of scores")
    results.add_argument("--output", type=Path, metavar="FILE", help="write there instead of to the terminal")
    comparing = _add(
        commands,
        "compare",
        compare.compare,
        "which differences are real: of a study, or of any table of scores",
        options,
    )
    comparing.add_argument(
        "source",
        type=place,
        metavar="SOURCE",
        help="a study's YAML file or its store; a CSV, JSON-lines or Parquet file of scores; a folder of PEFT's method-comparison results",
    )
    comparing.add_argument("--measure", metavar="NAME", help="tables of scores: this score alone")
    comparing.add_argument(
        "--reference", metavar="METHOD", help="tables of scores: each method against this one, not all pairs"
    )
    for way in ("lower", "higher"):
        comparing.add_argument(
            f"--{way}-is-better",
            action="append",
            default=[],
            metavar="NAME",
            help=f"tables of scores: {way} is better of this score, where its name does not say; repeatable",
        )
    comparing.add_argument(
        "--alpha",
        type=float,
        default=0.05,
        metavar="SHARE",
        help="chance of a false finding in the family (default: 0.05)",
    )
    comparing.add_argument(
        "--format", choices=("table", "csv", "json", "parquet"), help="default: as --output ends, else table"
    )
    comparing.add_argument("--output", type=Path, metavar="FILE", help="write there instead of to the terminal")
    reporting = _add(
        commands,
        "report",
        report.report,
        "a page with every figure, table and verdict, from the store alone; of two studies, what changed",
        of_stored,
    )
    reporting.add_argument(
        "other", type=place, nargs="?", metavar="OTHER", help="another study or store: what changed from STUDY to it"
    )
    reporting.add_argument(
        "--output", type=Path, metavar="DIR", help="the report's folder (default: report/NAME in the store)"
    )
    reporting.add_argument(
        "--figures",
        default="svg",
        metavar="FORMATS",
        help="formats of the figure files, with commas: svg, pdf, png (default: %(default)s)",
    )
    reporting.add_argument(
        "--without-texts", action="store_true", help="leave out the texts of the data, where it may not be shared"
    )
    drifting = _add(
        commands,
        "drift",
        drift.drift,
        "how far two models are apart: hub ids, checkpoints, adapters or runs of a store",
    )
    drifting.add_argument("base", metavar="BASE", help="a hub id or a folder with a model")
    drifting.add_argument(
        "tuned", metavar="TUNED", help="a hub id, a folder with a model or an adapter, or a run's artifact"
    )
    on = drifting.add_mutually_exclusive_group(required=True)
    on.add_argument("--task", metavar="NAME", help="on this task's report rows (`tunescope list tasks`)")
    on.add_argument(
        "--text", type=Path, metavar="FILE", help="on these texts: blank lines part a .txt; a table has a `text` a row"
    )
    drifting.add_argument(
        "--pooling",
        choices=("last_token", "mean", "first_token", "all_tokens"),
        default="last_token",
        help="how a text's hidden states are read (default: %(default)s)",
    )
    drifting.add_argument("--num-examples", type=_count, metavar="N", help="at most so many examples (default: all)")
    drifting.add_argument("--max-length", type=_count, default=512, metavar="N", help="tokens of a text (default: 512)")
    drifting.add_argument(
        "--weight-directions", action="store_true", help="compare singular directions of the weights too: slower"
    )
    drifting.add_argument("--no-weights", action="store_true", help="leave out the updates of the weights")
    drifting.add_argument("--mirror", type=Path, metavar="DIR", help="a folder that stands in for the hub")
    drifting.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="write every number there: .parquet, .csv or .json; of the weights beside it, as FILE-weights",
    )
    drifting.add_argument("--figure", type=Path, metavar="FILE", help="draw the layers there: .svg, .pdf or .png")
    exporting = _add(
        commands,
        "export",
        export.export,
        "tell a tracker what the store knows of a study; again, only what is new",
        of_stored,
    )
    exporting.add_argument(
        "--to", required=True, choices=("wandb", "mlflow", "tensorboard", "trackio"), help="which tracker"
    )
    exporting.add_argument(
        "--mode", choices=("online", "offline", "disabled"), help="of W&B (default: as the study says, else offline)"
    )
    merging = _add(
        commands, "merge", stores.merge, "join the stores of several machines into one; every file is verified"
    )
    merged = folder("What lies at a URL is one store already, whichever machines made it.")
    merging.add_argument(
        "stores", type=merged, nargs="+", metavar="STORE", help="what to join; nothing in them is changed"
    )
    merging.add_argument(
        "--into", type=merged, required=True, metavar="DIR", help="the store to join them in, new or not"
    )
    merging.add_argument(
        "--prefer",
        type=merged,
        metavar="STORE",
        help="whose copy to take where two stores hold different files of one job",
    )
    clearing = _add(
        commands, "gc", stores.gc, "what of a store nothing needs any more, and why; frees it with --delete"
    )
    cleared = folder("Delete what is not wanted with the storage's own tools, while no run holds it.")
    clearing.add_argument("--store", type=cleared, default=_DEFAULT_STORE, metavar="DIR")
    clearing.add_argument("--delete", action="store_true", help="free it")
    clearing.add_argument(
        "--unwanted", action="store_true", help="also artifacts that no study of the store wants any more"
    )
    listing = _add(commands, "list", start.list_known, "the tasks, methods, metrics or measures of drift there are")
    listing.add_argument("what", choices=("tasks", "methods", "metrics", "measures"))
    init = _add(commands, "init", start.init, "write a commented study to start from")
    init.add_argument("path", type=Path, nargs="?", default=Path("study.yaml"))
    unpacking = _add(
        commands, "unpack", stores.unpack, "write the plain model of a run that keeps it packed (compute.pack_weights)"
    )
    unpacking.add_argument(
        "run", metavar="RUN", help="its artifact folder, or the first digits of its id, four or more"
    )
    unpacking.add_argument("--output", type=Path, required=True, metavar="DIR", help="a folder that is new or empty")
    unpacking.add_argument("--store", type=place, default=_DEFAULT_STORE, metavar="DIR")
    unpacking.add_argument("--mirror", type=Path, metavar="DIR", help="a folder that stands in for the hub")
    unpacking.add_argument(
        "--base",
        metavar="MODEL",
        help="the base model's hub id or folder, where the study named a path that is no longer so",
    )
    verify = _add(commands, "verify", stores.verify, "read every byte of a store and compare it with what was written")
    verify.add_argument("store", type=place, nargs="?", default=_DEFAULT_STORE, metavar="STORE")
    forget = _add(commands, "forget", stores.forget, "delete one artifact, so that the next run makes it anew")
    forget.add_argument("id", metavar="ID", help="the first digits of its id, four or more")
    forgotten = folder(
        "Delete URL/artifacts/KIND/ID with the storage's own tools, and this machine's copy of the store."
    )
    forget.add_argument("--store", type=forgotten, default=_DEFAULT_STORE, metavar="DIR")
    return parser


def _options(store: Callable[[str], Path | str], shown: str) -> argparse.ArgumentParser:
    """What all commands of a study take; `store` is the type of --store."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument(
        "--store",
        type=store,
        default=_DEFAULT_STORE,
        metavar=shown,
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
    return options


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


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number, 1 or more, got {text!r}")
    return int(text)


def _version() -> str:
    from importlib.metadata import version

    return f"tunescope {version('tunescope')}"
