"""Jobs that are predicted not to fit into memory begin with fewer tokens at once: what they compute stays the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tunescope.cost.architecture import Architecture
from tunescope.cost.devices import DeviceProfile
from tunescope.study.estimate import estimate, with_resources
from tunescope.study.plan import Plan

_HALVINGS = 6
"""As many as a job is tried again with after it ran out of memory."""


def fit_to_memory(plan: Plan, architectures: Mapping[str, Architecture | None], device: DeviceProfile) -> Plan:
    """The plan with every job's predicted resources, and the share of tokens at once with which it fits the device.

    Of the shares 1, 1/2, ... 1/64 each job takes the largest that is predicted to fit. A job that fits with none, or of which
    too little is known, keeps the whole share: prediction may be wrong, and what runs out of memory is halved then.

    Args:
        plan: Any plan.
        architectures: Base model name -> its architecture, None where its type is not known.
        device: Where the jobs are to run.
    """
    whole = estimate(plan, architectures, device)
    chosen = [job.resources for job in whole.jobs]
    left = {number for number, needs in enumerate(chosen) if (needs.memory_gib or 0.0) > device.memory_gib}
    for halvings in range(1, _HALVINGS + 1):
        if not left:
            break
        share = 0.5**halvings
        fewer = estimate(_with_share(plan, share), architectures, device).jobs
        for number in sorted(left):
            needs = fewer[number].resources
            if needs.memory_gib is not None and needs.memory_gib <= device.memory_gib:
                chosen[number] = replace(needs, share=share)
                left.remove(number)
    return with_resources(plan, chosen)


def _with_share(plan: Plan, share: float) -> Plan:
    compute = plan.study.compute
    fewer = compute.model_copy(
        update={
            "micro_batch_tokens": max(1, int(compute.micro_batch_tokens * share)),
            "evaluation_batch_tokens": max(1, int(compute.evaluation_batch_tokens * share)),
        }
    )
    return replace(plan, study=plan.study.model_copy(update={"compute": fewer}))
