"""Settings read back from runs: one value or one per seed, and where methods differ."""

from __future__ import annotations

import pytest

from stored_study import StoredStudy
from tunescope.analysis.settings_in_force import collect_settings, setting_differences


@pytest.fixture
def stored(tmp_path):
    return StoredStudy(tmp_path / "store")


def _settings(peak, clipped, **method):
    return {
        "optimiser": "AdamW",
        "groups": [{"betas": [0.9, 0.999]}, {"betas": [0.9, 0.999]}],
        "peak_learning_rate": peak,
        "num_clipped_steps": clipped,
        "method": method,
    }


def test_a_setting_has_one_value_or_one_per_seed(stored):
    stored.train("rte-lora-seed1", settings=_settings(1e-3, 4, rank=8))
    stored.train("rte-lora-seed2", settings=_settings(1e-3, 7, rank=8, alpha=16))
    full, lora = collect_settings(stored.plan, stored.store)
    assert (full.num_seeds, full.settings) == (0, ())
    assert lora.num_seeds == 2
    assert lora.jobs == (stored.jobs["rte-lora-seed1"].id, stored.jobs["rte-lora-seed2"].id)
    told = {setting.name: (setting.value, setting.by_seed) for setting in lora.settings}
    assert told == {
        "optimiser": ('"AdamW"', ()),
        "groups.0.betas": ("[0.9, 0.999]", ()),
        "groups.1.betas": ("[0.9, 0.999]", ()),
        "peak_learning_rate": ("0.001", ()),
        "num_clipped_steps": ("", ((1, "4"), (2, "7"))),
        "method.rank": ("8", ()),
        "method.alpha": ("", ((1, "-"), (2, "16"))),
    }


def test_what_methods_do_not_share_is_set_side_by_side(stored):
    stored.train("rte-full-seed1", settings=_settings(1e-4, 4))
    stored.train("rte-lora-seed1", settings=_settings(1e-3, 4, rank=8))
    stored.train("rte-lora-seed2", settings=_settings(1e-3, 9, rank=8))
    differences = setting_differences(collect_settings(stored.plan, stored.store))
    assert {(one.name, one.by_method) for one in differences} == {
        ("peak_learning_rate", (("full", "0.0001"), ("lora", "0.001"))),
        ("num_clipped_steps", (("full", "4"), ("lora", "4 to 9"))),
        ("method.rank", (("full", "-"), ("lora", "8"))),
    }
    assert {(one.base_model, one.task) for one in differences} == {("org/decoder", "rte")}


def test_a_method_without_a_finished_run_differs_in_nothing(stored):
    stored.train("rte-lora-seed1", settings=_settings(1e-3, 4, rank=8))
    assert setting_differences(collect_settings(stored.plan, stored.store)) == []


def test_seeds_whose_values_are_no_numbers_are_listed(stored):
    stored.train("rte-full-seed1", settings={"device": "cpu"})
    stored.train("rte-lora-seed1", settings={"device": "cpu"})
    stored.train("rte-lora-seed2", settings={"device": "cuda:0"})
    (difference,) = setting_differences(collect_settings(stored.plan, stored.store))
    assert difference.by_method == (("full", '"cpu"'), ("lora", '"cpu", "cuda:0"'))
