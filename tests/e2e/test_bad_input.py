"""What is wrong with a request is said once, in words, with exit code 2, and nothing is written."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from tiny import tiny_bert, tiny_llama

_PAIRS, _WHERE = 0, 1


def _set(*path_and_value):
    """A change of the study: the value at a path of keys."""
    *path, last, value = path_and_value

    def change(study):
        target = study
        for key in path:
            target = target[key]
        target[last] = value

    return change


# The study file


@pytest.mark.parametrize(
    "change,complaint",
    [
        (
            _set("methods", "lora", "rnk", 8),
            "methods.lora.rnk is not a field of Lora. Did you mean 'rank'? Fields: ",
        ),
        (_set("seed", 3), "seed is not a field of StudySpec. Did you mean 'seeds'? Fields: base_models, "),
        (
            _set("tasks", _PAIRS, "txt", "first"),
            "tasks[0].txt is not a field of Classification. Did you mean 'text'? Fields: ",
        ),
        (
            _set("tasks", ["sst-2"]),
            "unknown task 'sst-2' in tasks[0]. Did you mean 'sst2'? Known: ",
        ),
        (
            _set("methods", {"lorra": {}}),
            "unknown method 'lorra' in methods.lorra (or give methods.lorra.type). Did you mean 'lora'? Known: ",
        ),
        (
            _set("methods", ["full", "lora"]),
            "methods must be a map (`lora: {rank: 8}` lines), got ['full', 'lora']",
        ),
        (
            _set("training", [3]),
            "training must be a map (`key: value` lines), got a list [3]",
        ),
        (_set("tasks", {"mrpc": {}}), "tasks must be a list (`[mrpc, rte]` or `- mrpc` lines), got {'mrpc': {}}"),
        (_set("training", "batch_size", "many"), "training.batch_size must be a whole number, got 'many'"),
        (_set("methods", "full", "learning_rate", "fast"), "methods.full.learning_rate must be a number, got 'fast'"),
        (_set("training", "batch_size", 2.5), "training.batch_size must be a whole number, got 2.5"),
        (
            _set("training", "batch_size", -1),
            "training.batch_size must be greater than or equal to 1, got -1",
        ),
        (_set("training", "steps", 0), "training.steps must be greater than or equal to 1, got 0"),
        (
            _set("training", "steps", 10**12),
            "training.steps must be less than or equal to 1000000000, got 1000000000000",
        ),
        (
            _set("methods", "full", "learning_rate", -1e-4),
            "methods.full.learning_rate must be greater than 0, got -0.0001",
        ),
        (
            _set("methods", "full", "learning_rate", 1e9),
            "methods.full.learning_rate must be less than or equal to 10, got 1000000000.0",
        ),
        (_set("methods", "lora", "rank", 0), "methods.lora.rank must be greater than or equal to 1, got 0"),
        (_set("seeds", [-1]), "seeds[0] must be greater than or equal to 0, got -1"),
        (_set("seeds", [2**40]), "seeds[0] must be less than or equal to 4294967295, got 1099511627776"),
        (
            _set("seeds", [3, 4, 3]),
            "seeds names 3 twice. A run that counts twice would invent a spread: drop one",
        ),
        (_set("seeds", []), "seeds must not be empty: give at least 1, got "),
        (_set("tasks", []), "tasks must not be empty: give at least 1, got []"),
        (
            _set("name", "../escape"),
            "name must be a name of letters, digits, '.', '_' and '-', 64 at most, got '../escape'",
        ),
        (_set("name", "a..b"), "name: must not contain '..', got 'a..b'"),
        (
            _set("tasks", _PAIRS, "metrics", ["acuracy"]),
            "tasks.same.metrics: no score 'acuracy' for classification. Did you mean 'accuracy'? Known: ",
        ),
    ],
)
def test_a_mistake_in_the_study_file_is_told_with_its_place(desk, study, change, complaint):
    change(study)
    desk.write(study)
    lines = desk.refused()
    assert len(lines) == 1, lines
    assert lines[0].startswith(f"DESK/study.yaml: {complaint}")


def test_all_mistakes_of_a_file_are_told_at_once(desk, study):
    study["seeds"], study["tranig"], study["methods"]["lora"]["rank"] = [1, "x"], {}, "big"
    desk.write(study)
    assert sorted(desk.refused()) == [
        "DESK/study.yaml: methods.lora.rank must be a whole number, got 'big'",
        "DESK/study.yaml: seeds[1] must be a whole number, got 'x'",
        next(
            line for line in desk.refused() if ": tranig is not a field of StudySpec. Did you mean 'training'?" in line
        ),
    ]


def test_1e_4_is_a_number(desk):
    text = desk.path.read_text(encoding="utf-8")
    assert "learning_rate: 0.001" in text
    desk.path.write_text(text.replace("learning_rate: 0.001", "learning_rate: 1e-4"), encoding="utf-8")
    said = desk.run("--dry-run")
    assert (said.code, said.err) == (0, "")
    assert desk.run("--dry-run", "--set", "methods.lora.learning_rate=2E-4").code == 0


def test_a_study_that_is_not_there_a_folder_or_no_yaml(desk):
    study = desk.path
    desk.path = desk.folder / "gone.yaml"
    assert desk.refused() == ["DESK/gone.yaml: no such file. `tunescope init` writes a study to start from."]
    desk.path = desk.folder
    assert desk.refused() == ["DESK: is a folder; give the study's YAML file."]
    desk.path = study
    study.write_text("name: [unclosed\n", encoding="utf-8")
    (line,) = desk.refused()
    assert line.startswith("DESK/study.yaml:2: not YAML: ")
    study.write_bytes(b"name: caf\xe9\n")
    assert desk.refused() == ["DESK/study.yaml: not UTF-8 at byte 9. Save the file as UTF-8."]


def test_a_mirror_that_is_not_there(desk):
    gone = desk.folder / "mirror"
    assert desk.refused("--mirror", gone) == [
        "--mirror DESK/mirror: no such folder. It holds datasets/<repo id>/ and models/<repo id>/."
    ]


def test_a_change_that_leads_nowhere(desk):
    assert desk.refused("--set", "methods.lora.rank.x=1") == [
        "--set methods.lora.rank.x=1: methods.lora.rank is 4; it has no field 'x'"
    ]
    assert desk.refused("--set", "tasks.sam.max_train=5") == [
        "--set tasks.sam.max_train=5: no entry 'sam' there. Did you mean 'same'? Known: same, where."
    ]


# The data


def _rows(change):
    def spoil(desk):
        rows = desk.pairs("train")
        change(rows)
        desk.write_pairs("train", rows)

    return spoil


def _text(text):
    return lambda desk: (desk.folder / "same-train.csv").write_bytes(text)


_ROW = "task same: split 'train', row 3 (counted from 0), column "


@pytest.mark.parametrize(
    "spoil,complaint",
    [
        (
            _rows(lambda rows: [row.pop("second") for row in rows]),
            "task same: split 'train' has no column 'second'. Known: first, label.",
        ),
        (
            _rows(lambda rows: rows[3].update(label="yess")),
            f"{_ROW}'label': expected one of no (0), yes (1), found unknown label 'yess'. Did you mean 'yes'? Known: no, yes.",
        ),
        (
            _rows(lambda rows: rows[3].update(label="NaN")),
            f"{_ROW}'label': expected one of no (0), yes (1), found unknown label 'NaN'. Known: no, yes.",
        ),
        (
            _rows(lambda rows: rows[3].update(label="")),
            f"{_ROW}'label': expected one of no (0), yes (1), found ''. Label the row or drop it.",
        ),
        (_text(b"first,second,label\n"), "task same: split 'train' is empty: expected at least one row."),
        (
            _rows(lambda rows: [row.update(label="no") for row in rows]),
            "task same: split 'train', column 'label': expected at least two of the labels, found only 'no' in all 40 rows. "
            "Is the file sorted by label and cut?",
        ),
        (
            _rows(lambda rows: rows[3].update(first="")),
            f"{_ROW}'first': expected text, found text of zero length. Fill in the text or drop the row.",
        ),
        (
            _rows(lambda rows: rows[3].update(first="cat " * 25_000)),
            f"{_ROW}'first': expected at most 50000 characters, found 100000. "
            "Is a quote left open before it? If the text is meant, raise max_characters.",
        ),
        (
            _text("first,second,label\nthe cat,un café,no\n".encode("latin1")),
            "DESK/same-train.csv: expected UTF-8, found byte 0xe9 at offset 33 (line 2). "
            "Convert it, for example: iconv -f latin1 -t utf-8 same-train.csv",
        ),
        (
            _text(b'first,second,label\n"the cat,a dog,no\nthe dog,a dog,yes\n'),
            "DESK/same-train.csv: line 3: not a well-formed row: unexpected end of data. "
            "A quote inside a quoted value is written twice, and every quote is closed.",
        ),
        (
            _text(b"first,second,label\nthe cat,a dog, sat,no\n"),
            "DESK/same-train.csv: the row that ends on line 2 has 4 values, the header has 3 columns. "
            "Quote values that hold the separator.",
        ),
        (
            lambda desk: (desk.folder / "same-train.csv").unlink(),
            "data file 'same-train.csv': DESK/same-train.csv cannot be read: No such file or directory.",
        ),
    ],
)
def test_data_that_is_not_what_the_task_says(desk, spoil, complaint):
    spoil(desk)
    assert desk.refused() == [complaint]


def test_a_number_that_is_none_is_found_in_json_lines_too(desk, study):
    rows = [row | {"label": index / 4} for index, row in enumerate(desk.pairs("train"))]
    rows[3]["label"] = float("nan")
    (desk.folder / "numbers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    task = {"name": "same", "kind": "regression", "text": "first", "text_pair": "second", "score": "label"}
    text = (desk.folder / "numbers.jsonl").read_text(encoding="utf-8")
    (desk.folder / "others.jsonl").write_text(text + "\n", encoding="utf-8")
    files = {"train": "numbers.jsonl", "validation": "others.jsonl"}
    desk.write(study | {"tasks": [task | {"dataset": {"files": files}, "max_length": 32}]})
    found = f"{_ROW}'label': expected a finite number, found NaN. Fill in the score or drop the row."
    assert desk.refused() == [found, found.replace("'train'", "'validation'")]


def test_an_answer_that_does_not_stand_in_its_context(desk):
    path = desk.folder / "where-dev.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace('"answer_start": [4]', '"answer_start": [5]', 1))
    assert desk.refused() == [
        "task where: split 'validation', row 0 (counted from 0), column 'answers': expected 'cat' at character 5 of the "
        "context, found 'at '. The text stands at 4: starts count characters, not bytes or words."
    ]


def test_a_split_without_a_file(desk, study):
    del study["tasks"][_PAIRS]["dataset"]["files"]["validation"]
    desk.write(study)
    assert desk.refused() == [
        "DESK/study.yaml: tasks.same.dataset.files has no file for split 'validation'. Known: train."
    ]


def test_a_report_split_with_the_bytes_of_the_train_split(desk, study):
    study["tasks"][_PAIRS]["dataset"]["files"]["validation"] = "./same-train.csv"
    study["tasks"][_WHERE]["dataset"]["files"]["validation"] = "where-copy.jsonl"
    (desk.folder / "where-copy.jsonl").write_bytes((desk.folder / "where-train.jsonl").read_bytes())
    desk.write(study)
    told = "hold the same bytes, and runs are reported on rows that they never saw. Give one of them other rows"
    assert desk.refused() == [
        f"tasks.same.dataset.files: train (same-train.csv) and validation (./same-train.csv) {told}",
        f"tasks.where.dataset.files: train (where-train.jsonl) and validation (where-copy.jsonl) {told}",
    ]


def test_label_words_that_do_not_stand_for_themselves(desk, study):
    study["tasks"][_PAIRS]["label_words"] = [" maybe", " perhaps"]  # both unknown to the tokenizer
    desk.write(study)
    assert desk.refused() == [
        "task same: two label words have the same tokens under this tokenizer: (' maybe', ' perhaps')."
    ]


# The model and the methods


def _peft(**values):
    return _set("methods", {"ia3": {"type": "peft"} | values})


@pytest.mark.parametrize(
    "change,complaint",
    [
        (
            _set("methods", "lora", "target_modules", ["q_proj", "querry"]),
            "methods.lora: method lora on LlamaForSequenceClassification: target_modules names what the model does not have: "
            "querry. Known: down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj.",
        ),
        (
            _set("tasks", _PAIRS, "max_length", 999),
            "tasks.same.max_length is 999, but base model ./model has 128 positions for tokens. Lower it to 128 or less",
        ),
        (
            _peft(config_class="IA3Confg"),
            "methods.ia3: peft has no config class 'IA3Confg'. Did you mean 'IA3Config'? Known: ",
        ),
        (
            _peft(config_class="IA3Config", config={"target_modles": ["q_proj"]}),
            "methods.ia3: config.target_modles is not a field of IA3Config. Did you mean 'target_modules'? Known: ",
        ),
        (_set("base_model", "./modle"), "base model './modle': no such folder: DESK/modle."),
    ],
)
def test_a_model_that_does_not_fit(desk, study, change, complaint):
    change(study)
    desk.write(study | {"tasks": study["tasks"][:1]})
    (line,) = desk.refused()
    assert line.startswith(complaint)


def test_a_model_that_nobody_has(desk, study):
    desk.write(study | {"base_model": "nobody/nothing"})
    lines = desk.refused()
    assert len(lines) == 1
    assert lines[0].startswith("base model 'nobody/nothing': no --mirror given, and the hub did not give it: ")
    assert "Check the name, or put it at DIR/models/nobody/nothing and run with --mirror DIR." in lines[0]


def test_a_trained_head_for_another_number_of_labels(desk):
    tiny_llama(desk.folder / "model", num_hidden_layers=1)
    weights = load_file(desk.folder / "model" / "model.safetensors")
    save_file(
        weights | {"score.weight": torch.zeros(5, 32)}, desk.folder / "model" / "model.safetensors", {"format": "pt"}
    )
    assert desk.refused() == [
        "base_model ./model: its weights bring a trained head (score.weight (5, 32)); the task needs one with 2 outputs, "
        "and the head is new in every study, so that all methods start alike. "
        "To throw the trained one away say base_model.discard_head: true."
    ]


def test_weights_that_are_no_numbers_are_named(desk):
    file = desk.folder / "model" / "model.safetensors"
    weights = load_file(file)
    weights["model.layers.0.mlp.up_proj.weight"][3, 4] = torch.nan
    save_file(weights, file, {"format": "pt"})
    assert desk.refused() == [
        "base_model ./model: model.safetensors: tensor model.layers.0.mlp.up_proj.weight holds values that are NaN or infinite. "
        "Fetch the model again."
    ]


def test_an_encoder_without_its_pooler(desk, study):
    tiny_bert(desk.folder / "encoder", num_hidden_layers=1)
    file = desk.folder / "encoder" / "model.safetensors"
    save_file({name: one for name, one in load_file(file).items() if "pooler" not in name}, file, {"format": "pt"})
    desk.write(study | {"base_model": "./encoder", "tasks": study["tasks"][:1], "methods": {"full": {}}})
    (line,) = desk.refused()
    assert line.startswith(
        "base_model ./encoder: its weights have no pooler (pooler.dense.weight, pooler.dense.bias), which "
    )


def test_a_model_without_a_tokenizer(desk, study):
    tiny_bert(desk.folder / "encoder", num_hidden_layers=1)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (desk.folder / "encoder" / name).unlink()
    desk.write(study | {"base_model": "./encoder", "tasks": study["tasks"][:1], "methods": {"full": {}}})
    (line,) = desk.refused()
    assert line.startswith("base_model ./encoder: its folder has no tokenizer (none of tokenizer.json, ")


def test_a_data_set_that_nobody_has(desk, study):
    study["tasks"][_PAIRS]["dataset"] = {"hub": "nobody/nothing"}
    desk.write(study)
    lines = desk.refused()
    assert len({line.split(", and the hub")[0] for line in lines}) == 1
    assert lines[0].startswith("data set 'nobody/nothing': no --mirror given, and the hub did not give it: ")
