"""What a linear CKA with its interval needs of one side: of a base model, made once for all the runs compared with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_SAME_STATES = 1e-3
"""Of the scatter: two passes over the same examples differ by float noise (other batches, other machines), and less; other
examples, or the same ones in another order, by more."""


@dataclass(frozen=True, kw_only=True, eq=False)
class BaseTerms:
    """One side's part of `jackknife.PairCka`: `jackknife.base_terms` makes it. No matrix."""

    q: np.ndarray
    """(n,) |x_i - mean|^2, by which a comparison sees whether these are its own examples in its own order."""
    trace: float
    """tr(K~K~), K~ the Gram matrix of centred rows with a diagonal of zeros."""
    r: np.ndarray
    """(n,) by row i, the sum of k_ij^2 over j /= i."""

    def require_same(self, where: str, q: np.ndarray) -> None:
        """Raises ValueError unless the rows that q (n,) is of are those that these terms are of.

        Args:
            where: The function that asks, for the message.
            q: (n,) |x_i - mean|^2 of the rows at hand.
        """
        if len(q) == len(self.q) and float(np.abs(q - self.q).sum()) <= _SAME_STATES * float(q.sum()):
            return
        raise ValueError(
            f"{where}: the base's terms must be of the same examples in the same order, got {len(self.q)} with scatter "
            f"{float(self.q.sum()):.6g} for {len(q)} with scatter {float(q.sum()):.6g}."
        )
