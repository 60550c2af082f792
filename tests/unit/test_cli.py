"""Exit codes, help, and what stands on standard error; whole commands are tested in tests/e2e."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from tunescope import api
from tunescope.cli import main
from tunescope.errors import StudyError
from tunescope.study.load import load_study


def test_without_a_command_the_help_is_shown_with_exit_code_2(capsys):
    assert main([]) == 2
    shown = capsys.readouterr().out
    assert "One YAML study in, one trustworthy report out." in " ".join(shown.split())
    for command in ("run", "check", "plan", "status", "results", "list", "init", "forget"):
        assert f"\n    {command} " in shown


@pytest.mark.parametrize(
    "words",
    [["rn", "study.yaml"], ["run"], ["results", "s.yaml", "--format", "xml"], ["plan", "s.yaml", "--workers", "0"]],
)
def test_words_that_no_command_takes_exit_with_2(capsys, words):
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 2
    assert "usage: tunescope" in capsys.readouterr().err


def test_compare_takes_a_metrics_direction_from_its_name_or_the_user(capsys, tmp_path):
    path = tmp_path / "scores.csv"
    rows = [
        f"{name},eval_loss,{seed},{value + seed / 100}" for name, value in (("a", 1), ("b", 2)) for seed in range(3)
    ]
    path.write_text("\n".join(["method,metric,seed,score", *rows]))

    def first(*words):
        assert main(["compare", str(path), "--format", "csv", *words]) == 0
        return capsys.readouterr().out.splitlines()[1].split(",")[2:5]

    assert first() == ["false", '"a"', '"b"']
    assert first("--higher-is-better", "eval_loss") == ["true", '"b"', '"a"']
    assert first("--lower-is-better", "eval_loss") == ["false", '"a"', '"b"']
    assert main(["compare", str(path), "--lower-is-better", "loss"]) == 2
    assert "no scores of measure 'loss'. Did you mean 'eval_loss'" in capsys.readouterr().err
    both = ["--lower-is-better", "eval_loss", "--higher-is-better", "eval_loss"]
    assert main(["compare", str(path), *both]) == 2
    assert "both name 'eval_loss'" in capsys.readouterr().err
    study = tmp_path / "study.yaml"
    study.write_text("name: t")
    assert main(["compare", str(study), "--lower-is-better", "eval_loss"]) == 2
    assert "--lower-is-better is for tables of scores" in capsys.readouterr().err


def test_an_error_is_told_line_by_line_and_inert(capsys, monkeypatch, tmp_path):
    def fail(*_, **__):
        raise StudyError(["one \x1b[31mred\x1b[0m", "two [bold]x[/bold]"])

    monkeypatch.setattr(api, "study_status", fail)
    assert main(["status", str(tmp_path / "s.yaml")]) == 2
    assert capsys.readouterr().err == "tunescope: one \\x1b[31mred\\x1b[0m\ntunescope: two [bold]x[/bold]\n"


def test_an_interrupt_exits_with_130(capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "study_status", interrupted)
    assert main(["status", "s.yaml"]) == 130
    assert capsys.readouterr().err == "tunescope: interrupted\n"


def test_an_error_of_ours_keeps_its_traceback(monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("a fault of tunescope's own")

    monkeypatch.setattr(api, "study_status", broken)
    with pytest.raises(RuntimeError, match="a fault of tunescope's own"):
        main(["status", "s.yaml"])


def test_init_writes_a_study_that_loads_and_overwrites_nothing(capsys, tmp_path):
    path = tmp_path / "my study.yaml"
    assert main(["init", str(path)]) == 0
    assert capsys.readouterr().out == f"wrote {path}. Next: tunescope run '{path}'\n"
    assert f"tunescope check '{path}'" in path.read_text(encoding="utf-8")
    assert load_study(path).name == "my-study"
    path.write_text("mine", encoding="utf-8")
    assert main(["init", str(path)]) == 2
    assert "is there already, and stays as it is" in capsys.readouterr().err
    assert path.read_text(encoding="utf-8") == "mine"
    assert main(["init", str(tmp_path / "no" / "study.yaml")]) == 2
    assert "cannot be written: No such file or directory." in capsys.readouterr().err


@pytest.mark.parametrize("what,named", [("tasks", "mrpc"), ("methods", "lora"), ("metrics", "squad_f1")])
def test_list_names_what_there_is(capsys, monkeypatch, what, named):
    monkeypatch.setenv("COLUMNS", "not a number")
    assert main(["list", what]) == 0
    assert named in capsys.readouterr().out


def test_a_terminal_without_a_sign_shows_another():
    words = [sys.executable, "-c", "from tunescope.cli import main; main(['list', 'metrics']); print('\u00b1')"]
    ascii_only = os.environ | {"PYTHONIOENCODING": "ascii"}
    said = subprocess.run(words, capture_output=True, text=True, env=ascii_only, timeout=60, check=False)
    assert (said.returncode, said.stdout.splitlines()[-1]) == (0, "?")


def test_a_reader_that_stops_early_gets_no_traceback():
    code = "import sys; from tunescope.cli import main; sys.exit(main(['list', 'tasks']))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.wait(timeout=60) == 141
    assert process.stderr.read() == b""


_MAIN = "import sys; from tunescope.cli import main; sys.exit(main(sys.argv[1:]))"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("words", [["list", "tasks"], ["init", "s.yaml"]])
def test_output_that_cannot_be_written_is_told_in_one_line(tmp_path, words):
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-c", _MAIN, *words]
        said = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, cwd=tmp_path, timeout=60, check=False)
    assert said.stderr.decode() == "tunescope: standard output cannot be written: No space left on device.\n"
    assert said.returncode == 2


def test_a_closed_output_is_no_traceback():
    command = f"{sys.executable} -c '{_MAIN}' list tasks >&-"
    said = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert (said.returncode, said.stderr) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_before_any_job_is_an_interrupt(capsys, monkeypatch, number):
    monkeypatch.setattr(api, "study_status", lambda *_, **__: signal.raise_signal(number))
    before = signal.getsignal(number)
    assert main(["status", "s.yaml"]) == 130
    assert capsys.readouterr().err == "tunescope: interrupted\n"
    assert signal.getsignal(number) is before


def test_help_answers_at_once_and_loads_nothing_heavy():
    code = (
        "import sys; from tunescope.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print([name for name in ('torch', 'transformers', 'numpy', 'pyarrow') if name in sys.modules])"
    )
    began = time.monotonic()
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert said.stdout.rstrip().endswith("[]")
    assert time.monotonic() - began < 10.0  # a tenth of a second where nobody else is at work


def test_an_interrupt_inside_an_exec_ends_with_130_under_python_m_too(tmp_path):
    """CPython remembers such an interrupt, and would end the process by SIGINT."""
    (tmp_path / "interrupted.py").write_text(
        "from tunescope import cli\n"
        "def make_parser():\n"
        "    exec('raise KeyboardInterrupt')\n"
        "class Parser:\n"
        "    def parse_args(self, argv):\n"
        "        import argparse\n"
        "        return argparse.Namespace(command=lambda arguments: make_parser())\n"
        "cli.make_parser = Parser\n"
        "raise SystemExit(cli.main([]))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-m", "interrupted"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stderr) == (130, "tunescope: interrupted\n")
