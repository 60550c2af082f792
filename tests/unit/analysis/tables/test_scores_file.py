"""Anyone's scores become rows; what a file has wrong is told with its row, what was expected and what to do."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tunescope.analysis.collect import ResultRow, as_table
from tunescope.analysis.tables.scores_file import read_scores_file
from tunescope.errors import DataError


def _file(folder, text, name="scores.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def _refused(folder, text, *words, name="scores.csv"):
    with pytest.raises(DataError) as caught:
        read_scores_file(_file(folder, text, name))
    message = str(caught.value)
    for word in words:
        assert word in message
    assert message.startswith(str(folder))


def test_scores_with_all_columns(tmp_path):
    table = read_scores_file(
        _file(
            tmp_path,
            "method,task,metric,seed,score,num_examples\nlora,rte,accuracy,1,0.5,277.0\nfull,rte,accuracy,2,1,277\n",
        )
    )
    first, second = table.rows
    assert (first.method, first.task, first.metric, first.seed) == ("lora", "rte", "accuracy", 1)
    assert (first.value, first.num_examples, second.value) == (0.5, 277, 1.0)
    assert "1 of 2 scores are no whole number of num_examples" in table.notes[0]  # 138.5 of 277


def test_scores_with_the_least_columns(tmp_path):
    table = read_scores_file(_file(tmp_path, "method\tscore\na\t3.5\nb\t\n", "scores.tsv"))
    assert [(row.method, row.value, row.metric, row.seed, row.num_examples) for row in table.rows] == [
        ("a", 3.5, "score", None, None),
        ("b", None, "score", None, None),
    ]
    assert table.rows[1].reason == "row 2 holds no score"
    assert table.notes == ()


@pytest.mark.parametrize("form", ["jsonl", "json", "parquet"])
def test_other_formats_say_the_same(tmp_path, form):
    rows = [{"method": "a", "score": 0.25, "num_examples": 8, "seed": 1}, {"method": "b", "score": 0.5, "seed": None}]
    path = tmp_path / f"scores.{form}"
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    first, second = read_scores_file(path).rows
    assert (first.value, first.num_examples, first.seed, second.value, second.num_examples) == (0.25, 8, 1, 0.5, None)


def test_answers_by_example(tmp_path):
    text = "method,seed,example_id,correct\n" + "".join(
        f"{method},1,q{i},{right}\n"
        for method, answers in (("a", "1101"), ("b", "0101"))
        for i, right in enumerate(answers)
    )
    a, b = read_scores_file(_file(tmp_path, text)).rows
    assert (a.value, a.num_examples, a.metric) == (0.75, 4, "accuracy")
    assert dict(b.by_example) == {"q0": 0.0, "q1": 1.0, "q2": 0.0, "q3": 1.0}


@pytest.mark.parametrize("word, value", [("true", 1.0), ("False", 0.0), ("1.0", 1.0), ("0", 0.0)])
def test_right_and_wrong_may_be_words(tmp_path, word, value):
    (row,) = read_scores_file(_file(tmp_path, f"method,example_id,correct\na,q,{word}\n")).rows
    assert row.value == value


def test_graded_answers(tmp_path):
    (row,) = read_scores_file(_file(tmp_path, "method,example_id,score\na,q,0.25\na,r,0.75\n")).rows
    assert (row.value, row.metric) == (0.5, "score")


def _our_row(**changes):
    values = dict.fromkeys(ResultRow.__dataclass_fields__)
    values |= {"study": "s", "base_model": "org/m", "task": "rte", "kind": "run", "method": "lora", "seed": 1}
    values |= {
        "metric": "accuracy",
        "value": 0.5,
        "num_examples": 276,
        "state": "done",
        "reason": "",
        "flags": "",
        "job": "j",
    }
    return ResultRow(**(values | changes))


def test_our_own_results_are_read_as_written(tmp_path):
    import pyarrow.csv

    rows = [
        _our_row(),
        _our_row(metric="f1", value=0.61),
        _our_row(metric="matthews", value=-0.2),
        _our_row(seed=2, value=None, state="failed", reason="the loss is nan", num_examples=None),
        _our_row(kind="baseline", method="majority", seed=None),
    ]
    path = tmp_path / "results.csv"
    pyarrow.csv.write_csv(as_table(rows), path)
    table = read_scores_file(path)
    accuracy, f1, matthews, failed = table.rows
    assert (accuracy.task, accuracy.value, accuracy.num_examples) == ("rte", 0.5, 276)
    assert (f1.num_examples, matthews.num_examples, matthews.value) == (None, None, -0.2)  # no shares of examples
    assert (failed.value, failed.reason) == (None, "failed: the loss is nan")
    assert table.notes == ("left out: 1 rows of baselines or trials",)


def test_our_own_results_of_two_base_models_are_two_tasks(tmp_path):
    path = tmp_path / "results.parquet"
    pq.write_table(as_table([_our_row(), _our_row(base_model="org/n")]), path)
    assert [row.task for row in read_scores_file(path).rows] == ["rte (org/m)", "rte (org/n)"]


def test_trials_alone_are_nothing_to_compare(tmp_path):
    path = tmp_path / "results.parquet"
    pq.write_table(as_table([_our_row(kind="trial")]), path)
    with pytest.raises(DataError, match=r"expected rows of kind 'run', found 1 of other kinds only.*tunescope results"):
        read_scores_file(path)


def test_missing_columns(tmp_path):
    _refused(tmp_path, "model,score\na,1\n", "column 'method' is missing", "Found: model, score", "example_id, correct")
    _refused(tmp_path, "method,accuracy\na,1\n", "column 'score' is missing", "Found: method, accuracy")
    _refused(tmp_path, "method,example_id,answer\na,1,x\n", "column 'score' is missing")
    _refused(tmp_path, "method,value\na,1\n", "column 'kind' is missing", "tunescope results")


def test_text_where_a_number_belongs(tmp_path):
    _refused(
        tmp_path, "method,score\na,1\nb,high\n", "row 2", "'score' holds 'high'", "expected a number", "Correct it"
    )
    _refused(tmp_path, "method,score\na,nan\n", "row 1", "'nan'", "a finite number", "leave it empty")
    _refused(tmp_path, "method,score,seed\na,1,1.5\n", "'seed' holds '1.5'", "a whole number")
    _refused(tmp_path, "method,score,num_examples\na,1,0\n", "'num_examples' holds '0'", "1 or more")
    _refused(tmp_path, "method,example_id,correct\na,q,maybe\n", "'correct' holds 'maybe'", "0, 1, true or false")
    _refused(tmp_path, "method,example_id,correct\na,q,\n", "'correct' holds ''", "0, 1, true or false")
    _refused(tmp_path, "method,example_id,score\na,q,\n", "row 1", "expected a number")
    _refused(tmp_path, "method,score\n,1\n", "row 1", "column 'method' is empty")


def test_a_score_outside_its_range(tmp_path):
    _refused(
        tmp_path, "method,score,num_examples\na,48.5,1319\n", "row 1", "holds 48.5", "between 0 and 1", "divide by 100"
    )
    _refused(tmp_path, "method,score,num_examples\na,-0.1,1319\n", "holds -0.1", "Leave num_examples empty")
    assert read_scores_file(_file(tmp_path, "method,score\na,48.5\n")).rows[0].value == 48.5


def test_the_same_thing_twice(tmp_path):
    header = "method,task,seed,score\n"
    _refused(tmp_path, header + "a,rte,1,0.5\na,rte,1,0.6\n", "rte a score seed 1 has two rows", "Keep one", "'seed'")
    _refused(tmp_path, "method,example_id,correct\na,q,1\na,q,1\n", "row 2", "example 'q' twice")
    assert len(read_scores_file(_file(tmp_path, header + "a,rte,1,0.5\na,rte,2,0.6\na,mrpc,1,0.5\n")).rows) == 3


def test_unequal_examples(tmp_path):
    text = "method,example_id,correct\na,q1,1\na,q2,0\nb,q1,1\nb,q3,1\nb,q4,1\n"
    _refused(
        tmp_path,
        text,
        "a accuracy has 2 examples and b accuracy has 3",
        "3 are in only one",
        "q2, q3, q4",
        "add what is missing",
    )


def test_nothing_to_read(tmp_path):
    _refused(tmp_path, "", "empty file")
    _refused(tmp_path, "method,score\n", "expected a row per score, found none", "Columns: method, score")
    _refused(tmp_path, "x", "cannot tell the format", name="scores.xlsx")
    with pytest.raises(DataError, match="no such file"):
        read_scores_file(tmp_path / "none.csv")


def test_a_loss_is_no_share_of_examples(tmp_path):
    text = "method,metric,score,num_examples\na,eval_loss,1.03,277\nb,eval_loss,0.53,277\nc,error rate,0.53,277\n"
    rows = read_scores_file(_file(tmp_path, text)).rows
    assert [row.num_examples for row in rows] == [None, None, 277]


def test_percent_beside_shares_is_said(tmp_path):
    (note,) = read_scores_file(_file(tmp_path, "method,score\na,83.1\nb,0.81\n")).notes
    assert note.startswith("score: scores from 0.81 to 83.1: are percent and shares of one mixed?")
    assert read_scores_file(_file(tmp_path, "method,score\na,83.1\nb,81\n")).notes == ()
    assert read_scores_file(_file(tmp_path, "method,metric,score\na,loss,83.1\nb,loss,0.1\n")).notes == ()
