"""`tunescope compare SOURCE`: results that are not from a store -> rankings, and those as tidy tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunescope.analysis.tables.peft_comparison import is_peft_comparison, read_peft_comparison
from tunescope.analysis.tables.rankings import Pair, Ranking, Rankings, rank_all
from tunescope.analysis.tables.scores_file import ScoreTable, read_scores_file
from tunescope.errors import DataError, TunescopeError, did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa


def compare_scores_file(
    source: Path,
    *,
    measure: str | None = None,
    reference: str | None = None,
    alpha: float = 0.05,
    higher_is_better: Mapping[str, bool] | None = None,
) -> Rankings:
    """Which methods of a table of scores really differ.

    Args:
        source: A folder, or one file, of PEFT's method-comparison results; or a CSV, TSV, JSON-lines or Parquet file of scores or
            of answers by example (see `scores_file`), such as `tunescope results --format csv` writes.
        measure: One metric only; where None, `test accuracy` of PEFT's results and every metric of a file.
        reference: Compare every method with this one only, not all pairs.
        alpha: Chance of one or more false findings among all comparisons made.
        higher_is_better: By metric, where its name does not say or says it wrongly (`direction`).

    Raises:
        TunescopeError: If the source is missing or not what it must be, nothing in it can be compared, or an argument is wrong.
    """
    if not 0 < alpha < 1:
        raise TunescopeError(f"alpha: expected a number between 0 and 1, found {alpha:g}. Usual is 0.05.")
    if is_peft_comparison(source):
        table = read_peft_comparison(source, measure)
    else:
        table = _only(read_scores_file(source), measure)
    return rank_all(table, reference=reference, alpha=alpha, higher_is_better=higher_is_better)


def pairs_as_table(rankings: Rankings) -> pa.Table:
    """A row per comparison: estimate, interval, p-values and verdict; intervals and p-values are null where there are none."""
    import pyarrow as pa

    kinds = {"str": pa.string(), "bool": pa.bool_(), "float": pa.float64(), "int": pa.int64()}
    schema = pa.schema([(name, kinds[kind]) for name, kind in _PAIR_COLUMNS.items()])
    rows = [_pair_row(pair, ranking, rankings) for ranking in rankings.rankings for pair in ranking.pairs]
    return pa.Table.from_pylist(rows, schema=schema)


def _only(table: ScoreTable, measure: str | None) -> ScoreTable:
    metrics = {row.metric for row in table.rows}
    if measure is None:
        return table
    if measure not in metrics:
        raise DataError(f"{table.source}: no scores of measure '{measure}'. {did_you_mean(measure, metrics)}")
    return replace(table, rows=tuple(row for row in table.rows if row.metric == measure))


_PAIR_COLUMNS = {
    "task": "str",
    "metric": "str",
    "is_higher_better": "bool",
    "above": "str",
    "below": "str",
    "is_adjacent": "bool",
    "difference": "float",
    "ci_low": "float",
    "ci_high": "float",
    "level": "float",
    "p_value": "float",
    "smallest_p": "float",
    "p_holm": "float",
    "family_size": "int",
    "verdict": "str",
    "units": "str",
    "paired_p_least": "float",
    "paired_p_greatest": "float",
    "holm_least": "float",
    "holm_greatest": "float",
    "interval_method": "str",
    "test_method": "str",
    "reason": "str",
}


def _pair_row(pair: Pair, ranking: Ranking, rankings: Rankings) -> dict[str, Any]:
    return {
        "task": pair.task,
        "metric": pair.metric,
        "is_higher_better": ranking.is_higher_better,
        "above": pair.above,
        "below": pair.below,
        "is_adjacent": pair.is_adjacent,
        "difference": pair.difference.value,
        "ci_low": pair.difference.ci_low,
        "ci_high": pair.difference.ci_high,
        "level": pair.difference.level,
        "p_value": pair.test.p_value,
        "smallest_p": pair.test.smallest_p,
        "p_holm": pair.p_holm,
        "family_size": rankings.family_size,
        "verdict": pair.verdict,
        "units": pair.units,
        "paired_p_least": None if pair.pairing is None else pair.pairing.least_p,
        "paired_p_greatest": None if pair.pairing is None else pair.pairing.greatest_p,
        "holm_least": pair.holm_least,
        "holm_greatest": pair.holm_greatest,
        "interval_method": pair.difference.method,
        "test_method": pair.test.method,
        "reason": pair.reason,
    }
