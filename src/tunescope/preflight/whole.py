"""Whether what a store holds of a plan is whole, and no result in it was changed by hand."""

from __future__ import annotations

from tunescope.errors import StoreError
from tunescope.store import Store
from tunescope.study.plan import Plan


def check_whole(plan: Plan, store: Store) -> None:
    """Looks at every artifact of the plan: records and sizes of all, and every byte of results, choices and trials.

    Raises:
        StoreError: Naming all that are not whole, and for each how to have it made anew.
    """
    problems: list[str] = []
    for job in plan.jobs:
        try:
            if store.artifact(job.kind, job.id) is not None and not job.config.keeps_much:
                store.read_from(job.kind, job.id)
        except StoreError as error:
            problems.append(str(error))
    if problems:
        raise StoreError("\n".join(dict.fromkeys(problems)))
