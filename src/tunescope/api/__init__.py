"""Each command as a function: what `tunescope run` and its siblings do, for scripts and notebooks."""

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
