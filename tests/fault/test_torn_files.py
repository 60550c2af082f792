"""Files cut in half and bits turned over: never taken for whole, told with what to do, and made anew to the same result."""

from __future__ import annotations

import json
import os

import pytest

import tunescope.training.loop
from tunescope.steps import STEPS


def _flip(path):
    """Turns over one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _halve(path):
    os.truncate(path, path.stat().st_size // 2)


READ_BY_OTHERS = [
    ("train", "same-full-seed1", "model/model.safetensors", ("evaluate", "same-full-seed1-evaluate")),
    ("train", "same-lora-seed1", "adapter/adapter_model.safetensors", ("drift", "same-lora-seed1-drift")),
    ("train", "same-lora-seed1", "seen_rows.npy", ("evaluate", "same-lora-seed1-evaluate")),
    ("represent", "", "statistics.safetensors", ("drift", "same-full-seed2-drift")),
    ("represent", "", "states.safetensors", ("drift", "same-full-seed2-drift")),
]
"""Kind and label of an artifact that may be large, one of its files, and a job that reads it."""


@pytest.mark.parametrize("kind,label,name,reader", READ_BY_OTHERS)
def test_a_flipped_bit_in_what_a_job_reads_fails_that_job_and_reaches_no_result(faulty, kind, label, name, reader):
    damaged, dependent = faulty.artifact(kind, label), faulty.artifact(*reader)
    faulty.forget(dependent)
    _flip(damaged / name)
    said = faulty.run()
    assert said.code == 1
    told = " ".join(said.out.split())
    assert f"artifact {kind}/{damaged.name[:8]}" in told
    assert (
        f"is not whole: {name} holds other bytes than were written. Rebuild: tunescope forget {damaged.name[:8]}"
        in told
    )
    assert not dependent.exists()
    faulty.forget(damaged)
    assert "2 jobs done, 19 were there" in faulty.goes_on()


READ_BY_US = [
    ("evaluate", "same-full-seed1-evaluate", "predictions.parquet"),
    ("evaluate", "same-full-seed1-evaluate", "metrics.json"),
    ("baseline", "", "metrics.json"),
    ("select", "", "selected.json"),
    ("trial", "same-lora-trial1", "trial.json"),
    ("propose", "same-lora-wave0", "proposals.json"),
    ("examples", "", "examples.parquet"),
]
"""Kind and label of an artifact that is small, and one of its files."""


@pytest.mark.parametrize("damage,found", [(_flip, "holds other bytes than were written"), (_halve, "bytes instead of")])
@pytest.mark.parametrize("kind,label,name", READ_BY_US)
def test_a_damaged_result_is_told_before_anything_runs(faulty, kind, label, name, damage, found):
    damaged = faulty.artifact(kind, label)
    damage(damaged / name)
    told = [line for line in faulty.refused() if f"artifact {kind}/{damaged.name[:8]}" in line]
    assert len(told) == 1
    assert f"is not whole: {name} " in told[0]
    assert found in told[0]
    assert told[0].endswith(f"Rebuild: tunescope forget {damaged.name[:8]} --store DESK/store")
    faulty.forget(damaged)
    _goes_on(faulty, kind)


def _goes_on(desk, kind):
    if kind not in ("trial", "propose"):
        desk.goes_on()
        return
    # Wanted for the choice alone, which is there: not made again for nobody. The results are what they were.
    assert desk.run().code == 0
    found = desk.told()
    assert {name for name in desk.expected if found.get(name) != desk.expected[name]} <= {
        "--trials",
        *(name for name in desk.expected if name.startswith(f"artifacts/{kind}/")),
    }


def test_damaged_drift_is_not_told_as_a_result(faulty):
    damaged = faulty.artifact("drift", "same-full-seed1-drift")
    _flip(damaged / "states.parquet")
    said = faulty.run()
    told = f"artifact drift/{damaged.name[:8]} (same-full-seed1-drift) is not whole: states.parquet holds other bytes"
    assert told in " ".join((said.out + said.err).split())
    faulty.forget(damaged)
    assert "1 job done, 20 were there" in faulty.goes_on()


@pytest.mark.parametrize("kind", ["train", "represent", "evaluate", "trial", "select"])
def test_a_record_cut_in_half_is_told_and_made_anew(faulty, kind):
    damaged = sorted(faulty.store.glob(f"artifacts/{kind}/*"))[0]
    _halve(damaged / "record.json")
    (line,) = faulty.refused()
    assert line.startswith(f"artifact {kind}/{damaged.name[:8]} is not whole: record.json is torn")
    faulty.forget(damaged)
    _goes_on(faulty, kind)


def _stop_after_a_checkpoint(desk, monkeypatch):
    """Runs until the second checkpoint of the first training is written, and stops there as Ctrl-C would."""
    save, written = tunescope.training.loop.save_checkpoint, []

    def stop(folder, **given):
        save(folder, **given)
        written.append(folder)
        if len(written) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(tunescope.training.loop, "save_checkpoint", stop)
        assert desk.run("--set", "compute.checkpoint_every_s=0").code == 130
    return written[-1] / "checkpoint.safetensors"


def test_a_checkpoint_that_is_whole_is_gone_on_from(fresh, monkeypatch):
    checkpoint = _stop_after_a_checkpoint(fresh, monkeypatch)
    job = checkpoint.parent.parent.name.partition("-")[2]
    fresh.goes_on()
    (record,) = fresh.store.glob(f"artifacts/*/{job}/record.json")
    assert json.loads(record.read_text())["facts"]["resumed_from"] == 2


@pytest.mark.parametrize("damage", [_halve, _flip, lambda path: path.write_bytes(b"")], ids=["half", "bit", "empty"])
def test_a_damaged_checkpoint_is_never_gone_on_from(fresh, monkeypatch, damage):
    checkpoint = _stop_after_a_checkpoint(fresh, monkeypatch)
    job = checkpoint.parent.parent.name.partition("-")[2]
    damage(checkpoint)
    assert fresh.run().code == 0
    (record,) = fresh.store.glob(f"artifacts/*/{job}/record.json")
    facts = json.loads(record.read_text())["facts"]
    assert facts["resumed_from"] is None
    assert "started over, because its checkpoint could not be read" in facts["flags"]
    found = fresh.told()
    for row in found[""]:
        row["flags"] = row["flags"].replace("started over, because its checkpoint could not be read; ", "")
    assert found == fresh.expected


def test_a_metric_log_torn_anywhere_is_gone_on_with(fresh, monkeypatch):
    checkpoint = _stop_after_a_checkpoint(fresh, monkeypatch)
    log = checkpoint.with_name("log.jsonl")
    entry = json.dumps({"event": "watched", "step": 3, "cka": {"block0": 0.5}, "num_examples": 16})
    with log.open("a", encoding="utf-8") as file:
        file.write(entry[: entry.index("}") + 1])  # torn where a line looks whole
    fresh.goes_on()


@pytest.mark.parametrize("name", ["study.yaml", "plan.json", "known.json", "optuna.db"])
@pytest.mark.parametrize("damage", [_halve, lambda path: path.write_bytes(b"")], ids=["half", "empty"])
def test_a_file_of_the_study_cut_in_half_is_written_anew(faulty, name, damage):
    path = faulty.store / "studies" / "faults" / name
    before = path.read_bytes()
    damage(path)
    for command in (("status",), ("results",)):
        alone = faulty.tunescope(*command, faulty.store)
        if name in ("study.yaml", "known.json"):
            assert alone.code == 2
            assert str(path) in alone.err
            assert "Traceback" not in alone.err
        else:
            assert alone.code == 0, alone.err
    assert "0 jobs done, 21 were there" in faulty.goes_on()
    if name != "optuna.db":
        assert path.read_bytes() == before
    assert faulty.tunescope("results", faulty.store).code == 0


def test_a_failure_cut_in_half_is_told_and_does_not_keep_the_job_from_running(fresh, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setitem(STEPS, "evaluate", _break)
        assert fresh.run().code == 1
    failures = sorted((fresh.store / "failures").glob("*.json"))
    assert failures
    for failure in failures:
        _halve(failure)
    status = fresh.status()
    assert status.code in (1, 2)
    assert "is torn: delete it, and run the study again" in " ".join((status.out + status.err).split())
    fresh.goes_on()
    assert not list((fresh.store / "failures").iterdir())


def _break(*given):
    raise RuntimeError("the step broke")
