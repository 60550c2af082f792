"""What a study asks of drift: how far each run's hidden states, weights and language moved from its base model."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from tunescope.errors import did_you_mean
from tunescope.fields import Count, Frozen
from tunescope.tasks.texts import TextSource

Pooling = Literal["last_token", "mean", "first_token"]
"""A text's hidden states become one vector."""
Read = Literal["last_token", "mean", "first_token", "all_tokens"]
"""`all_tokens` keeps one vector per token: the debiased CKA alone, pairs of tokens of one text left out."""
Control = Literal["base_again", "untrained", "shuffled", "random_network", "bf16", "random_update", "seeds"]
CONTROLS: tuple[Control, ...] = (
    *("base_again", "untrained", "shuffled", "random_network"),
    *("bf16", "random_update", "seeds"),
)

DRIFT_MEASURE = "debiased_linear_cka"
"""A run's drift is one minus this similarity to its base model, averaged over its blocks."""


class DriftSettings(Frozen):
    """How far the hidden states of tuned models are from their base model's on each task's report rows."""

    measures: Annotated[tuple[str, ...], Field(min_length=1)] = (
        *("debiased_linear_cka", "linear_cka", "relative_change", "cosine", "centred_cosine"),
        *("norm_ratio", "mean_shift", "procrustes_distance", "mutual_knn"),
    )
    """Names that `tunescope list measures` shows."""
    pooling: Annotated[tuple[Read, ...], Field(min_length=1)] = ("last_token",)
    """How a text's hidden states are read: the last token has seen all of it in a decoder. A run's drift is of the first one."""
    num_examples: Count | None = None
    """At most so many of a task's report rows, chosen by row hash; all where absent."""
    every: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    """Also follow drift through training, on a few selection rows: 0.1 is after each tenth of the steps. Never where absent."""
    controls: tuple[Control, ...] = CONTROLS
    """What the number would be if nothing had happened, or everything: computed beside it."""
    layer_pairs: bool = True
    """Whether the debiased CKA of every layer of the base model with every layer of the tuned one is computed too."""
    weights: bool = True
    """Whether the updates of the weights themselves are measured, module by module: norms, ranks, spectra."""
    keep_representations: bool | Literal["base"] = False
    """Whether pooled hidden states are kept as safetensors: `base` keeps the base model's, once per task, and the base model is
    not read again for every run; `true` keeps each run's as well. Those of single tokens are never kept."""
    weight_directions: bool = False
    """Whether their singular directions are compared with the base weights' too (subspaces, intruder dimensions): a
    decomposition of every changed weight, minutes for a model of 1.1 B parameters."""

    @model_validator(mode="after")
    def _knows_its_measures(self) -> Self:
        from tunescope.similarity.measures import MEASURES

        for name in self.measures:
            if name not in MEASURES:
                raise ValueError(f"unknown measure '{name}'. {did_you_mean(name, MEASURES)}")
        for what in ("measures", "pooling", "controls"):
            named = getattr(self, what)
            if len(set(named)) != len(named):
                raise ValueError(f"{what} must differ from each other, got {list(named)}")
        if self.every is not None and self.pooling[0] == "all_tokens":
            raise ValueError(
                "drift through training is followed on pooled states: name another pooling before all_tokens"
            )
        if self.keep_representations and set(self.pooling) == {"all_tokens"}:
            raise ValueError("keep_representations: states of single tokens are never kept: name another pooling too")
        if DRIFT_MEASURE not in self.measures:
            raise ValueError(f"measures lacks {DRIFT_MEASURE}, from which a run's drift is computed. Add it")
        return self


def _true_or_names(value: Any) -> Any:
    if isinstance(value, bool) or (
        isinstance(value, list | tuple) and value and all(isinstance(n, str) for n in value)
    ):
        return value
    raise ValueError("must be true, or a list of the study's tasks, such as [mrpc, rte]")


class RetentionSettings(Frozen):
    """What tuned models still know: plain text, under the base model's own language-model head; the study's other tasks."""

    texts: Annotated[tuple[TextSource, ...], Field(min_length=1)] = ()
    window: Annotated[int, Field(ge=8, le=1_000_000)] = 512
    """Tokens read at once; a longer text is cut into windows, each token scored once."""
    max_tokens: Count = 100_000
    """Of each text source: the windows that follow are left out."""
    probes: Annotated[bool | tuple[str, ...], BeforeValidator(_true_or_names)] = False
    """Whether every other classification task of the study is read off each run's frozen states by a linear probe, or which."""
    probe_examples: Count = 1000
    """A probe is fitted on at most so many of its task's train rows, chosen by row hash."""
    probe_pooling: Pooling | None = None
    """How a probe's states are pooled; where absent by the token that heads read: a decoder's last, an encoder's first."""

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        names = [text.name for text in self.texts]
        if len(set(names)) != len(names):
            raise ValueError(f"texts must have names that differ, got {names}")
        if not isinstance(self.probes, bool) and len(set(self.probes)) != len(self.probes):
            raise ValueError(f"probes must differ from each other, got {list(self.probes)}")
        if not self.texts and not self.probes:
            raise ValueError("asks for nothing. Give texts, or `probes: true`, or both")
        return self
