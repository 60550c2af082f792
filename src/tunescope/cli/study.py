"""The commands of a study: run, check, plan, results."""

from __future__ import annotations

import argparse
import shlex

from tunescope.cli.output import console, near, put_line, put_out


def run(arguments: argparse.Namespace) -> int:
    """Checks, plans, runs what is missing, and shows the results."""
    if arguments.dry_run:
        return plan(arguments)
    from tunescope import api
    from tunescope.report.content.numbers import plural
    from tunescope.report.terminal.inert import inert
    from tunescope.report.terminal.progress import RunProgress
    from tunescope.report.terminal.results import result_summary

    terminal = console()
    with RunProgress(terminal) as progress:
        ran = api.run_study(
            arguments.study,
            store=arguments.store,
            mirror=arguments.mirror,
            changes=arguments.changes,
            executor=arguments.executor,
            workers=arguments.workers,
            address=arguments.address,
            shard=arguments.shard,
            on_event=progress.on_event,
        )
    terminal.print(result_summary(ran.rows, ran.plan.study), soft_wrap=False)
    summary = ran.summary
    told = f"{plural(len(summary.done), 'job')} done, {len(summary.reused)} were there, {len(summary.failed)} failed, {len(summary.blocked)} blocked"
    if summary.tolerated:
        told += f", {len(summary.tolerated)} trials failed and count as such"
    if summary.interrupted:
        told += f", {len(summary.left)} left; run the same command to go on"
    told += f" ({summary.duration_s:.1f} s). Store: {ran.store}"
    terminal.print(told, highlight=False, markup=False, soft_wrap=True)
    if summary.interrupted:
        reported = f"not written; of what there is: tunescope report {shlex.quote(str(near(ran.folder)))}"
    elif ran.report is None:
        reported = f"not written: {ran.report_problem}"
    else:
        reported = str(near(ran.report))
    lines = [f"Report: {reported}", *ran.warnings]
    if ran.shard is not None and not summary.interrupted:
        lines.append(
            f"This was shard {ran.shard}. When all {ran.shard.count} are done: tunescope merge STORE... --into DIR, then "
            f"tunescope run {arguments.study} --store DIR, which reports on all of it."
        )
    for line in lines:
        terminal.print(inert(line), highlight=False, markup=False, soft_wrap=True)
    return ran.exit_code


def check(arguments: argparse.Namespace) -> int:
    """Shows what is wrong before hours are spent; 1 if anything is."""
    from tunescope.preflight.check import check_study
    from tunescope.report.terminal.check import check_summary

    report = check_study(
        arguments.study,
        store=arguments.store,
        mirror=arguments.mirror,
        changes=arguments.changes,
        workers=arguments.workers,
        deep=arguments.deep,
    )
    if arguments.format == "json":
        put_line(report.to_json())
    else:
        console().print(check_summary(report))
    return 0 if report.is_clean else 1


def plan(arguments: argparse.Namespace) -> int:
    """Shows the jobs, what they cost, and what the study could find; writes the machines' scripts where asked."""
    from tunescope import api

    if arguments.write_scripts is not None:
        return _write_scripts(arguments)
    from tunescope.report.terminal.plan import plan_summary
    from tunescope.study.known import expected_device

    planned, placement = api.plan_study(
        arguments.study, mirror=arguments.mirror, changes=arguments.changes, workers=arguments.workers or 1
    )
    device = expected_device(planned.study)
    named = f"{device.name}, {device.memory_gib:.1f} GiB"
    measured = api.measured_seed_spread(planned, arguments.store)
    console().print(plan_summary(planned, placement, device=named, every_job=arguments.jobs, measured=measured))
    return 0


def _write_scripts(arguments: argparse.Namespace) -> int:
    from tunescope import api
    from tunescope.report.terminal.inert import inert

    written = api.write_scripts(
        arguments.study,
        arguments.write_scripts,
        workers=arguments.workers,
        store=arguments.store,
        mirror=arguments.mirror,
        changes=arguments.changes,
    )
    for file in written.removed:
        put_line(inert(f"removed {file}, of an earlier division"))
    for file in written.files:
        put_line(inert(f"wrote {file}"))
    for line in written.next_steps:
        put_line(inert(line))
    return 0


def results(arguments: argparse.Namespace) -> int:
    """Shows or writes the results, or the trials of the sweeps."""
    from tunescope import api
    from tunescope.analysis.collect import as_table
    from tunescope.analysis.drift import LayerDrift
    from tunescope.analysis.probes import Probed
    from tunescope.analysis.retention import Retained
    from tunescope.analysis.trials import TrialRow
    from tunescope.report.export.tidy import encoded, output_format
    from tunescope.report.terminal.drift import drift_summary
    from tunescope.report.terminal.probes import probe_summary
    from tunescope.report.terminal.results import result_summary
    from tunescope.report.terminal.retention import retention_summary
    from tunescope.report.terminal.trials import trial_summary

    form = output_format(arguments.format, arguments.output)
    where = {"store": arguments.store, "mirror": arguments.mirror, "changes": arguments.changes}
    if arguments.drift:
        drifts, layers = api.study_drift(arguments.study, **where)
        shown = drift_summary(drifts) if form == "table" else encoded(as_table(layers, LayerDrift), form)
    elif arguments.retention:
        kept = api.study_retention(arguments.study, **where)
        shown = retention_summary(kept) if form == "table" else encoded(as_table(kept, Retained), form)
    elif arguments.probes:
        probed, study = api.study_probes(arguments.study, **where), api.open_study(arguments.study, **where).plan.study
        shown = probe_summary(probed, study) if form == "table" else encoded(as_table(probed, Probed), form)
    elif arguments.trials:
        trials, sweeps = api.study_trials(arguments.study, **where)
        shown = trial_summary(trials, sweeps) if form == "table" else encoded(as_table(trials, TrialRow), form)
    else:
        rows = api.study_results(arguments.study, **where)
        study = api.open_study(arguments.study, **where).plan.study
        shown = result_summary(rows, study) if form == "table" else encoded(as_table(rows), form)
    put_out(shown, arguments.output)
    return 0
