"""A metric's name -> whether more of it is better, and whether the name says so.

Scores of ours are known (`tunescope list metrics`). Elsewhere the words of a name tell: losses, errors, distances, times,
memory and counts of parameters are better when lower, everything else when higher, as scikit-learn has it (`*_loss` and
`*_error` are minimised, `*_score` is maximised, and `neg_` in front turns it round). A rate (`tokens_per_second`) is better
when higher. A name with none of these words is taken for a score, and the output says that this was assumed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from tunescope.study.hypothesis import RUN_MEASURES
from tunescope.tasks.scores import SCORES

_ERRORS = frozenset(
    "loss losses error errors err mae mse rmse mape rmsle msle medae perplexity ppl wer cer ter brier ece mce nll bpb bpc "  # noqa: SIM905
    "deviance entropy logloss crossentropy forgetting drift distance divergence regret".split()
)
_COSTS = frozenset(
    "time runtime duration latency seconds secs sec hours minutes memory mem vram bytes params parameters flops macs cost "  # noqa: SIM905
    "energy emissions co2 carbon kwh joules".split()
)
_UNITS = frozenset("s ms us ns min h gib gb mib mb kib kb".split())  # noqa: SIM905
"""Words for a cost only at the end of a name: `train_s`, `peak_gib`."""
_TIMES = frozenset("s ms sec secs second seconds min minute hour h".split())  # noqa: SIM905
_SCORES = frozenset(
    "score scores accuracy acc f1 f2 fbeta precision recall sensitivity specificity auc auroc auprc roc ap map ndcg mrr bleu "  # noqa: SIM905
    "chrf rouge rouge1 rouge2 rougel rougelsum meteor comet bertscore matthews mcc kappa jaccard dice iou pearson spearman "
    "kendall correlation r2 r exact em match correct hit hits pass win wins reward throughput similarity cka likelihood "
    "variance".split()
)


@dataclass(frozen=True, kw_only=True)
class Direction:
    """Which way a metric is better."""

    is_higher_better: bool
    source: Literal["known", "name", "said", "assumed"]
    """From `tunescope list metrics`, the words of its name, the user; or assumed, for want of all of these."""


def direction_of(metric: str) -> Direction:
    """Which way a metric is better, by what is known of its name."""
    if metric in SCORES:
        return Direction(is_higher_better=SCORES[metric].higher_is_better, source="known")
    if metric in RUN_MEASURES:
        return Direction(is_higher_better=False, source="known")
    words = _words(metric)
    if _is_rate(words):
        return Direction(is_higher_better=True, source="name")
    is_negated = words[:1] == ["neg"]
    if _is_cost(words) or _ERRORS & set(words):
        return Direction(is_higher_better=is_negated, source="name")
    if _SCORES & set(words):
        return Direction(is_higher_better=not is_negated, source="name")
    return Direction(is_higher_better=True, source="assumed")


def has_no_examples(metric: str) -> bool:
    """Whether a metric is a cost or the speed of a run, such as time or memory: its seeds are all there is to sample."""
    words = _words(metric)
    return _is_rate(words) or _is_cost(words)


def is_loss(metric: str) -> bool:
    """Whether a metric is a loss or a distance by its name: no share of answers, even between 0 and 1, as an error rate is."""
    words = _words(metric)
    return bool(_ERRORS & set(words)) and words not in (["error"], ["error", "rate"])


def _is_rate(words: list[str]) -> bool:
    """So much a second; not seconds per step."""
    return "per" in words[1:] and words[-1] in _TIMES and not _is_cost(words[: words.index("per")])


def _is_cost(words: list[str]) -> bool:
    return bool(_COSTS & set(words)) or words[-1:] in [[unit] for unit in _UNITS]


def _words(metric: str) -> list[str]:
    """`evalLoss`, `eval_loss` and `Eval loss` alike: eval, loss; `tokens/s` as tokens per s."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", " ", metric.replace("/", " per "))
    return re.findall(r"[a-z0-9]+", spaced.lower())
