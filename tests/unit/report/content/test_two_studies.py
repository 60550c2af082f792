"""Two studies side by side: a sentence says of how many seeds its difference is, and at what level its interval."""

from __future__ import annotations

from made_study import MadeStudy
from tunescope.analysis.two_studies import Side, compare_two
from tunescope.report.content.two_studies import two_studies_content


def _side(folder, name, accuracy, seeds, model="org/decoder"):
    made = MadeStudy(folder / name, "methods={full: {}}", f"seeds={list(seeds)}", model=model)
    made.run("full", accuracy, seeds=seeds)
    return Side(name=name, plan=made.plan, store=made.store)


def test_a_change_says_what_it_rests_on(tmp_path):
    sides = _side(tmp_path, "old", 0.70, range(1, 9)), _side(tmp_path, "new", 0.85, range(1, 9), model="org/other")
    report = two_studies_content(compare_two(*sides))
    (told,) = report.verdicts
    assert told.text.startswith("full on mrpc (decoder to other) is better in new: +15.")
    assert told.text.endswith("(accuracy, 8 seeds, 95% interval).")


def test_seeds_of_two_counts_are_both_told(tmp_path):
    sides = _side(tmp_path, "old", 0.70, range(1, 4)), _side(tmp_path, "new", 0.85, range(1, 3), model="org/other")
    report = two_studies_content(compare_two(*sides))
    (told,) = (*report.verdicts, *report.undecided)
    assert "2 against 3 seeds" in told.text
