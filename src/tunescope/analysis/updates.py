"""A plan and a store -> what each run did to the weights: by parameter, and by block."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunescope.analysis.collect import state_of
from tunescope.drift.kept import WEIGHTS_NAME
from tunescope.store import Store
from tunescope.study.configs import DriftConfig
from tunescope.study.drift_jobs import DriftCell
from tunescope.study.plan import Plan
from tunescope.weights.names import block_of

INTRUDER_THRESHOLD = 0.5
"""Of the thresholds that are kept (0.1 to 0.9), the one told of here: the middle."""


@dataclass(frozen=True, kw_only=True)
class Update:
    """What one run did to one parameter of its base model."""

    base_model: str
    task: str
    method: str
    seed: int
    module: str
    """The parameter's name in the base model."""
    block: int | None
    """Which block it belongs to, counted from 0; None for embeddings, final norm and pooler."""
    num_weights: int
    """Entries of the parameter; 0 of a row that belongs to no single one (module `*`)."""
    update_norm: float | None
    """Frobenius norm of tuned minus base; None, as the numbers below, where the method adds no update (`note` says why)."""
    base_norm: float | None
    relative_norm: float | None
    """update_norm / base_norm; None where the base is all zeros."""
    share_changed: float | None
    """Share of the weights that differ from the base, in [0, 1]."""
    effective_rank: float | None
    """Of the update, for matrices: exp of the entropy of its normalised singular values."""
    stable_rank: float | None
    """Of the update, for matrices: squared Frobenius norm / squared spectral norm."""
    intruders: int | None
    """Left singular directions of the tuned matrix, of its `num_directions` leading ones, whose cosine with every direction of
    the base is below `INTRUDER_THRESHOLD`; None where the study does not look for them (drift.weight_directions)."""
    num_directions: int | None
    """How many leading directions were looked at."""
    random_intruders: int | None
    """The same for a random update of equal norm."""
    note: str
    job: str
    """Id of the drift job."""


@dataclass(frozen=True, kw_only=True)
class BlockUpdate:
    """What one run, or a method's runs in the mean, did to one block."""

    base_model: str
    task: str
    method: str
    seed: int | None
    """None: the mean over the finished seeds."""
    num_seeds: int
    block: int | None
    """Counted from 0; None: everything outside the blocks."""
    num_parameters: int
    """Parameters that are listed: all of the block for a full model, those that an adapter changes for the others."""
    update_norm: float | None
    """sqrt(sum of update_norm^2): comparable between methods, whatever they list."""
    relative_norm: float | None
    """update_norm / sqrt(sum of base_norm^2), of the parameters that are listed."""
    share_changed: float | None
    """Share of the listed parameters' weights that differ from the base."""
    effective_rank: float | None
    """Mean over the block's matrices that changed."""
    stable_rank: float | None
    """Mean over the block's matrices that changed."""
    intruders: float | None
    """Sum over the block's matrices; mean of such sums where `seed` is None."""
    random_intruders: float | None
    jobs: tuple[str, ...]


def collect_updates(plan: Plan, store: Store) -> list[Update]:
    """Every parameter of every run whose weights were measured, in the plan's order."""
    return [row for cell in plan.drift if cell.what == "run" for row in _rows(cell, store)]


def block_updates(updates: Sequence[Update]) -> list[BlockUpdate]:
    """A row per run and block, then a row per method and block with the means over its runs; blocks in order, None last.

    Args:
        updates: As `collect_updates` gives them.
    """
    by_run: dict[tuple[str, str, str, int], dict[int | None, list[Update]]] = {}
    for one in updates:
        by_run.setdefault((one.base_model, one.task, one.method, one.seed), {}).setdefault(one.block, []).append(one)
    runs = [_block(rows) for blocks in by_run.values() for _, rows in sorted(blocks.items(), key=_in_order)]
    by_method: dict[tuple[str, str, str], dict[int | None, list[BlockUpdate]]] = {}
    for block in runs:
        place = (block.base_model, block.task, block.method)
        by_method.setdefault(place, {}).setdefault(block.block, []).append(block)
    means = [_mean_block(rows) for blocks in by_method.values() for _, rows in sorted(blocks.items(), key=_in_order)]
    return [*runs, *means]


