"""Which errors say that memory ran out, and what is computed at once afterwards."""

from __future__ import annotations

import errno

import pytest
import torch

from tunescope.inference.out_of_memory import TokensAtOnce, first_line, is_out_of_gpu_memory, is_out_of_memory


def _raised_by_the_cpu_allocator() -> RuntimeError:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**56, dtype=torch.uint8)
    return caught.value


def test_errors_of_the_cpu_are_known() -> None:
    for error in (
        _raised_by_the_cpu_allocator(),
        MemoryError(),
        RuntimeError("std::bad_alloc"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ):
        assert is_out_of_memory(error), error
        assert not is_out_of_gpu_memory(error), error


def test_errors_of_a_gpu_are_known() -> None:
    for error in (
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
        torch.AcceleratorError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ):
        assert is_out_of_memory(error), error
        assert is_out_of_gpu_memory(error), error


def test_other_errors_are_not() -> None:
    for error in (
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        ValueError("can't allocate memory"),  # torch says it in a RuntimeError
        OSError(errno.ENOSPC, "No space left on device"),
        torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
        KeyError("x"),
    ):
        assert not is_out_of_memory(error), error


@pytest.mark.parametrize(
    "num_rows, longest, left",
    [
        (40, 100, 2048),  # 40 rows of 100 fill 4096 tokens
        (8, 64, 256),  # 8 rows of 64 are 512 tokens: 2048 and 1024 would hold the same 8, so they are not tried
        (2, 700, 1024),  # one row is left
        (2, 2000, 2048),
    ],
)
def test_tokens_are_halved_until_the_portion_shrinks(num_rows: int, longest: int, left: int) -> None:
    at_once = TokensAtOnce(4096)
    assert at_once.refused is None
    assert at_once.lower(num_rows, num_rows * longest)
    assert (at_once.asked, at_once.refused, at_once.used) == (4096, 4096, left)
    assert 1 <= at_once.num_rows(longest) < num_rows
    assert at_once.told(at="at step 12") == f"out of memory at step 12 with 4096 tokens at once: went on with {left}"


def test_a_single_row_is_never_halved() -> None:
    at_once = TokensAtOnce(4096)
    assert not at_once.lower(1, 5000)
    assert (at_once.refused, at_once.used) == (None, 4096)


def test_what_fitted_earlier_is_kept_to() -> None:
    at_once = TokensAtOnce(4096)
    for earlier in (None, 4096, 10_000):
        at_once.keep_to(earlier)
        assert (at_once.refused, at_once.used) == (None, 4096)
    at_once.keep_to(1024)
    assert (at_once.refused, at_once.used) == (4096, 1024)


def test_the_first_line_says_something() -> None:
    assert first_line(RuntimeError("\n one \n two")) == "one"
    assert first_line(MemoryError()) == "MemoryError"
