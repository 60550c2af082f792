"""PEFT's result files become rows: the size of the test set deduced, failed runs without a score, other files refused."""

from __future__ import annotations

import json

import pytest

from tunescope.analysis.tables.compare_file import compare_scores_file
from tunescope.analysis.tables.peft_comparison import is_peft_comparison, least_common_size, read_peft_comparison
from tunescope.errors import DataError


def _result(name="lora/rank8", correct=640, *, size=1319, seed=0, status="success", model="org/m", **settings):
    curve = [{"step": 250, "valid accuracy": 0.4, "train loss": 0.8}]
    last = {"step": 500, "test accuracy": correct / size, "train loss": 0.7, "forgetting": 0.02}
    return {
        "run_info": {
            "experiment_name": name,
            "train_config": {"model_id": model, "seed": seed, **settings},
            "error_msg": "" if status == "success" else "CUDA out of memory",
        },
        "train_info": {"status": status, "metrics": curve + ([last] if status == "success" else [])},
        "meta_info": {"dataset_info": {"metamath": {"sha": "a"}, "gsm8k": {"sha": "b"}}},
    }


def _folder(folder, *results):
    for place, result in enumerate(results):
        (folder / f"{place}.json").write_text(json.dumps(result), encoding="utf-8")
    return folder


def test_a_row_an_experiment_from_the_last_entry(tmp_path):
    table = read_peft_comparison(_folder(tmp_path, _result(), _result("full/lr", 700)))
    assert [(row.method, row.value, row.num_examples, row.seed) for row in table.rows] == [
        ("lora/rank8", 640 / 1319, 1319, 0),
        ("full/lr", 700 / 1319, 1319, 0),
    ]
    assert {(row.task, row.metric) for row in table.rows} == {("gsm8k (org/m)", "test accuracy")}
    assert "all 2 accuracies are exact multiples of 1/1319" in table.notes[0]
    assert "1,319 is the size of GSM8K's test set" in table.notes[0]


def test_another_test_set_has_the_least_size_that_fits_and_says_so(tmp_path):
    table = read_peft_comparison(_folder(tmp_path, _result(correct=7, size=50), _result("full/lr", 12, size=50)))
    assert {row.num_examples for row in table.rows} == {50}
    assert "50 is the least number of which all 2 accuracies are exact multiples" in table.notes[0]


def test_shares_of_nothing_have_no_size_and_nothing_is_estimable(tmp_path):
    folder = _folder(tmp_path, _result(correct=3**-0.5, size=1), _result("full/lr", 2**-0.5, size=1))
    table = read_peft_comparison(folder)
    assert {row.num_examples for row in table.rows} == {None}
    assert "no sampling error can be given" in table.notes[0]
    (ranking,) = compare_scores_file(folder).rankings
    assert {pair.verdict for pair in ranking.pairs} == {"not estimable"}


def test_a_failed_run_has_its_reason_and_no_score(tmp_path):
    folder = _folder(tmp_path, _result(), _result("full/lr", 600), _result("vera/x", status="canceled"))
    failed = read_peft_comparison(folder).rows[2]
    assert (failed.value, failed.reason) == (None, "the run is canceled: CUDA out of memory")
    (ranking,) = compare_scores_file(folder).rankings
    assert (ranking.entries[2].method, ranking.entries[2].rank) == ("vera/x", None)
    assert ranking.entries[1].rank_high == 2  # of two ranked ones, not three


def test_another_measure_has_no_sampling_error(tmp_path):
    table = read_peft_comparison(_folder(tmp_path, _result(), _result("full/lr")), "forgetting")
    assert {(row.metric, row.value, row.num_examples) for row in table.rows} == {("forgetting", 0.02, None)}


def test_settings_that_differ_are_said(tmp_path):
    table = read_peft_comparison(_folder(tmp_path, _result(lr=1), _result("full/lr", lr=2)))
    assert table.notes[-1] == "not the same in all runs, besides the method: lr (2 values)"


def test_two_base_models_are_two_tasks(tmp_path):
    table = read_peft_comparison(_folder(tmp_path, _result(), _result(model="org/n")))
    assert [row.task for row in table.rows] == ["gsm8k (org/m)", "gsm8k (org/n)"]


def test_one_file_alone_is_read_too(tmp_path):
    path = _folder(tmp_path, _result()) / "0.json"
    assert is_peft_comparison(path)
    assert len(read_peft_comparison(path).rows) == 1
    with pytest.raises(DataError, match=r"expected two methods or more .* found lora/rank8"):
        compare_scores_file(path)


def test_json_lines_are_not_taken_for_a_result(tmp_path):
    path = tmp_path / "scores.json"
    path.write_text('{"method": "a", "score": 1}\n{"method": "b", "score": 2}\n', encoding="utf-8")
    assert not is_peft_comparison(path)
    path.write_text('{"method": "a", "score": 1}\n', encoding="utf-8")
    assert not is_peft_comparison(path)


