"""Comparisons as sentences: every answer in words, with interval and price, and what would decide the rest."""

from __future__ import annotations

import pytest

from made_findings import made_findings, plan_of
from made_scores import compared_of
from tunescope.report.content.verdicts import answer_words, verdict_sentences
from tunescope.stats.claim import Claim
from tunescope.stats.compare import compare_scores, not_comparable
from tunescope.stats.verdict import Verdict, verdicts

LOW = [0.700, 0.702, 0.698, 0.701, 0.699, 0.700, 0.703, 0.697]
HIGH = [0.751, 0.749, 0.752, 0.750, 0.748, 0.753, 0.750, 0.747]


def _rows(seeds="[1, 2, 3]"):
    return made_findings(plan_of()).rows


def _told(measure, a, b, claim=None, *, is_declared=True, model="org/decoder"):
    comparison = compare_scores(
        a, b, paired=True, claim=claim, higher_is_better=measure == "accuracy", num_resamples=199
    )
    (verdict,) = verdicts([comparison])
    one = compared_of(model, "mrpc", measure, "lora", "full", comparison, verdict, is_declared=is_declared)
    decided, undecided = verdict_sentences([one], _rows())
    return one, decided, undecided


@pytest.mark.parametrize(
    "a, b, claim, begins",
    [
        (HIGH, LOW, None, "lora is better than full on mrpc: +5.0 points [4.8, 5.2] (accuracy, 8 seeds, 95% interval)"),
        (
            LOW,
            HIGH,
            None,
            "lora is worse than full on mrpc: -5.0 points [-5.2, -4.8] (accuracy, 8 seeds, 95% interval)",
        ),
        (
            LOW,
            LOW[1:] + LOW[:1],
            Claim(kind="equivalent_within", bound=0.03),
            "lora is equivalent to full on mrpc within 3 points: +0.0 points [-0.2, 0.2] (accuracy, 8 seeds, 90% interval)",
        ),
        (
            HIGH,
            LOW,
            Claim(kind="not_worse_by", bound=0.01),
            "lora is not worse than full on mrpc by 1 point or more: +5.0 points",
        ),
    ],
)
def test_what_is_decided_of_a_score(a, b, claim, begins):
    _, decided, undecided = _told("accuracy", a, b, claim)
    assert undecided == ()
    assert decided[0].text.startswith(begins)
    assert decided[0].text.endswith(", at 1/900 of the trained parameters, 0.6 times the training time.")
    assert decided[0].anchor == "comparison-1"


@pytest.mark.parametrize(
    "measure, claim, begins",
    [
        ("drift", None, "lora drifts less than full on mrpc: -0.05 [-0.0521, -0.0479] (8 seeds, 95% interval)"),
        ("train_s", None, "lora trains in less time than full on mrpc: -0.05 s [-0.0521, -0.0479] (8 seeds"),
        (
            "drift",
            Claim(kind="ratio_below", bound=0.95),
            "the drift of lora on mrpc is at least 5% lower than that of full: 0.93 times that of full [0.93, 0.94] (8 seeds, 90% interval)",
        ),
    ],
)
def test_what_is_decided_of_a_run(measure, claim, begins):
    _, decided, _ = _told(measure, LOW, HIGH, claim)
    assert decided[0].text.startswith(begins)
    assert ("training time" in decided[0].text) is (measure != "train_s")


def test_a_higher_cost_is_told_as_such():
    _, decided, _ = _told("drift", HIGH, LOW)
    assert decided[0].text.startswith("lora drifts more than full on mrpc: +0.05")
    assert decided[0].tone == ""
    one, decided, _ = _told("drift", HIGH, LOW, Claim(kind="ratio_above", bound=1.05))
    assert decided[0].text.startswith(
        "the drift of lora on mrpc is at least 5% higher than that of full: 1.1 times that of full [1.1, 1.1]"
    )
    assert answer_words(one) == "A at least 5% higher"


