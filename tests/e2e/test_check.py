"""`tunescope check`: what it looks at, what it says of each fault, its exit codes, and that it leaves nothing behind."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import pytest

from tiny import tiny_bert
from tunescope.errors import RunError
from tunescope.methods import Lora
from tunescope.preflight.finding import SECTIONS
from tunescope.preflight.fresh_process import FreshProcesses

_BY_DEFAULT = [section for section in SECTIONS if section != "overfit"]


@pytest.fixture
def sound(desk, study):
    """A desk whose report rows are not in train, with the counts that its tasks expect."""
    for task, (num_train, num_report) in zip(study["tasks"], ((40, 12), (40, 12)), strict=True):
        task["expected"] = {"num_train": num_train, "num_report": num_report, "mean_tokens": 15}
    desk.write(study)
    desk.write_pairs("dev", [row | {"first": row["first"] + " was good"} for row in desk.pairs("dev")])
    lines = (desk.folder / "where-dev.jsonl").read_text().replace("the tree is good", "the mat is good")
    (desk.folder / "where-dev.jsonl").write_text(lines)
    return desk


@pytest.fixture
def in_this_process(monkeypatch):
    """Tries things out in this process, so that a test can break them, and does not wait for imports."""

    def call(self, function, argument, *, limit_s=600):
        return function(argument), 0.5

    monkeypatch.setattr(FreshProcesses, "call", call)


def _checked(desk, *more):
    """Exit code and findings; nothing may have been written."""
    there = sorted(desk.folder.rglob("*"))
    said = desk.tunescope("check", desk.path, "--store", desk.store, "--format", "json", *more)
    assert sorted(desk.folder.rglob("*")) == there
    assert said.err == ""
    report = json.loads(said.out)
    assert report["is_clean"] == (said.code == 0)
    return said.code, report["findings"]


def _messages(findings, status, section):
    return [one["message"] for one in findings if (one["status"], one["section"]) == (status, section)]


def _faults(findings):
    return [(one["section"], one["message"]) for one in findings if one["status"] == "fault"]


def test_a_sound_study_is_clean_and_every_section_is_told(sound):
    code, findings = _checked(sound)
    assert _faults(findings) == []
    assert code == 0
    assert list(dict.fromkeys(one["section"] for one in findings)) == _BY_DEFAULT
    methods = {one["subject"]: one["message"] for one in findings if one["section"] == "methods"}
    assert list(methods) == [f"model, {task}, {method}" for task in ("same", "where") for method in ("full", "lora")]
    assert methods["model, same, lora"].startswith(
        "4 of 4 adapter tensors and 1 of 1 head tensors changed, 0 of 12 frozen ones: "
    )
    measured = [one["message"] for one in findings if "measured" in one["message"]]
    assert len(measured) == 4, "each trial ran in a process of its own, and its memory was measured"
    assert not sound.store.exists()


@pytest.mark.usefixtures("in_this_process")
def test_the_table_is_for_people(sound):
    said = sound.tunescope("check", sound.path, "--store", sound.store, "--workers", "2")
    assert said.code == 0
    text = " ".join(said.out.split())
    assert text.startswith("check of small")
    for words in ("environment", "torch", "12 report rows", "new are exactly", "worker 2", "GiB are free", "no faults"):
        assert words in text


@pytest.mark.usefixtures("in_this_process")
def test_deep_lets_every_method_learn_ten_examples(sound):
    code, findings = _checked(sound, "--deep", "--set", "methods.lora.learning_rate=3e-2")
    overfit = [one for one in findings if one["section"] == "overfit"]
    assert [one["subject"] for one in overfit] == [
        f"model, {task}, {method}" for task in ("same", "where") for method in ("full", "lora")
    ]
    assert all("10 examples are" in one["message"] for one in overfit)
    assert code == (1 if any(one["status"] == "fault" for one in overfit) else 0)


@pytest.mark.usefixtures("in_this_process")
def test_report_rows_that_are_trained_on_are_a_fault(sound):
    sound.write_pairs("dev", sound.pairs("train")[:12])
    code, findings = _checked(sound)
    assert code == 1
    assert _faults(findings) == [
        (
            "data",
            "12 of 12 report rows (100.0%) have texts that are in train or selection too: their scores measure memory. "
            "Take them out of one of the splits",
        )
    ]


@pytest.mark.usefixtures("in_this_process")
def test_other_counts_than_expected_are_a_note(sound, study):
    study["tasks"][0]["expected"] = {"num_train": 41, "num_report": 12, "mean_tokens": 15}
    sound.write(study)
    code, findings = _checked(sound)
    assert code == 0
    shared, counts = _messages(findings, "note", "data")
    assert shared.startswith(
        "of 4 selection rows 0.0% equal a train row up to case and punctuation, 100.0% share a text"
    )
    assert counts == "split 'train' has 40 rows, expected 41: is it another version of the data?"


@pytest.mark.usefixtures("in_this_process")
def test_an_adapter_that_does_not_learn_is_a_fault(sound, monkeypatch):
    plain = Lora.apply

    def deaf(self, model, task_kind, seed):
        adapted = plain(self, model, task_kind, seed)
        for name, module in adapted.named_modules():
            if name.endswith("self_attn.q_proj") and hasattr(module, "lora_A"):
                module.scaling["default"] = 0.0
        return adapted

    monkeypatch.setattr(Lora, "apply", deaf)
    code, findings = _checked(sound)
    assert code == 1
    faults = _faults(findings)
    assert [section for section, _ in faults] == ["methods", "methods"]
    assert all("2 of 5 tensors that should train did not change in 2 steps" in said for _, said in faults[:1])
    assert "q_proj.lora_A.default.weight" in faults[0][1]
    assert "no gradient reaches them" in faults[0][1]
    assert _messages(findings, "ok", "methods"), "full fine-tuning is told all the same"


def test_a_crash_while_trying_is_told_and_the_rest_goes_on(sound, monkeypatch):
    def call(self, function, argument, *, limit_s=600):
        raise RunError("its process was killed")

    monkeypatch.setattr(FreshProcesses, "call", call)
    code, findings = _checked(sound)
    assert code == 1
    assert {section for section, _ in _faults(findings)} == {"model"}
    assert {one["section"] for one in findings} >= {"data", "memory", "disk", "time"}


@pytest.mark.usefixtures("in_this_process")
def test_too_little_disk_is_a_fault(sound, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    code, findings = _checked(sound)
    assert code == 1
    assert [section for section, _ in _faults(findings)] == ["disk"]
    assert "0.0 GiB are free. Free some space" in _faults(findings)[0][1]


@pytest.mark.usefixtures("in_this_process")
def test_too_little_memory_is_a_fault(sound):
    code, findings = _checked(sound, "--set", "compute.expected_device={name: L4, memory_gib: 0.1}")
    assert code == 1
    assert {section for section, _ in _faults(findings)} == {"memory"}
    assert all("of L4's 0.1 GiB: lower compute.micro_batch_tokens" in said for _, said in _faults(findings))


@pytest.mark.usefixtures("in_this_process")
def test_a_fault_in_one_section_hides_none_in_another(sound, study):
    (sound.folder / "same-train.csv").unlink()
    study["placement"] = [{"worker": 2, "tasks": ["where"]}]
    sound.write(study)
    sound.store.write_text("not a store")
    code, findings = _checked(sound, "--set", "methods.lora.target_modules=[q_prj]")
    assert code == 1
    faults = _faults(findings)
    assert {section for section, _ in faults} == {"data", "model", "disk", "time"}
    said = "\n".join(message for _, message in faults)
    for words in ("same-train.csv", "q_prj", "is a file", "use --workers 2"):
        assert words in said
    assert len(_messages(findings, "ok", "methods")) == 1, "full fine-tuning of the other task was tried"


@pytest.mark.usefixtures("in_this_process")
def test_a_model_that_is_not_there_is_said_once(sound):
    code, findings = _checked(sound, "--set", "base_model=./nowhere")
    assert code == 1
    assert len(_faults(findings)) == 1
    assert _faults(findings)[0][0] == "model"
    assert _messages(findings, "ok", "data")


def test_rows_without_positions_are_told_once_and_not_tried(sound):
    shutil.rmtree(sound.folder / "model")
    tiny_bert(sound.folder / "model", max_position_embeddings=8)
    code, findings = _checked(sound)
    assert code == 1
    assert [told.partition(". ")[0] for _, told in _faults(findings)] == [
        "tasks.same.max_length is 32, but base model ./model has 8 positions for tokens",
        "tasks.where.max_length is 48, but base model ./model has 8 positions for tokens",
    ]


def test_a_training_of_one_step_under_warm_up_is_a_fault(sound, study, in_this_process):
    changes = ("--set", "training={epochs: 1, batch_size: 64}", "--set", "methods={head_only: {}}")
    code, findings = _checked(sound, *changes)
    assert code == 1
    ((section, told),) = _faults(findings)
    assert section == "data"
    assert "training of same on 36 rows with head_only: the only optimiser step is all warm-up" in told


def test_a_wrong_study_is_not_checked(sound, study):
    sound.write(study | {"seed": 3})
    said = sound.tunescope("check", sound.path, "--store", sound.store)
    assert said.code == 2
    assert said.out == ""
    assert "seed is not a field of StudySpec" in said.err


@pytest.mark.usefixtures("in_this_process")
def test_what_this_machine_cannot_hold_is_not_tried(sound, monkeypatch):
    memory = SimpleNamespace(available=2**20)
    monkeypatch.setattr("tunescope.preflight.sections.psutil", SimpleNamespace(virtual_memory=lambda: memory))
    code, findings = _checked(sound)
    assert code == 0
    told = _messages(findings, "note", "methods")
    assert len(told) == 4
    assert all(said.startswith("not tried here: two steps need about 0.5 GiB, and 0.0 are free") for said in told)


@pytest.mark.usefixtures("in_this_process")
def test_a_store_with_results_needs_less_and_is_held_against_the_data(sound, study):
    study["tasks"], study["seeds"] = study["tasks"][:1], [1]
    sound.write(study)
    assert sound.run().code == 0
    code, findings = _checked(sound)
    assert code == 0
    (told,) = _messages(findings, "ok", "disk")
    assert told.startswith("0 of 9 jobs are left")
    sound.write_pairs("train", sound.pairs("train")[1:])
    code, findings = _checked(sound)
    (told,) = _messages(findings, "ok", "disk")
    assert not told.startswith("0 of 9 jobs are left"), "another file makes other jobs"
