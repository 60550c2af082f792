"""A job's log: times, warnings, a second file where one is asked for, and no progress bars."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from tunescope.execution.job_log import NO_BARS, logging_to, named_log, without_bars

_LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (INFO|WARNING|ERROR) ")


def test_both_files_hold_the_same_lines_each_with_its_time(tmp_path):
    store, also = tmp_path / "logs" / "a.log", tmp_path / "phase1" / "vm1" / "b.log"
    with logging_to(store, also):
        logging.getLogger("tunescope.x").info("one")
        warnings.warn("two", stacklevel=1)
    logging.getLogger("tunescope.x").warning("after")
    lines = store.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2
    assert all(_LINE.match(line) for line in lines)
    assert lines[0].endswith("tunescope.x: one")
    assert "two" in lines[1]
    assert also.read_bytes() == store.read_bytes()


def test_a_log_goes_on_where_an_earlier_try_left_it(tmp_path):
    for word in ("one", "two"):
        with logging_to(tmp_path / "logs" / "a.log"):
            logging.getLogger("tunescope").info(word)
    assert len((tmp_path / "logs" / "a.log").read_text().splitlines()) == 2


def test_a_second_file_that_cannot_be_written_is_told_of_in_the_first(tmp_path):
    (tmp_path / "file").write_text("")
    with logging_to(tmp_path / "logs" / "a.log", tmp_path / "file" / "b.log"):
        logging.getLogger("tunescope").info("one")
    lines = (tmp_path / "logs" / "a.log").read_text().splitlines()
    assert "b.log cannot be written" in lines[0]
    assert len(lines) == 2


@pytest.mark.parametrize(
    "label, kind, part, expected",
    [
        ("rte-lora-seed1", "train", "", "logs/rte-lora-seed1.train.log"),
        ("rte-lora-seed1", "train", "vm2", "logs/vm2/rte-lora-seed1.train.log"),
    ],
)
def test_names(label, kind, part, expected):
    assert named_log(Path("logs"), label, kind, part).as_posix() == expected


@pytest.mark.parametrize("label", ["../../etc/passwd", "..", "a/b", "a b", "\x1b[31m", "ü", "x" * 300, "", ".hidden"])
def test_no_name_leads_out_of_the_folder_and_no_two_are_one(label):
    path = named_log(Path("logs"), label, "train")
    assert path.parent == Path("logs")
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*\.train\.log", path.name)
    assert len(path.name) < 150
    assert path != named_log(Path("logs"), label + " ", "train")


_DRAWS = """
import tqdm, tqdm.auto, datasets
from transformers.utils import logging as transformers_logging
from huggingface_hub.utils import tqdm as hub_tqdm

def draw():
    for bar in (tqdm.tqdm, tqdm.auto.tqdm, transformers_logging.tqdm, hub_tqdm):
        for _ in bar(range(3)):
            pass
    datasets.Dataset.from_dict({"x": list(range(10))}).map(lambda row: row)
"""
_IN_A_JOB = f"""
import sys
from pathlib import Path
from tunescope.execution.job_log import logging_to
with logging_to(Path(sys.argv[1]) / "logs" / "a.log"):
    exec({_DRAWS!r})
    draw()
"""


def test_libraries_that_a_job_loads_draw_no_bar(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name not in NO_BARS}
    command = [sys.executable, "-c", _IN_A_JOB, str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ran.returncode == 0, ran.stderr
    assert (ran.stdout, ran.stderr) == ("", "")


def test_libraries_that_were_loaded_before_draw_no_bar(tmp_path, capsys):
    loaded = {}
    exec(_DRAWS, loaded)
    with logging_to(tmp_path / "logs" / "a.log"):
        loaded["draw"]()
    assert capsys.readouterr() == ("", "")
    loaded["draw"]()
    assert capsys.readouterr().err.count("it/s") >= 4  # elsewhere they do


@pytest.mark.parametrize("is_on", [True, False])
def test_bars_and_the_environment_are_as_before_afterwards(monkeypatch, is_on):
    import tqdm
    from huggingface_hub import utils as hub
    from transformers.utils import logging as transformers_logging

    from tunescope.models.network import quiet

    monkeypatch.setenv("TQDM_DISABLE", "0")
    monkeypatch.delenv("HF_HUB_DISABLE_PROGRESS_BARS", raising=False)
    (hub.enable_progress_bars if is_on else hub.disable_progress_bars)()
    before = tqdm.tqdm.__init__
    try:
        with without_bars():
            with quiet():  # as the loading of a model, which turns bars off and on by itself
                pass
            assert os.environ["TQDM_DISABLE"] == "1"
            assert tqdm.tqdm(range(3)).disable
            assert hub.are_progress_bars_disabled()
        assert tqdm.tqdm.__init__ == before
        assert hub.are_progress_bars_disabled() is not is_on
        assert transformers_logging.is_progress_bar_enabled()
    finally:
        hub.enable_progress_bars()
    assert os.environ["TQDM_DISABLE"] == "0"
    assert "HF_HUB_DISABLE_PROGRESS_BARS" not in os.environ
