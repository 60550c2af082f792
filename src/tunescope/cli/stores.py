"""The commands of a store: merge, gc, verify, forget, unpack."""

from __future__ import annotations

import argparse

from tunescope.cli.output import console, put_line


def merge(arguments: argparse.Namespace) -> int:
    """Joins stores into one."""
    from tunescope import api
    from tunescope.report.terminal.merge import merge_summary

    merged = api.merge_stores(arguments.stores, into=arguments.into, prefer=arguments.prefer)
    console().print(merge_summary(merged), soft_wrap=True)
    return 0


def gc(arguments: argparse.Namespace) -> int:
    """Shows what nothing needs any more, and deletes it with --delete."""
    from tunescope import api
    from tunescope.report.terminal.garbage import garbage_summary

    found = api.collect_garbage(arguments.store, delete=arguments.delete, unwanted=arguments.unwanted)
    console().print(garbage_summary(found))
    return 0


def verify(arguments: argparse.Namespace) -> int:
    """Names what is not as it was written; 1 if anything is not."""
    from tunescope import api

    found = api.verify_store(arguments.store)
    for problem in found.problems:
        put_line(problem)
    put_line(
        f"{found.num_whole} artifacts are whole ({found.num_bytes / 2**30:.2f} GiB), {len(found.problems)} are not"
    )
    return 1 if found.problems else 0


def forget(arguments: argparse.Namespace) -> int:
    """Deletes one artifact."""
    from tunescope import api

    for name in api.forget(arguments.id, store=arguments.store):
        put_line(f"forgot {name}; the next run makes it anew")
    return 0


def unpack(arguments: argparse.Namespace) -> int:
    """Writes the plain model of a run that keeps it packed."""
    from tunescope import api

    written = api.unpack_run(
        arguments.run, arguments.output, store=arguments.store, mirror=arguments.mirror, base=arguments.base
    )
    put_line(f"wrote {written}: config, model.safetensors and tokenizer, every tensor as it was trained")
    return 0
