"""What is known of a study's models and machines before a weight is read: what a plan and its estimates rest on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import Field

from tunescope.cost.architecture import KNOWN, Architecture, is_decoder_config, read_architecture
from tunescope.cost.devices import DEVICES, DeviceProfile, this_machine
from tunescope.errors import StudyError, TunescopeError, did_you_mean
from tunescope.fields import Frozen
from tunescope.hub.source import Source
from tunescope.study.own_files import own_files_sha256
from tunescope.study.spec import StudySpec


def source_for(study: Path, mirror: Path | None) -> Source:
    """Where a study file's data sets and models come from.

    Raises:
        TunescopeError: If a mirror is named that is not there.
    """
    if mirror is not None and not mirror.is_dir():
        raise TunescopeError(f"--mirror {mirror}: no such folder. It holds datasets/<repo id>/ and models/<repo id>/.")
    return Source(mirror=mirror, study_folder=study.resolve().parent)


def architectures(study: StudySpec, source: Source) -> dict[str, Architecture | None]:
    """The architecture of each base model, from its config where it is at hand, else as known by name, else None."""
    found: dict[str, Architecture | None] = {}
    for model in study.base_models:
        config = source.local_config(model.name, model.revision)
        found[model.name] = KNOWN.get(model.name) if config is None else read_architecture(config)
    return found


class Known(Frozen):
    """What a plan rests on besides the study: kept in the store, so that a plan can be made where no model or file is."""

    decoders: dict[str, bool] = Field(default_factory=dict)
    """Base model -> whether it is a decoder."""
    files_sha256: dict[str, str] = Field(default_factory=dict)
    """Data file as the study names it -> SHA-256 of its bytes."""


def known_of(study: StudySpec, source: Source) -> Known:
    """What there is to know of a study's models and files.

    Raises:
        TunescopeError: If a file is not there, or a model must be known and is not.
    """
    return Known(decoders=dict(decoders(study, source)), files_sha256=own_files_sha256(study, source))


def decoders(study: StudySpec, source: Source, known: Mapping[str, bool] | None = None) -> Mapping[str, bool]:
    """Whether each base model is a decoder, as its config says; asked of the hub where it must be known.

    It must where a zero-shot baseline depends on it; elsewhere a model that nobody knows yet counts as none.

    Args:
        study: The study.
        source: Where models are looked up.
        known: What an earlier run found, for models whose config is not at hand.

    Raises:
        ModelError: If it must be known and the hub does not tell.
    """
    must_know = "zero_shot" in study.baselines and any(
        task.kind == "classification" and task.label_words is not None for task in study.tasks
    )
    found: dict[str, bool] = {}
    for model in study.base_models:
        config = source.local_config(model.name, model.revision)
        if config is None and known is not None and model.name in known:
            found[model.name] = known[model.name]
            continue
        if config is None and model.name in KNOWN:
            found[model.name] = KNOWN[model.name].is_decoder
            continue
        if config is None and must_know:
            config = source.hub_config(model.name, model.revision)
        found[model.name] = config is not None and is_decoder_config(config)
    return found


def expected_device(study: StudySpec) -> DeviceProfile:
    """The device that predictions are for: the one the study names, else this machine.

    Raises:
        StudyError: If nobody knows the named device.
    """
    asked = study.compute.expected_device
    if asked is None:
        return this_machine(use_gpu=study.compute.device != "cpu", num_threads=study.compute.num_threads)
    if asked.name not in DEVICES and asked.name != "cpu":
        raise StudyError(
            [f"compute.expected_device.name: unknown device '{asked.name}'. {did_you_mean(asked.name, DEVICES)}"]
        )
    known = (
        this_machine(use_gpu=False, num_threads=study.compute.num_threads)
        if asked.name == "cpu"
        else DEVICES[asked.name]
    )
    return known if asked.memory_gib is None else replace(known, memory_gib=asked.memory_gib)
