"""Our SQuAD v2 figures against those the official script printed for the same prediction files.

squad_official.json was written by make_squad_official.py, which runs the script. Tolerance 1e-9 of a fraction: both sides
add up the same 11,873 numbers, in another order and in percent, so only rounding in the last digits may differ.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tunescope.errors import DataError
from tunescope.tasks import squad

TOLERANCE = 1e-9
_HERE = Path(__file__).parent
_OFFICIAL: dict[str, Any] = json.loads((_HERE / "squad_official.json").read_text())["cases"]
_PRINTED = sorted(name for name, case in _OFFICIAL.items() if "exact" in case["official"])

pytestmark = pytest.mark.mirror


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_squad_official", _HERE / "make_squad_official.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def dev(mirror: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((mirror / "original/squad_v2/dev-v2.0.json").read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="module")
def gold(maker: ModuleType, dev: dict[str, Any]) -> dict[str, list[str]]:
    answers: dict[str, list[str]] = maker.gold_answers(dev)
    return answers


@pytest.fixture(scope="module")
def cases(maker: ModuleType, dev: dict[str, Any]) -> dict[str, Any]:
    built: dict[str, Any] = maker.cases(dev)
    return built


def test_the_prediction_files_are_those_the_script_was_run_on(maker: ModuleType, cases: dict[str, Any]) -> None:
    assert {name: maker.fingerprint(case) for name, case in cases.items()} == {
        name: case["fingerprint"] for name, case in _OFFICIAL.items()
    }


def test_never_answering_is_the_published_majority_and_gold_is_perfect() -> None:
    assert round(_OFFICIAL["empty"]["official"]["f1"], 2) == 50.07
    assert _OFFICIAL["gold"]["official"]["exact"] == 100.0


@pytest.mark.parametrize("name", _PRINTED)
def test_every_figure_equals_the_official_one(name: str, gold: dict[str, list[str]], cases: dict[str, Any]) -> None:
    case, official = cases[name], dict(_OFFICIAL[name]["official"])
    kept = {key: answers for key, answers in gold.items() if case.question_ids is None or key in case.question_ids}

    scores = squad.score_squad(kept, case.predictions, case.no_answer_scores, case.threshold)
    ours: dict[str, Any] = {
        "exact": scores.exact,
        "f1": scores.f1,
        "total": scores.num_examples,
        "HasAns_exact": scores.has_answer_exact,
        "HasAns_f1": scores.has_answer_f1,
        "HasAns_total": scores.num_has_answer,
        "NoAns_exact": scores.no_answer_accuracy,
        "NoAns_f1": scores.no_answer_accuracy,
        "NoAns_total": scores.num_no_answer,
    }
    if case.no_answer_scores is not None:
        best = squad.best_threshold(kept, case.predictions, case.no_answer_scores)
        assert best.exact_threshold == official.pop("best_exact_thresh")
        assert best.f1_threshold == official.pop("best_f1_thresh")
        ours |= {"best_exact": best.exact, "best_f1": best.f1}

    fractions = {key: value if key.endswith("total") else value / 100 for key, value in official.items()}
    assert ours == pytest.approx(fractions, rel=0, abs=TOLERANCE)


def test_missing_predictions_are_refused_where_the_script_fails(
    gold: dict[str, list[str]], cases: dict[str, Any]
) -> None:
    official = _OFFICIAL["partial"]["official"]
    assert official["exit_code"] != 0

    with pytest.raises(DataError, match=rf"^squad: {official['num_missing']} of 11873 questions have no prediction"):
        squad.score_squad(gold, cases["partial"].predictions)


def test_missing_predictions_allowed_give_the_figures_of_the_questions_that_remain(
    gold: dict[str, list[str]], cases: dict[str, Any]
) -> None:
    official = _OFFICIAL["partial_on_its_questions"]["official"]

    scores = squad.score_squad(gold, cases["partial"].predictions, allow_missing=True)

    assert scores.num_missing == _OFFICIAL["partial"]["official"]["num_missing"]
    assert scores.num_examples == official["total"]
    assert scores.exact == pytest.approx(official["exact"] / 100, abs=TOLERANCE)
    assert scores.f1 == pytest.approx(official["f1"] / 100, abs=TOLERANCE)
    assert scores.has_answer_f1 == pytest.approx(official["HasAns_f1"] / 100, abs=TOLERANCE)
    assert scores.no_answer_accuracy == pytest.approx(official["NoAns_f1"] / 100, abs=TOLERANCE)


@pytest.mark.parametrize("name", ["noisy_probabilities", "noisy_log_odds"])
def test_without_ties_the_chosen_threshold_is_the_official_best(
    name: str, gold: dict[str, list[str]], cases: dict[str, Any]
) -> None:
    # Not for every file: the script charges an answer such as "the" as wrong where no answer is right, though it scores
    # it as right. Such predictions are emptied here, so that both searches see the same gains.
    case = cases[name]
    predictions = {key: text if squad.normalise_answer(text) else "" for key, text in case.predictions.items()}

    best = squad.best_threshold(gold, predictions, case.no_answer_scores)
    chosen = squad.choose_threshold(gold, predictions, case.no_answer_scores)

    assert chosen.threshold == best.f1_threshold
    assert chosen.score == pytest.approx(best.f1, abs=TOLERANCE)
    assert squad.score_squad(gold, predictions, case.no_answer_scores, chosen.threshold).f1 == pytest.approx(
        best.f1, abs=TOLERANCE
    )


def test_with_ties_the_official_best_is_out_of_reach_and_the_chosen_one_is_not(
    gold: dict[str, list[str]], cases: dict[str, Any]
) -> None:
    case = cases["noisy_tied_other_order"]

    best = squad.best_threshold(gold, case.predictions, case.no_answer_scores)
    chosen = squad.choose_threshold(gold, case.predictions, case.no_answer_scores)
    at_best = squad.score_squad(gold, case.predictions, case.no_answer_scores, best.f1_threshold).f1
    at_chosen = squad.score_squad(gold, case.predictions, case.no_answer_scores, chosen.threshold).f1

    assert at_best < best.f1 - TOLERANCE
    assert at_chosen == pytest.approx(chosen.score, abs=TOLERANCE)
    assert at_chosen >= at_best
