"""Memory that ran out: which errors say so, and how many tokens are computed at once afterwards."""

from __future__ import annotations

import errno
import gc
import sys

_GPU_TEXTS = ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
"""What the CUDA runtime and its libraries say where torch's own allocator was not asked."""
_CPU_TEXTS = ("can't allocate memory", "std::bad_alloc")
"""What torch's CPU allocator and the C++ library say, in a plain RuntimeError."""


def is_out_of_gpu_memory(error: BaseException) -> bool:
    """Whether an error, taken by itself, says that a GPU's memory ran out."""
    # By name, so that a job that needs no torch does not load it to ask.
    named = any(
        kind.__module__.startswith("torch") and kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__
    )
    return named or (isinstance(error, RuntimeError) and any(text in str(error) for text in _GPU_TEXTS))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, taken by itself, says that memory ran out: a GPU's or the machine's."""
    if isinstance(error, MemoryError) or is_out_of_gpu_memory(error):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _CPU_TEXTS)


def first_line(error: BaseException) -> str:
    """The first line of what an error says, or its type's name where it says nothing."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def give_back_memory() -> None:
    """Frees what nothing refers to any more, in Python and in torch's cache of GPU memory."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


class TokensAtOnce:
    """How many tokens, padding included, are computed at once: as many as asked for, until they do not fit in memory."""

    def __init__(self, asked: int) -> None:
        self.asked = self.used = asked
        self.refused: int | None = None
        """What did not fit the last time; None as long as all did."""

    def num_rows(self, longest: int) -> int:
        """Rows of a portion whose longest row has so many tokens; one at least."""
        return max(1, self.used // longest)

    def lower(self, num_rows: int, num_tokens: int) -> bool:
        """Halves them until a portion that did not fit would have fewer rows.

        Args:
            num_rows: Rows of that portion.
            num_tokens: Tokens that were computed for it, padding included.

        Returns:
            False, and nothing changes, if the portion is a single row: there is nothing smaller to compute.
        """
        if num_rows <= 1:
            return False
        self.refused = self.used
        while self.used >= num_tokens:
            self.used //= 2
        return True

    def keep_to(self, tokens: int | None) -> None:
        """Goes by what was found to fit earlier, where that is fewer."""
        if tokens is not None and tokens < self.used:
            self.refused, self.used = self.used, tokens

    def told(self, *, at: str) -> str:
        """The last lowering in words, for a flag or a log; `at` says where, as in "at step 12"."""
        return f"out of memory {at} with {self.refused} tokens at once: went on with {self.used}"
