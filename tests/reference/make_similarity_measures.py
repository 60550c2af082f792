"""Writes similarity_measures.json: what public libraries say of a few pairs of representations.

    python tests/reference/make_similarity_measures.py SOURCES

None of them is part of this project. SOURCES holds checkouts as SOURCES/<repository>, at the commits named in COMMITS; they
want torch, torchaudio (or `metrics.py` without its import), einops, loguru, tqdm and scikit-learn, and rsatoolbox comes from
PyPI. `test_similarity_measures.py` builds the same pairs and holds our measures to the figures.
"""

from __future__ import annotations

import argparse
import json
import sys
import types
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

FIGURES = Path(__file__).with_name("similarity_measures.json")
COMMITS = {
    "svcca": "google/svcca@1f3fbf19bd31bd9b76e728ef75842aa1d9a4cd2b",
    "netrep": "ahwillia/netrep@0186b8a77ec1ebaf541cc8f7173cb2556df8a8f0",
    "resi": "mklabunde/resi@24ab9e5055c71527445b0b196f5872f3cbe9a020",
    "platonic-rep": "minyoungg/platonic-rep@dcd76ba3c950c1b197a2ae8b1c6713535c94ecf9",
}


def pairs() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """X and Y by name; `RandomState`'s stream is frozen, so they are the same with every numpy."""
    random = np.random.RandomState(1337)
    X = random.randn(100, 10)
    same_width = (X, random.randn(100, 10) + X)
    X = random.randn(80, 12) * np.geomspace(1.0, 0.05, 12)
    unequal = (X, X[:, 3:10] @ random.randn(7, 7) + 0.2 * random.randn(80, 7))
    X = random.randn(20, 50)
    wide = (X, X[:, :30] + random.randn(20, 30))
    X = random.randn(60, 8) + 5.0
    small_change = (X, X + 1e-3 * random.randn(60, 8))
    return {"same_width": same_width, "unequal": unequal, "wide": wide, "small_change": small_change}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("sources", type=Path)
    sources = parser.parse_args().sources
    sys.path[:0] = [str(sources / name) for name in COMMITS]
    sys.modules["torchaudio"] = types.ModuleType("torchaudio")  # for an edit distance that is not asked for
    functional = types.ModuleType("torchaudio.functional")
    sys.modules["torchaudio.functional"] = functional
    sys.modules["torchaudio"].functional = functional  # type: ignore[attr-defined]
    figures = {
        "made_with": {**COMMITS, "rsatoolbox": version("rsatoolbox"), "numpy": np.__version__},
        "figures": {name: _figures(X, Y) for name, (X, Y) in pairs().items()},
    }
    FIGURES.write_text(json.dumps(figures, indent=1) + "\n")


def _figures(X: np.ndarray, Y: np.ndarray) -> dict[str, Any]:
    import cca_core
    import pwcca
    import rsatoolbox
    import torch
    from metrics import AlignmentMetrics
    from netrep.metrics import LinearMetric
    from repsim.measures import procrustes, rsa

    figures: dict[str, Any] = {
        "netrep angular": LinearMetric(alpha=1.0, score_method="angular").fit_score(X, Y),
        "netrep euclidean": LinearMetric(alpha=1.0, score_method="euclidean").fit_score(X, Y),
        "resi angular": procrustes.orthogonal_angular_shape_metric_centered(X, Y, "nd"),
        "resi size and shape": procrustes.procrustes_size_and_shape_distance(X, Y, "nd"),
        "resi normalised": procrustes.orthogonal_procrustes_centered_and_normalized(X, Y, "nd"),
        "resi rsa euclidean": rsa.representational_similarity_analysis(X, Y, "nd", inner="euclidean"),
        "resi rsa correlation": rsa.representational_similarity_analysis(X, Y, "nd", inner="correlation"),
    }
    for method in ("euclidean", "correlation"):
        rdms = [rsatoolbox.rdm.calc_rdm(rsatoolbox.data.Dataset(side), method=method) for side in (X, Y)]
        figures[f"rsatoolbox {method}"] = rsatoolbox.rdm.compare(*rdms, method="spearman").item()
    units = [torch.nn.functional.normalize(torch.from_numpy(side), dim=1) for side in (X, Y)]
    figures["platonic-rep mutual_knn"] = AlignmentMetrics.mutual_knn(*units, topk=10)
    if len(X) > max(X.shape[1], Y.shape[1]):
        found = cca_core.get_cca_similarity(X.T, Y.T, verbose=False)
        figures["svcca canonical correlations"] = found["cca_coef1"].tolist()
        kept = [_leading(side, 0.99) for side in (X, Y)]
        figures["svcca"] = float(np.mean(cca_core.get_cca_similarity(*kept, verbose=False)["cca_coef1"]))
        if X.shape[1] <= Y.shape[1]:  # else it indexes X by Y's features and stops
            figures["svcca pwcca, not the paper's"] = float(pwcca.compute_pwcca(X.T, Y.T)[0])
    return {name: value if isinstance(value, list) else float(value) for name, value in figures.items()}


def _leading(X: np.ndarray, share: float) -> np.ndarray:
    """(k, n) as in google/svcca's tutorial: singular values times right singular vectors of neurons by examples."""
    _, s, V = np.linalg.svd((X - X.mean(axis=0)).T, full_matrices=False)
    k = int(np.searchsorted(np.cumsum(s**2) / np.sum(s**2), share)) + 1
    return np.asarray(s[:k, None] * V[:k])


if __name__ == "__main__":
    main()
