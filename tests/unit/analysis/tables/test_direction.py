"""Which way a metric is better follows from its name, as scikit-learn's users name them."""

from __future__ import annotations

import pytest

from tunescope.analysis.tables.direction import direction_of, has_no_examples, is_loss
from tunescope.study.hypothesis import RUN_MEASURES
from tunescope.tasks.scores import SCORES


@pytest.mark.parametrize(
    "metric",
    "loss|eval_loss|evalLoss|train loss|mse|RMSE|val.mae|mean_squared_error|max_error|log_loss|brier_score_loss|Perplexity|wer|"  # noqa: SIM905
    "forgetting|train_s|train_time|train_runtime|latency_ms|peak_memory_gib|cuda_memory_max|num_trainable_params|"
    "seconds_per_step|loss_per_token|neg_accuracy".split("|"),
)
def test_lower_is_better(metric):
    assert not direction_of(metric).is_higher_better
    assert direction_of(metric).source in ("known", "name")


@pytest.mark.parametrize(
    "metric",
    "accuracy|test accuracy|eval/acc|score|f1_macro|bleu|rougeLsum|roc_auc|r2|explained_variance_score|neg_log_loss|"  # noqa: SIM905
    "neg_mean_squared_error|tokens_per_second|samples/s|log-likelihood|pass@1".split("|"),
)
def test_higher_is_better(metric):
    assert direction_of(metric).is_higher_better
    assert direction_of(metric).source in ("known", "name")


@pytest.mark.parametrize("metric", ["hausdorff", "val", "ms_marco", "min_gap"])
def test_a_name_that_says_nothing_is_assumed_to_be_a_score(metric):
    assert (direction_of(metric).is_higher_better, direction_of(metric).source) == (True, "assumed")


def test_both_routes_agree_on_our_own_measures():
    assert all(direction_of(name).is_higher_better == score.higher_is_better for name, score in SCORES.items())
    assert not any(direction_of(name).is_higher_better for name in RUN_MEASURES)


def test_costs_have_no_examples_and_losses_are_no_shares():
    assert all(has_no_examples(name) for name in ("train_s", "peak_memory_gib", "latency", "tokens_per_second"))
    assert not any(has_no_examples(name) for name in ("accuracy", "eval_loss", "drift", "score"))
    assert all(is_loss(name) for name in ("eval_loss", "rmse", "max_error"))
    assert not any(is_loss(name) for name in ("error", "error rate", "accuracy"))