def _rows(cell: DriftCell, store: Store) -> Iterator[Update]:
    import pyarrow.parquet as pq

    config = cell.job.config
    assert isinstance(config, DriftConfig)
    if not config.weights or state_of(cell.job, store)[0] != "done":
        return
    folder = store.read_from(cell.job.kind, cell.job.id, WEIGHTS_NAME)
    for row in pq.read_table(folder / WEIGHTS_NAME).to_pylist():
        yield _update(cell, row)


def _update(cell: DriftCell, row: Mapping[str, Any]) -> Update:
    assert cell.method is not None
    return Update(
        base_model=cell.base_model,
        task=cell.task.name,
        method=cell.method,
        seed=cell.seeds[0],
        module=row["module"],
        block=block_of(row["module"]),
        num_weights=math.prod(row["shape"]) if row["shape"] else 0,
        update_norm=row["update_norm"],
        base_norm=row["base_norm"],
        relative_norm=row["relative_norm"],
        share_changed=row["share_changed"],
        effective_rank=row["effective_rank"],
        stable_rank=row["stable_rank"],
        intruders=_at_threshold(row, "intruders_left"),
        num_directions=row["k"],
        random_intruders=_at_threshold(row, "random_intruders_left"),
        note=row["note"],
        job=cell.job.id,
    )


def _at_threshold(row: Mapping[str, Any], column: str) -> int | None:
    counts, thresholds = row[column], row["thresholds"]
    if counts is None or thresholds is None:
        return None
    return int(counts[thresholds.index(INTRUDER_THRESHOLD)])


def _block(rows: Sequence[Update]) -> BlockUpdate:
    """One run's parameters of one block as one row."""
    first = rows[0]
    measured = [row for row in rows if row.update_norm is not None and row.base_norm is not None]
    update = math.sqrt(math.fsum((row.update_norm or 0.0) ** 2 for row in measured))
    base = math.sqrt(math.fsum((row.base_norm or 0.0) ** 2 for row in measured))
    shares = [(row.share_changed, row.num_weights) for row in rows if row.share_changed is not None]
    total = sum(count for _, count in shares)
    return BlockUpdate(
        base_model=first.base_model,
        task=first.task,
        method=first.method,
        seed=first.seed,
        num_seeds=1,
        block=first.block,
        num_parameters=len(rows),
        update_norm=update if measured else None,
        relative_norm=update / base if base else None,
        share_changed=math.fsum(share * count for share, count in shares) / total if total else None,
        effective_rank=_mean([row.effective_rank for row in rows]),
        stable_rank=_mean([row.stable_rank for row in rows]),
        intruders=_sum([row.intruders for row in rows]),
        random_intruders=_sum([row.random_intruders for row in rows]),
        jobs=(first.job,),
    )


def _mean_block(rows: Sequence[BlockUpdate]) -> BlockUpdate:
    first = rows[0]
    return BlockUpdate(
        base_model=first.base_model,
        task=first.task,
        method=first.method,
        seed=None,
        num_seeds=len(rows),
        block=first.block,
        num_parameters=first.num_parameters,
        update_norm=_mean([row.update_norm for row in rows]),
        relative_norm=_mean([row.relative_norm for row in rows]),
        share_changed=_mean([row.share_changed for row in rows]),
        effective_rank=_mean([row.effective_rank for row in rows]),
        stable_rank=_mean([row.stable_rank for row in rows]),
        intruders=_mean([row.intruders for row in rows]),
        random_intruders=_mean([row.random_intruders for row in rows]),
        jobs=tuple(job for row in rows for job in row.jobs),
    )


def _in_order(item: tuple[int | None, object]) -> tuple[bool, int]:
    return item[0] is None, item[0] or 0


def _mean(values: Sequence[float | None]) -> float | None:
    """Over those that there are."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def _sum(values: Sequence[int | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(sum(known)) if known else None
