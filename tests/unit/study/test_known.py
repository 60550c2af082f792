"""What kind a model is: from its config, from the hub where it must be known, never guessed."""

from __future__ import annotations

import json
from pathlib import Path

import huggingface_hub
import pytest

from tunescope.errors import ModelError
from tunescope.hub.source import Source
from tunescope.study.known import decoders
from tunescope.study.load import parse_study
from tunescope.study.spec import StudySpec


def _study(model: str, baselines: str = "[zero_shot]") -> StudySpec:
    return parse_study(
        f"name: n\nbase_model: {model}\ntasks: [demo_sentiment]\nmethods: {{full: {{}}}}\nseeds: [1]\nbaselines: {baselines}\n",
        "s.yaml",
    )


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub that gives what lies in a folder, and is out of reach for the rest; nothing is in the cache."""

    def download(name: str, revision: str | None, allow_patterns: list[str]) -> str:
        assert allow_patterns == ["config.json"], "no weights"
        if not (tmp_path / name / "config.json").exists():
            raise OSError("We couldn't connect to the Hub")
        return str(tmp_path / name)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *words, **more: None)
    return tmp_path


def _config(hub: Path, name: str, **config: object) -> None:
    (hub / name).mkdir(parents=True)
    (hub / name / "config.json").write_text(json.dumps(config), encoding="utf-8")


def test_an_unknown_encoder_of_the_hub_is_none(hub: Path) -> None:
    _config(hub, "org/bert-large", model_type="bert", architectures=["BertForMaskedLM"])
    _config(hub, "org/deberta", model_type="deberta-v2", architectures=["DebertaV2ForMaskedLM"])
    _config(hub, "org/llama", model_type="llama", architectures=["LlamaForCausalLM"])
    for name, is_one in (("org/bert-large", False), ("org/deberta", False), ("org/llama", True)):
        assert decoders(_study(name), Source()) == {name: is_one}


def test_what_the_hub_does_not_tell_is_an_error_where_it_matters(hub: Path) -> None:
    with pytest.raises(ModelError, match="base model 'org/far': no --mirror given, and the hub did not give it"):
        decoders(_study("org/far"), Source())
    assert decoders(_study("org/far", "[majority]"), Source()) == {"org/far": False}


def test_the_cache_is_asked_before_the_hub(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _config(hub, "kept/gpt", model_type="gpt2")
    kept = str(hub / "kept/gpt/config.json")
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *words, **more: kept)
    assert decoders(_study("org/gpt"), Source()) == {"org/gpt": True}
