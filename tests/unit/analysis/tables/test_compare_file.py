"""One function from a source to rankings, whichever kind the source is, and the tidy table of pairs."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from tunescope.analysis.tables.compare_file import compare_scores_file, pairs_as_table
from tunescope.errors import DataError, TunescopeError


def _csv(folder, text):
    path = folder / "scores.csv"
    path.write_text(text, encoding="utf-8")
    return path


_TWO_METRICS = (
    "method,metric,score,num_examples\na,accuracy,0.5,1000\nb,accuracy,0.7,1000\na,em,0.4,1000\nb,em,0.45,1000\n"
)


def test_a_csv_of_scores(tmp_path):
    found = compare_scores_file(_csv(tmp_path, _TWO_METRICS))
    assert [ranking.metric for ranking in found.rankings] == ["accuracy", "em"]
    assert found.family_size == 2
    assert found.source == str(tmp_path / "scores.csv")


def test_a_measure_narrows_the_family(tmp_path):
    path = _csv(tmp_path, _TWO_METRICS)
    found = compare_scores_file(path, measure="em", reference="a", alpha=0.1)
    assert ([ranking.metric for ranking in found.rankings], found.family_size) == (["em"], 1)
    assert (found.reference, found.alpha) == ("a", 0.1)
    with pytest.raises(
        DataError, match=r"no scores of measure 'acuracy'. Did you mean 'accuracy'\? Known: accuracy, em"
    ):
        compare_scores_file(path, measure="acuracy")


@pytest.mark.parametrize("alpha", [0.0, 1.0, 5.0])
def test_alpha_is_a_share(tmp_path, alpha):
    with pytest.raises(TunescopeError, match="alpha: expected a number between 0 and 1"):
        compare_scores_file(_csv(tmp_path, _TWO_METRICS), alpha=alpha)


def test_answers_by_example_are_paired(tmp_path):
    lines = ["method,example_id,correct"]
    lines += [f"a,q{i},{int(i % 10 < 6)}\nb,q{i},{int(i % 10 < 5)}" for i in range(100)]
    found = compare_scores_file(_csv(tmp_path, "\n".join(lines) + "\n"))
    (pair,) = found.rankings[0].pairs
    assert pair.test.p_value == pytest.approx(2 / 2**10)  # ten examples on which only a is right
    assert pair.verdict == "better"


def test_a_file_that_is_not_there(tmp_path):
    for name in ("none.csv", "none.json", "none"):
        with pytest.raises(DataError, match="no such file"):
            compare_scores_file(tmp_path / name)


def test_every_pair_is_a_row_and_what_is_unknown_is_null(tmp_path):
    text = "method,score,num_examples\na,0.5,1000\nb,0.7,1000\nc,,1000\n"
    table = pairs_as_table(compare_scores_file(_csv(tmp_path, text)))
    assert table.schema.field("p_value").type == pa.float64()
    first, *others = table.to_pylist()
    assert (first["above"], first["below"], first["verdict"], first["family_size"]) == ("b", "a", "better", 1)
    assert first["ci_low"] < first["difference"] < first["ci_high"]
    assert first["paired_p_least"] <= first["p_value"] <= first["paired_p_greatest"]
    assert {(row["below"], row["difference"], row["p_value"], row["verdict"]) for row in others} == {
        ("c", None, None, "not estimable")
    }
    assert "row 3 holds no score" in others[0]["reason"]


def test_the_table_of_an_empty_family_keeps_its_columns(tmp_path):
    table = pairs_as_table(compare_scores_file(_csv(tmp_path, "method,score\na,1\nb,2\n")))
    assert table.num_rows == 1
    assert json.loads(json.dumps(table.to_pylist()[0]))["p_value"] is None
