"""Updates and their spectra against what others compute: peft's own merge, torch, and the papers' algorithms by the letter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tiny import TINY, tiny_network
from tunescope.methods import Lora
from tunescope.models.saving import save_tuned
from tunescope.weights.deltas import module_updates
from tunescope.weights.intruders import num_intruders
from tunescope.weights.measure import update_rows
from tunescope.weights.spectrum import dense_spectrum, effective_rank, low_rank_spectrum, stable_rank
from tunescope.weights.update import LowRank

METHODS = {
    "lora": Lora(rank=4, alpha=16, target_modules="all-linear"),
    "rslora": Lora(rank=4, alpha=16, use_rslora=True, target_modules="all-linear"),
    "dora": Lora(rank=4, alpha=16, use_dora=True, target_modules="all-linear"),
}


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("label", METHODS)
@pytest.mark.parametrize(
    "dtype, tolerance",
    [
        (torch.float32, 1e-6),  # a merged float32 weight of size 1 is rounded by 6e-8, and W - W0 keeps the rounding
        (torch.float64, 1e-10),  # 2e-16 times the weight's size, with room for a sum over the rank
    ],
)
def test_factors_against_pefts_merge(
    label: str, name: str, dtype: torch.dtype, tolerance: float, tmp_path: Path
) -> None:
    model, out, base = _tuned(METHODS[label], TINY[name], tmp_path)
    merged = _backbone(model.to(dtype).merge_and_unload())
    before = _backbone(tiny_network(base).model.to(dtype))
    rows = {row.module: row for row in update_rows(out, base, directions=False)}
    updates = list(module_updates(out, base))
    assert len(updates) >= 8
    for update in updates:
        (own,) = [n for n in before if update.module == n or update.module.endswith(f".{n}")]
        dense = (merged[own] - before[own]).double().detach().numpy()
        np.testing.assert_allclose(update.dense(), dense, rtol=0, atol=tolerance)
        of_merged = torch.linalg.svdvals(torch.from_numpy(dense)).numpy()
        ours = np.array(rows[update.module].top_singular_values)
        scale = np.sqrt(min(dense.shape))  # the spectral norm of a matrix of roundings
        np.testing.assert_allclose(ours, of_merged[: len(ours)], rtol=0, atol=tolerance * scale)
        assert rows[update.module].update_norm == pytest.approx(np.linalg.norm(dense), abs=tolerance * scale)
        if isinstance(update.change, LowRank) and dtype == torch.float64:
            kept = of_merged[:4]
            assert rows[update.module].effective_rank == pytest.approx(effective_rank(kept), rel=1e-10)
            assert rows[update.module].stable_rank == pytest.approx(stable_rank(of_merged), rel=1e-10)


def test_ranks_against_torch() -> None:
    M = torch.randn(40, 25, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    s = torch.linalg.svdvals(M)
    entropy = torch.distributions.Categorical(probs=s / s.sum()).entropy()
    assert effective_rank(dense_spectrum(M.numpy())) == pytest.approx(float(entropy.exp()), rel=1e-12)
    expected = float(torch.linalg.matrix_norm(M) ** 2 / torch.linalg.matrix_norm(M, ord=2) ** 2)
    assert stable_rank(dense_spectrum(M.numpy())) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("shape", [(40, 40), (60, 40), (40, 60)])
@pytest.mark.parametrize("side", ["left", "right"])
def test_intruders_against_the_papers_algorithm(shape: tuple[int, int], side: str) -> None:
    """Algorithm 1 of Shuttleworth et al. (2024), arXiv:2410.21228, loop for loop, in torch."""
    generator = torch.Generator().manual_seed(1)
    W = torch.randn(shape, dtype=torch.float64, generator=generator)
    dW = torch.randn(shape[0], 3, dtype=torch.float64, generator=generator) @ torch.randn(
        3, shape[1], dtype=torch.float64, generator=generator
    )
    U0, _, V0 = torch.linalg.svd(W, full_matrices=False)
    U1, _, V1 = torch.linalg.svd(W + dW, full_matrices=False)
    before, after = (U0.T, U1.T) if side == "left" else (V0, V1)
    for threshold in (0.3, 0.5, 0.7, 0.9):
        count = 0
        for i in range(10):
            cosines = [torch.nn.functional.cosine_similarity(row, after[i], dim=0).abs() for row in before]
            count += int(max(cosines) < threshold)
        found = num_intruders(W.numpy(), (W + dW).numpy(), k=10, thresholds=(threshold,))
        assert getattr(found, side) == (count,)


def test_an_update_read_from_a_bfloat16_merge_would_be_rounding() -> None:
    """Why half precision is refused: at |dW| / |W| = 1e-3 a rank-8 update looks like one of hundreds of directions."""
    generator = torch.Generator().manual_seed(0)
    W = torch.randn(512, 512, generator=generator).bfloat16().float()
    B, A = torch.randn(512, 8, generator=generator), torch.randn(8, 512, generator=generator)
    scale = 1e-3 * float(torch.linalg.matrix_norm(W) / torch.linalg.matrix_norm(B @ A))
    exact = low_rank_spectrum(A.numpy(), B.numpy(), scale)
    rounded = ((W + scale * B @ A).bfloat16().float() - W).double().numpy()
    assert effective_rank(exact) < 8.0
    assert effective_rank(dense_spectrum(rounded)) > 300.0
    missed = rounded - (scale * B @ A).double().numpy()
    assert np.linalg.norm(missed) > 0.75 * np.linalg.norm(exact), "the rounding is nearly as long as the update"


@pytest.mark.mirror
def test_minilm_against_pefts_merge(mirror: Path, tmp_path: Path) -> None:
    """Real weights; the adapter's are moved at random to the size of a trained one's."""
    base = mirror / "models" / "sentence-transformers" / "all-MiniLM-L6-v2"
    method = Lora(rank=8, alpha=16, target_modules=("query", "value"))
    model = _moved(method.apply(tiny_network(base, discard_head=True).model, "classification", seed=1), by=0.01)
    save_tuned(model, method.kind, tmp_path)
    before = _backbone(tiny_network(base, discard_head=True).model.double())
    merged = _backbone(model.double().merge_and_unload())
    updates = list(module_updates(tmp_path, base))
    assert len(updates) == 12
    for update in updates:
        dense = (merged[update.module] - before[update.module]).detach().numpy()
        np.testing.assert_allclose(update.dense(), dense, rtol=0, atol=1e-14)
        assert isinstance(update.change, LowRank)
        ours = low_rank_spectrum(update.change.A, update.change.B, update.change.scale)
        np.testing.assert_allclose(ours, np.linalg.svd(dense, compute_uv=False)[:8], rtol=0, atol=1e-13)


def _tuned(method, tiny, folder: Path):
    base, out = tiny(folder / "base"), folder / "out"
    out.mkdir()
    model = _moved(method.apply(tiny_network(base).model, "classification", seed=1))
    save_tuned(model, method.kind, out)
    return model, out, base


def _moved(model, *, by: float = 0.05):
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(5)
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(by * torch.randn_like(weight))
    return model.eval()


def _backbone(model) -> dict[str, torch.Tensor]:
    return dict(model.get_submodule(model.base_model_prefix).named_parameters())
