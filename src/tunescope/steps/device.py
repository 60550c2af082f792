"""Which device and how many threads a job gets, chosen once and said in its record."""

from __future__ import annotations

from typing import Literal

from tunescope.cost.threads import threads_of_a_job
from tunescope.errors import TunescopeError


def chosen_device(asked: Literal["auto", "cpu", "cuda"]) -> str:
    """The device as torch names it; `auto` takes a GPU where there is one.

    Raises:
        TunescopeError: If a GPU is asked for and torch sees none.
    """
    if asked == "cpu":
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda:0"
    if asked == "cuda":
        raise TunescopeError(
            "compute.device is cuda, and torch sees no GPU here. Install a CUDA build of torch, or set compute.device=cpu."
        )
    return "cpu"


def use_threads(num_threads: int) -> None:
    """Tells torch how many CPU threads this process may use; a setting of the process, made by each job for itself."""
    import torch

    torch.set_num_threads(num_threads)


def chosen_threads(asked: int | None) -> int:
    """CPU threads for one job, by the rule that predictions go by too."""
    return threads_of_a_job(asked)
