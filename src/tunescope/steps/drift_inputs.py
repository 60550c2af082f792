"""What every job of drift reads: the base network, and its tokens of the report rows that are compared."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tunescope.hub.fingerprint import weights_fingerprint
from tunescope.models.network import Network
from tunescope.steps.context import StepContext
from tunescope.steps.inputs import encoded_part, network_for, report_data
from tunescope.study.configs import DriftConfig, DriftControlsConfig, RepresentConfig
from tunescope.tasks.encoded import Encoded


@dataclass(frozen=True, kw_only=True)
class DriftInputs:
    """A base network and the examples that drift is measured on."""

    network: Network
    encoded: Encoded
    ids: tuple[str, ...]
    """Example ids, in the order of the encoded examples."""
    token_ids_sha256: str
    data_fingerprint: str
    model_fingerprint: str

    @property
    def num_features(self) -> int:
        """Width of the base model's hidden states."""
        return _width(self.network)


def drift_inputs(
    config: RepresentConfig | DriftConfig | DriftControlsConfig,
    context: StepContext,
    *,
    at_most: Callable[[int], int] | None = None,
) -> DriftInputs:
    """min(num_examples, N) report rows by row hash, the same for every run of the task, and the base network.

    Args:
        config: Says which rows of what.
        context: Where they are.
        at_most: Width of the base model's hidden states -> a limit to the number of examples, beside the config's.
    """
    task = config.task
    network = network_for(config.base_model, task, context.source, seed=0, device=context.device)
    own = None if at_most is None else at_most(_width(network))
    limits = [limit for limit in (config.num_examples, task.max_report, own) if limit is not None]
    task = task.model_copy(update={"max_report": min(limits, default=None)})
    data = report_data(task, context.source)
    encoded = encoded_part(task, "report", config.base_model, context.source, is_decoder=network.is_decoder)
    return DriftInputs(
        network=network,
        encoded=encoded,
        ids=tuple(str(one) for one in data.report.ids),
        token_ids_sha256=_token_ids_sha256(encoded),
        data_fingerprint=data.fingerprint,
        model_fingerprint=weights_fingerprint(
            context.source.model_folder(config.base_model.name, config.base_model.revision)
        ),
    )


def _width(network: Network) -> int:
    return int(network.model.config.get_text_config().hidden_size)


def _token_ids_sha256(encoded: Encoded) -> str:
    digest = hashlib.sha256()
    for row in encoded.input_ids:
        digest.update(np.asarray(row, dtype=np.int64).tobytes() + b"|")
    return digest.hexdigest()
