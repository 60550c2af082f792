"""Which probes follow from a study, what makes them anew, and what is told where there can be none."""

from __future__ import annotations

from collections import Counter

import pytest

from tunescope.errors import StudyError
from tunescope.study.configs import ProbeConfig
from tunescope.study.load import parse_study
from tunescope.study.plan import make_plan
from tunescope.study.probe_jobs import probes_left_out

TEXT = """
name: t
base_models: [org/decoder, org/encoder]
tasks: [mrpc, rte, squad_v2, {name: stars, kind: regression, dataset: {files: {train: t.csv, validation: v.csv}}}]
methods:
  full: {learning_rate: 1e-5}
  lora: {rank: 8, learning_rate: 2e-4}
seeds: [1, 2, 3]
retention: {probes: true}
"""
FILES = {"t.csv": "ab", "v.csv": "cd"}


def plan(*changes, text=TEXT):
    study = parse_study(text, "t", changes)
    return make_plan(study, {model.name: "encoder" not in model.name for model in study.base_models}, FILES)


def ids(one):
    return {cell.job.label: cell.job.id for cell in one.probes}


def test_nothing_is_probed_unless_asked_for():
    assert plan(text=TEXT.replace("retention: {probes: true}", "")).probes == ()
    texts = TEXT.replace("{probes: true}", "{texts: [{name: wiki, hub: a/b}]}")
    assert plan(text=texts).probes == ()
    assert plan().drift == (), "probes alone measure no text"


def test_every_run_is_probed_for_every_other_classification_and_each_base_model_once():
    made = plan()
    found = Counter((cell.base_model, cell.task.name, cell.trained_on) for cell in made.probes)
    runs = 2 * 3
    assert found == {
        (model, task, trained_on): 1 if trained_on is None else runs
        for model in ("org/decoder", "org/encoder")
        for task, others in {"mrpc": ("rte", "squad_v2", "stars"), "rte": ("mrpc", "squad_v2", "stars")}.items()
        for trained_on in (None, *others)
    }
    assert len(set(ids(made).values())) == len(made.probes) == len(ids(made)), "every job and label is its own"
    assert {cell.job.id for cell in made.probes} <= {job.id for job in made.jobs}
    trained = {(run.base_model, run.task.name, run.method, run.seed): run.train for run in made.runs}
    for cell in made.probes:
        key = (cell.base_model, cell.trained_on, cell.method, cell.seed)
        assert cell.job.inputs == ({} if cell.trained_on is None else {"run": trained[key]})
        assert cell.job.about["task"] == cell.task.name


def test_a_probe_reads_the_train_part_and_the_token_that_heads_read():
    made = plan()
    for cell in made.probes:
        config = cell.job.config
        assert isinstance(config, ProbeConfig)
        assert config.pooling == ("last_token" if cell.base_model == "org/decoder" else "first_token")
        assert config.task.max_train == 1000
        heads = {None: (None, None), "squad_v2": ("question_answering", None), "stars": ("regression", None)}
        assert (config.run_kind, config.run_labels) == heads.get(cell.trained_on, ("classification", 2))
    assert {cell.job.config.pooling for cell in plan("retention.probe_pooling=mean").probes} == {"mean"}
    few = plan("tasks.mrpc.max_train=50", "retention.probe_examples=100")
    assert {(cell.task.name, cell.job.config.task.max_train) for cell in few.probes} == {("mrpc", 50), ("rte", 100)}


def test_named_tasks_alone_are_probed():
    made = plan("retention.probes=[rte]")
    assert {cell.task.name for cell in made.probes} == {"rte"}
    assert ids(made).items() <= ids(plan()).items()


def test_a_change_makes_those_probes_anew_that_it_bears_on():
    before = ids(plan())

    def changed(*changes):
        after = ids(plan(*changes))
        return {label for label in before if after[label] != before[label]}

    of_mrpc = {label for label in before if "mrpc-base-probe" in label or label.endswith("-probe-mrpc")}
    assert changed("retention.probe_examples=500") == set(before)
    assert changed("retention.probe_pooling=mean") == set(before)
    assert changed("tasks.mrpc.max_length=64") == of_mrpc | {label for label in before if "-mrpc-" in label}
    assert changed("methods.lora.rank=4") == {label for label in before if "-lora-" in label}
    assert changed("tasks.mrpc.max_report=99") == of_mrpc, "no training sees it"
    assert changed("tasks.mrpc.max_selection=9") == of_mrpc | {label for label in before if "-mrpc-" in label}
    nothing = ("seeds=[1, 2, 3, 4]", "tasks.mrpc.description=words", "tasks.mrpc.expected=null")
    assert changed(*nothing, "tasks.mrpc.label_words=null", "baselines=[majority]") == set()


def test_what_is_left_out_has_its_reason():
    lines = probes_left_out(plan().study)
    assert [line.split(":")[0] for line in lines] == ["no probe of squad_v2", "no probe of stars"]
    assert "spans" in lines[0]
    assert "regression" in lines[1]
    assert probes_left_out(plan("retention.probes=[rte]").study) == [], "nobody asked"


@pytest.mark.parametrize(
    "changes, told",
    [
        (("retention.probes=[rtee]",), "retention.probes: 'rtee' is not in this study. Did you mean 'rte'"),
        (("retention.probes=[squad_v2]",), "retention.probes: squad_v2 cannot be probed: its answers are spans"),
        (("retention.probes=[stars]",), "retention.probes: stars cannot be probed: it is a regression"),
        (("tasks=[mrpc]",), "the study's other classification tasks, and there is none"),
        (("tasks=[squad_v2, squad_v2_resplit]",), "the study's other classification tasks, and there is none"),
        (("retention={}",), "retention: asks for nothing. Give texts, or `probes: true`"),
        (("retention={probes: false}",), "retention: asks for nothing"),
        (("retention={probes: []}",), "retention.probes: must be true, or a list of the study's tasks"),
        (("retention={probes: rte}",), "such as [mrpc, rte], got 'rte'"),
        (("retention={probes: [1]}",), "such as [mrpc, rte], got [1]"),
        (("retention={probes: [rte, rte]}",), "probes must differ from each other"),
        (("retention={probes: true, probe_examples: 0}",), "retention.probe_examples"),
        (("retention={probes: true, probe_pooling: all_tokens}",), "retention.probe_pooling"),
        (("retention={probe: true}",), "Did you mean 'probes'"),
    ],
)
def test_a_wrong_wish_is_told(changes, told):
    with pytest.raises(StudyError) as caught:
        plan(*changes)
    assert told in str(caught.value)
    assert len(caught.value.problems) == 1, caught.value
