"""What a study file may say, and the one clear message for each way to get it wrong."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tunescope.errors import StudyError
from tunescope.search.space import Choice, grid
from tunescope.study.load import load_study, parse_study, study_text_as_run
from tunescope.study.spec import StudySpec

GOOD = """
name: good
base_model: org/model-1b
tasks: [mrpc, rte]
methods:
  full: {learning_rate: 1e-5}
  lora: {rank: 8, alpha: 16, learning_rate: 2e-4, epochs: 5}
seeds: [13, 21]
training: {epochs: 2, batch_size: 16}
"""


def parse(*changes: str, text: str = GOOD) -> StudySpec:
    return parse_study(text, "study.yaml", changes)


def problems(*changes: str, text: str = GOOD) -> list[str]:
    with pytest.raises(StudyError) as caught:
        parse(*changes, text=text)
    return list(caught.value.problems)


def test_a_study_is_read() -> None:
    study = parse()
    assert [model.name for model in study.base_models] == ["org/model-1b"]
    assert [task.name for task in study.tasks] == ["mrpc", "rte"]
    assert study.seeds == (13, 21)
    lora = study.methods[1]
    assert lora.method.model_dump()["rank"] == 8
    settings = study.settings(study.base_models[0], study.tasks[0], lora)
    assert (settings.learning_rate, settings.epochs, settings.batch_size) == (2e-4, 5.0, 16)


def test_numbers_as_people_write_them() -> None:
    assert parse("training.learning_rate=1e-4").training.learning_rate == 0.0001
    assert parse("training.learning_rate=.5e-3").training.learning_rate == 0.0005
    assert parse("training.warmup_share=0").training.warmup_share == 0.0


def test_no_is_a_word() -> None:
    text = GOOD.replace("tasks: [mrpc, rte]", "tasks: [{name: rte, label_words: [no, yes]}]")
    task = parse(text=text).tasks[0]
    assert task.kind == "classification"
    assert task.label_words == ("no", "yes")


def test_overrides_hold_where_they_fit_and_the_last_wins() -> None:
    study = parse(
        "overrides=[{training: {epochs: 3}}, {tasks: [rte], training: {epochs: 9}}, {methods: [full], training: {steps: 7}}]"
    )
    model, (mrpc, rte), (full, lora) = study.base_models[0], study.tasks, study.methods
    assert study.settings(model, mrpc, lora).epochs == 3
    assert study.settings(model, rte, lora).epochs == 9
    assert (study.settings(model, rte, full).epochs, study.settings(model, rte, full).steps) == (None, 7)


def test_a_catalogue_task_under_another_name() -> None:
    task = parse("tasks=[mrpc, {like: mrpc, name: mrpc_short, max_length: 64}]").tasks[1]
    assert (task.name, task.max_length, task.dataset.config) == ("mrpc_short", 64, "mrpc")


def test_sweeps_are_taken_out_of_their_fields() -> None:
    study = parse(
        "methods.lora={rank: {sweep: [4, 8]}, learning_rate: {sweep: [1e-4, 3e-4]}}", "sweep.allow_unequal_budgets=true"
    )
    lora = study.methods[1]
    assert lora.sweep == {"rank": Choice(values=(4, 8)), "learning_rate": Choice(values=(1e-4, 3e-4))}
    settings = list(grid(lora.sweep))
    assert len(settings) == 4
    chosen = lora.with_values(settings[-1])
    assert chosen.method.model_dump()["rank"] == 8
    assert chosen.training == {"learning_rate": 3e-4}


@pytest.mark.parametrize(
    "change, message",
    [
        ("training.epocs=2", "training.epocs is not a field of TrainingSettings. Did you mean 'epochs'?"),
        ("methods.lora.rnk=2", "methods.lora.rnk is not a field of Lora. Did you mean 'rank'?"),
        ("tasks.0.max_lenght=9", "tasks[0].max_lenght is not a field of Classification. Did you mean 'max_length'?"),
        ("base_model.nme=x", "base_models[0].nme is not a field of BaseModelSpec. Did you mean 'name'?"),
        ("tasks=[sst-2]", "unknown task 'sst-2' in tasks[0]. Did you mean 'sst2'?"),
        ("methods.lroa={}", "unknown method 'lroa' in methods.lroa (or give methods.lroa.type). Did you mean 'lora'?"),
        ("tasks=mrpc", "tasks must be a list (`[mrpc, rte]` or `- mrpc` lines), got 'mrpc'"),
        ("methods=[full]", "methods must be a map (`lora: {rank: 8}` lines), got ['full']"),
        ("training=[1]", "training must be a map (`key: value` lines), got a list [1]"),
        ("training.batch_size=abc", "training.batch_size must be a whole number, got 'abc'"),
        ("training.batch_size=1.5", "training.batch_size must be a whole number, got 1.5"),
        ("training.learning_rate=fast", "training.learning_rate must be a number, got 'fast'"),
        ("training.learning_rate=true", "training: 'learning_rate' must not be true"),
        ("training.learning_rate=-1e-4", "training.learning_rate must be greater than 0, got -0.0001"),
        ("training.learning_rate=1e9", "training.learning_rate must be less than or equal to 10, got 1000000000.0"),
        ("training={epochs: 2, steps: 10}", "training: give 'epochs' or 'steps', not both"),
        ("training.evaluate_every=0", "training.evaluate_every must be 'epoch', or greater than or equal to 1, got 0"),
        ("training.a[b]=2", "training.a[b] is not a field of TrainingSettings."),
        ("foo[0]=1", "foo is not a field of StudySpec."),
        ("tasks[0]max_train=1", "tasks[0]max_train is not a field of StudySpec."),
        ("tasks[7].max_train=1", "--set tasks[7].max_train=1: no entry '7' there."),
        ("seeds=[1, 1.0]", "seeds names 1 twice. A run that counts twice would invent a spread"),
        ("seeds=[1, '1']", "seeds names 1 twice."),
        ("seeds=[1, true]", "seeds[1]: must be a whole number, got True"),
        ("seeds=[true]", "seeds[0]: must be a whole number, got True"),
        ("tasks.0.labels=[good]", "tasks[0].labels must hold at least 2, got ['good']"),
        (
            "methods={'../x': {type: lora}}",
            "methods: a method's own name must be a name of letters, digits, '.', '_' and",
        ),
        (
            "training.steps=1",
            "training of mrpc with full, rte with full: the only optimiser step is all warm-up, at learning rate 0, and",
        ),
        ("seeds=[1, 2, 1]", "seeds names 1 twice."),
        ("seeds=[]", "seeds must not be empty: give at least 1, got []"),
        ("seeds=[-1]", "seeds[0] must be greater than or equal to 0, got -1"),
        ("tasks=[]", "tasks must not be empty: give at least 1, got []"),
        ("tasks=[mrpc, mrpc]", "tasks names mrpc twice."),
        ("methods={}", "methods must not be empty: give at least 1, got []"),
        ("name=../x", "name must be a name of letters, digits, '.', '_' and '-', 64 at most, got '../x'"),
        ("name=a..b", "name: must not contain '..', got 'a..b'"),
        (
            "tasks.mrpc.metrics=[acuracy]",
            "tasks.mrpc.metrics: no score 'acuracy' for classification. Did you mean 'accuracy'?",
        ),
        ("tasks.0.prompt='{sentence1}'", "tasks[0]: prompt must show exactly the columns ['sentence1', 'sentence2']"),
        ("tasks.0.report_split=train", "tasks[0]: train_split and report_split are both 'train'; they must differ"),
        ("placement=[{worker: 0, tasks: [rte]}]", "placement[0].worker must be greater than or equal to 1, got 0"),
        ("placement=[{worker: 1, tasks: [x]}]", "placement[0].tasks: 'x' is not in this study. Known: mrpc, rte."),
        (
            "expected=[{task: rte, method: full, metric: accuracy, low: 2, high: 1}]",
            "expected[0]: low 2.0 is above high 1.0",
        ),
        ("methods.lora.rank={sweep: [8]}", "methods.lora.rank.sweep must be a list of two values or more"),
        ("methods.lora.rank={sweep: [8, 8]}", "methods.lora.rank.sweep: holds the value 8 twice"),
        ("methods.lora.rank={sweep: [8, x]}", "methods.lora.rank.sweep[1].rank must be a whole number, got 'x'"),
        ("methods.lora.precision={sweep: [fp32, bf16]}", "methods.lora.precision cannot be swept"),
        ("tasks.5.x=1", "--set tasks.5.x=1: no entry '5' there."),
        ("no-equals", "--set no-equals: expected key=value"),
        ("seeds.0.x=3", "--set seeds.0.x=3: seeds.0 is 13; it has no field 'x'"),
    ],
)
def test_a_mistake_has_one_clear_message(change: str, message: str) -> None:
    found = problems(change)
    assert len(found) == 1, found
    assert message in found[0]
    assert found[0].startswith(("study.yaml: ", "--set "))


def test_all_mistakes_come_together() -> None:
    found = problems("seeds=[1, 1]", "training.epocs=1", "methods.lora.rnk=1", "tasks.0.max_lenght=3", "colour=red")
    assert len(found) == 5
    assert any("seeds names 1 twice" in problem for problem in found)
    assert any("colour is not a field of StudySpec" in problem for problem in found)


def test_a_wrong_method_hides_no_wrong_metric_nor_a_double() -> None:
    text = GOOD.replace("[mrpc, rte]", "[mrpc, mrpc, {name: rte, metrics: [acuracy]}]")
    found = problems("methods.lora.rnk=3", "seeds=[1, 1]", text=text)
    assert len(found) == 4
    for told in ("methods.lora.rnk is", "seeds names 1 twice", "tasks names mrpc twice", "no score 'acuracy'"):
        assert sum(told in problem for problem in found) == 1


def test_a_score_that_stands_twice_would_invent_a_spread() -> None:
    (told,) = problems(text=GOOD.replace("[mrpc, rte]", "[{name: mrpc, metrics: [accuracy, accuracy]}]"))
    assert "tasks[0]: metrics must differ from each other, got ['accuracy', 'accuracy']" in told


@pytest.mark.parametrize("field", ["{sentence1!r}", "{sentence1:>10}", "{sentence1:}{sentence1!s}"])
def test_a_prompt_holds_names_of_columns_and_no_formats(field: str) -> None:
    prompt = f"prompt: '{field} {{sentence2}}'"
    (told,) = problems(text=GOOD.replace("[mrpc, rte]", f"[{{name: mrpc, {prompt}}}]"))
    written = field.removeprefix("{sentence1:}")
    assert f"prompt is not a template: in '{written}' stands more than a column's name" in told


def test_a_double_baseline_is_told_beside_all_else() -> None:
    doubled = ("baselines=[majority, majority]", "drift={pooling: [mean, mean]}")
    found = problems("methods.lora.rank=-3", "stepz=1", "seeds=[1, 1]", *doubled)
    for told in ("lora.rank must be", "stepz is not", "seeds names", "baselines names majority", "pooling must differ"):
        assert sum(told in problem for problem in found) == 1, found


def test_a_bracket_in_a_key_is_told_like_any_other_key() -> None:
    (told,) = problems(text=f"{GOOD}foo[0]: 1\n")
    assert told.startswith("study.yaml: foo[0] is not a field of StudySpec.")


def test_what_set_gives_takes_the_place_of_its_alternative() -> None:
    assert [model.name for model in parse("base_models=[a/b, c/d]").base_models] == ["a/b", "c/d"]
    assert [model.name for model in parse("base_models=[a/b]", "base_model=null").base_models] == ["a/b"]
    assert [model.name for model in parse("base_models=[a/b]", "base_model=c/d").base_models] == ["c/d"]
    steps = parse("training.steps=9").training
    assert (steps.steps, steps.epochs) == (9, None)
    assert parse("methods.lora.steps=9").methods[1].training == {"learning_rate": 2e-4, "steps": 9}
    assert parse("tasks[1].max_train=30").tasks[1].max_train == 30


def test_one_step_without_warm_up_trains() -> None:
    assert parse("training.steps=1", "training.warmup_share=0", "methods.lora.epochs=1").training.steps == 1


def test_a_method_is_not_called_like_a_baseline() -> None:
    (told,) = problems("methods={random: {type: lora}, full: {}}")
    assert "methods.random bears the name of a baseline" in told


def test_what_may_be_a_list_or_a_word_is_told_in_one_line() -> None:
    (told,) = problems("methods.lora.target_modules=q_proj")
    assert told == (
        "study.yaml: methods.lora.target_modules must be a list (`[a, b]` or `- a` lines), or 'all-linear', got the text 'q_proj'"
    )


def test_aliases_that_unfold_without_end() -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    began = time.monotonic()
    (told,) = problems(text=GOOD + "\n".join(lines))
    assert "study.yaml: its aliases (*name) unfold into 1e+10 values, 1,000,000 at most are read" in told
    assert time.monotonic() - began < 5.0


def test_the_text_as_run_holds_the_changes_and_names_them(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(GOOD, encoding="utf-8")
    assert study_text_as_run(path, ()) == GOOD
    changes = ("training.learning_rate=1e-5", "methods={lora: {rank: 4}}", "tasks.rte.label_words=[no, yes]")
    text = study_text_as_run(path, changes)
    assert all(f"#   --set {change}\n" in text for change in changes)
    assert parse_study(text, "again") == load_study(path, changes)


def test_a_pipe_is_no_study(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "study.yaml")
    with pytest.raises(StudyError, match="is a pipe or device; give the study's YAML file"):
        load_study(tmp_path / "study.yaml")


def test_an_override_that_would_undo_a_sweep() -> None:
    found = problems(
        "methods.lora.learning_rate={sweep: [1e-4, 2e-4]}", "overrides=[{training: {learning_rate: 1e-3}}]"
    )
    assert found == [
        "study.yaml: overrides[0].training.learning_rate: method lora sweeps learning_rate; an override would undo it. Drop one"
    ]


@pytest.mark.parametrize(
    "text, message",
    [
        ("name: x\nname: y\n", "study.yaml:2: not YAML: key 'name' stands twice (first on line 1)"),
        ("tasks: [a\nb: 1", "study.yaml:2: not YAML"),
        ("- a\n", "study.yaml: a study is a map with keys such as name"),
        ("", "study.yaml: a study is a map with keys such as name"),
        ("a: !!python/object/apply:os.system [ls]", "study.yaml:1: not YAML"),
        ("seeds: [" + "9" * 5000 + "]", "a value cannot be read"),
    ],
)
def test_what_is_no_study(text: str, message: str) -> None:
    with pytest.raises(StudyError) as caught:
        parse_study(text, "study.yaml")
    assert message in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"no such file\. `tunescope init` writes a study to start from"):
        load_study(tmp_path / "none.yaml")
    with pytest.raises(StudyError, match="is a folder"):
        load_study(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9\n")
    with pytest.raises(StudyError, match="not UTF-8 at byte 9"):
        load_study(tmp_path / "latin.yaml")


@pytest.mark.parametrize("name", ["phase1", "real_small", "demo"])
def test_the_studies_that_come_along_are_right(repository: Path, name: str) -> None:
    assert load_study(repository / "studies" / f"{name}.yaml").name == name