def test_what_is_undecided_says_why_and_what_would_decide_it():
    one, decided, undecided = _told("accuracy", HIGH[:3], LOW[:3])
    assert decided == ()
    assert undecided[0].text == (
        "Undecided: whether lora and full differ in accuracy on mrpc: +5.1 points [4.2, 5.9] (accuracy, 3 seeds, 95% interval). "
        "3 seeds allow no p below 0.25; 6 would."
    )
    assert undecided[0].tone == "doubt"
    assert one.verdict.why == "3 seeds allow no p below 0.25; 6 would"
    assert one.verdict.why in one.verdict.sentence


def test_a_claim_that_its_interval_contradicts_is_not_called_undecided():
    one, _, undecided = _told("accuracy", HIGH, LOW, Claim(kind="equivalent_within", bound=0.03))
    assert undecided[0].text.startswith(
        "Not borne out: whether lora is equivalent to full on mrpc within 3 points: +5.0 points"
    )
    assert answer_words(one) == "equivalent within 3 points: not borne out"
    assert "The whole interval lies on the other side of the bound" in undecided[0].text


def test_arms_have_their_names_where_the_words_are_ours():
    why = "B has one seed, and nothing shows how far another seed of B would score"
    verdict = Verdict(answer="undecided", p_value=0.01, adjusted_p=0.01, sentence=f"A - B = 1: {why}.", why=why)
    comparison = compare_scores([0.7, 0.72], [0.8, 0.81], paired=False)
    one = compared_of("org/decoder", "mrpc", "accuracy", "lora", "full", comparison, verdict)
    (told,) = verdict_sentences([one], _rows())[1]
    assert told.text.endswith(" full has one seed, and nothing shows how far another seed of full would score.")


def test_what_is_not_estimable_keeps_the_jobs_own_words():
    comparison = not_comparable("1 of 6 runs are not there, the first: lora seed 1: A kernel failed on block B")
    (verdict,) = verdicts([comparison])
    one = compared_of("org/decoder", "mrpc", "accuracy", "lora", "full", comparison, verdict)
    (told,) = verdict_sentences([one], ())[1]
    assert told.text.endswith("lora seed 1: A kernel failed on block B.")
    assert told.text.startswith("Not estimable: whether lora and full differ in accuracy on mrpc: 1 of 6 runs")
    assert verdict.why == comparison.reason
    assert answer_words(one) == "not estimable"


def test_exploratory_ones_and_several_base_models_say_so():
    one, decided, _ = _told("accuracy", HIGH, LOW, is_declared=False)
    assert "(accuracy, 8 seeds, 95% interval, exploratory)" in decided[0].text
    other = compared_of("org/encoder", "mrpc", "accuracy", "lora", "full", one.comparison, one.verdict)
    decided, _ = verdict_sentences([one, other], _rows())
    assert [sentence.text.split(":")[0] for sentence in decided] == [
        "lora is better than full on mrpc (decoder)",
        "lora is better than full on mrpc (encoder)",
    ]
    assert "trained parameters" not in decided[1].text, "nothing is known of what it cost"


def test_no_price_is_told_where_none_is_known():
    one, _, _ = _told("accuracy", HIGH, LOW)
    decided, _ = verdict_sentences([one], ())
    assert decided[0].text.endswith("95% interval).")


def test_many_verdicts_are_counted():
    one, _, _ = _told("accuracy", HIGH, LOW)
    decided, undecided = verdict_sentences([one] * 25, _rows())
    assert (len(decided), decided[-1].text) == (21, "5 more: see the table of comparisons.")
    assert undecided == ()
    one, _, _ = _told("accuracy", HIGH[:3], LOW[:3])
    _, undecided = verdict_sentences([one] * 25, _rows())
    assert [told.text for told in undecided] == [
        "On mrpc, 25 of 25 comparisons are undecided or not estimable: the table of comparisons says why."
    ]


def test_an_undecided_claim_names_the_bound():
    one, _, undecided = _told("accuracy", HIGH, LOW, Claim(kind="equivalent_within", bound=0.05))
    assert undecided[0].text.startswith(
        "Undecided: whether lora is equivalent to full on mrpc within 5 points: +5.0 points"
    )
    assert answer_words(one) == "equivalent within 5 points: undecided"
