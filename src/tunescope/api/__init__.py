"""Each command as a function: what `tunescope run` and its siblings do, for scripts and notebooks.

Functions are imported when they are first asked for: a plan needs nothing of what is behind a report.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunescope.api.drift import drift_between
    from tunescope.api.export import export_study
    from tunescope.api.garbage import collect_garbage
    from tunescope.api.merge import merge_stores
    from tunescope.api.plan import measured_seed_spread, plan_study
    from tunescope.api.report import report_study, report_two
    from tunescope.api.results import (
        compare_study,
        load_results,
        study_drift,
        study_probes,
        study_results,
        study_retention,
        study_trials,
    )
    from tunescope.api.run import run_study
    from tunescope.api.scripts import write_scripts
    from tunescope.api.status import study_status
    from tunescope.api.stored import forget, open_study
    from tunescope.api.unpack import unpack_run
    from tunescope.api.verify import verify_store

__all__ = [
    "collect_garbage",
    "compare_study",
    "drift_between",
    "export_study",
    "forget",
    "load_results",
    "measured_seed_spread",
    "merge_stores",
    "open_study",
    "plan_study",
    "report_study",
    "report_two",
    "run_study",
    "study_drift",
    "study_probes",
    "study_results",
    "study_retention",
    "study_status",
    "study_trials",
    "unpack_run",
    "verify_store",
    "write_scripts",
]

_MODULES = {
    "drift": ("drift_between",),
    "export": ("export_study",),
    "garbage": ("collect_garbage",),
    "merge": ("merge_stores",),
    "plan": ("measured_seed_spread", "plan_study"),
    "report": ("report_study", "report_two"),
    "results": (
        "compare_study",
        "load_results",
        "study_drift",
        "study_probes",
        "study_results",
        "study_retention",
        "study_trials",
    ),
    "run": ("run_study",),
    "scripts": ("write_scripts",),
    "status": ("study_status",),
    "stored": ("forget", "open_study"),
    "unpack": ("unpack_run",),
    "verify": ("verify_store",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