def test_a_folder_without_results(tmp_path):
    with pytest.raises(DataError, match=r"expected PEFT's method-comparison results .* found nothing"):
        read_peft_comparison(tmp_path)
    (tmp_path / "scores.csv").write_text("method,score\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"found scores.csv. A table of scores is given as a file"):
        read_peft_comparison(tmp_path)
    with pytest.raises(DataError, match="no such file or folder"):
        read_peft_comparison(tmp_path / "none")


def test_json_of_another_kind(tmp_path):
    folder = _folder(tmp_path, _result(), {"model": "x", "results": {}})
    with pytest.raises(DataError, match=r"1.json: a JSON file of another kind: .* found model, results. Move it out"):
        read_peft_comparison(folder)
    with pytest.raises(DataError, match="a JSON file of another kind"):
        compare_scores_file(folder / "1.json")
    (folder / "1.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(DataError, match="found a list"):
        read_peft_comparison(folder)
    (folder / "1.json").write_text('{"run_info": ', encoding="utf-8")
    with pytest.raises(DataError, match="cannot be read"):
        read_peft_comparison(folder)


@pytest.mark.parametrize(
    "section, key, value, words",
    [
        ("run_info", "experiment_name", None, "run_info.experiment_name: expected a str, found None"),
        ("run_info", "train_config", [], r"run_info.train_config: expected a dict, found \[\]"),
        ("train_info", "status", 1, "train_info.status: expected a str, found 1"),
        ("train_info", "metrics", {}, "train_info.metrics: expected a list, found {}"),
        ("train_info", "metrics", [], "'test accuracy': expected a number, found nothing"),
        ("train_info", "metrics", [{"test accuracy": "high"}], "'test accuracy': expected a number, found 'high'"),
        ("train_info", "metrics", [{"test accuracy": 48.5}], "expected a share between 0 and 1, found 48.5"),
    ],
)
def test_a_result_with_a_hole_says_where(tmp_path, section, key, value, words):
    result = _result()
    result[section][key] = value
    with pytest.raises(DataError, match=words):
        read_peft_comparison(_folder(tmp_path, _result("full/lr"), result))


def test_an_unknown_measure_names_those_there_are(tmp_path):
    with pytest.raises(DataError, match=r"'forgeting': expected a number, found nothing. Did you mean 'forgetting'\?"):
        read_peft_comparison(_folder(tmp_path, _result()), "forgeting")


def test_the_same_experiment_twice(tmp_path):
    with pytest.raises(
        DataError, match=r"experiment 'lora/rank8' with seed 0 is in 0.json already. Keep the later one"
    ):
        read_peft_comparison(_folder(tmp_path, _result(), _result(correct=1)))
    (tmp_path / "1.json").write_text(json.dumps(_result(seed=1)), encoding="utf-8")
    assert len(read_peft_comparison(tmp_path).rows) == 2


def test_least_common_size():
    assert least_common_size([1 / 3, 0.25]) == 12
    assert least_common_size([640 / 1319, 0.0, 1.0]) == 1319
    assert least_common_size([0.5], most=1) is None
    for wrong in ([], [1.5]):
        with pytest.raises(ValueError, match="expected one or more shares"):
            least_common_size(wrong)


@pytest.mark.mirror
def test_the_real_results(mirror):
    """Published numbers of the 63 files, and what the docs page says of them."""
    found = compare_scores_file(mirror / "peft_method_comparison" / "MetaMathQA")
    (ranking,) = found.rankings
    assert (len(ranking.ranked), found.family_size, len(ranking.adjacent)) == (63, 1953, 62)
    assert {entry.score.num_examples for entry in ranking.entries} == {1319}
    assert ranking.entries[0].method == "lily/llama-3.2-3B-rank140-mlp-a2-b2-s8.0"
    assert round(ranking.entries[0].score.value * 1319) == 694
    assert sum(pair.verdict == "better" for pair in ranking.pairs) == 1186
    assert [pair.below for pair in ranking.adjacent if pair.verdict == "better"] == [
        "fourierft/llama-3.2-3B-n_frequency-5000",
        "tinylora/llama-3.2-3B-default",
    ]
    assert len(ranking.level_with_best) == 25
    assert sum(pair.holm_greatest <= 0.05 for pair in ranking.pairs) == 1007
    assert sum(pair.holm_least <= 0.05 for pair in ranking.pairs) == 1841
    assert sum(pair.holm_least <= 0.05 for pair in ranking.adjacent) == 16
    assert sum(pair.test.p_value <= 0.05 for pair in ranking.pairs) == 1514
    assert sum(pair.test.p_value <= 0.05 for pair in ranking.adjacent) == 4
    assert sum(round(pair.difference.value * 1319) <= 5 for pair in ranking.adjacent) == 36
    assert {entry.rank_high == entry.rank_low for entry in ranking.entries} == {False}
