"""What a task is, in data: where its rows come from, what they mean, how they become text, how they are scored."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from tunescope.fields import Count, Frozen, Share, Slug

TaskKind = Literal["classification", "regression", "question_answering"]


def _repo_id(name: str) -> str:
    parts = name.split("/")
    if len(parts) > 2 or any(not part or part.startswith(".") or ".." in part for part in parts):
        raise ValueError("must be a hub id such as 'nyu-mll/glue'")
    return name


RepoId = Annotated[str, AfterValidator(_repo_id)]


class Dataset(Frozen):
    """Where rows come from: a hub id, or one file per split."""

    hub: RepoId | None = None
    """Hub id, such as `nyu-mll/glue`; read from the mirror folder where one is given."""
    config: Slug | None = None
    """The hub data set's configuration, such as `mrpc`."""
    revision: str | None = None
    """Commit of the hub data set."""
    files: dict[Slug, str] | None = None
    """Split name to a CSV, JSONL or Parquet file, relative to the study file."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.hub is None) == (self.files is None):
            raise ValueError("give either 'hub' or 'files', not both and not neither")
        if self.files is not None and (self.config is not None or self.revision is not None):
            raise ValueError("'config' and 'revision' belong to 'hub'")
        return self


class Reference(Frozen):
    """A published figure for comparison: a constant with its source, never an interval."""

    metric: str
    value: float
    """In the metric's own unit: fractions of one, not percent."""
    source: str = Field(min_length=1)
    """Who published it, and for which model."""


class Expected(Frozen):
    """What a task is known to hold, for plans made before the data is at hand; checked against the data when it is."""

    num_train: Count
    num_report: Count
    mean_tokens: Annotated[float, Field(gt=0)]
    """Mean tokens of one example under a vocabulary of about 32,000, as rendered for a decoder."""


class _Task(Frozen):
    name: Slug
    description: str = ""
    dataset: Dataset
    train_split: Slug = "train"
    """Rows to train on; the selection rows are carved out of it."""
    report_split: Slug = "validation"
    """Rows the study reports on; nothing is ever chosen on them."""
    selection_share: Annotated[Share, Field(gt=0.0, lt=1.0)] = 0.1
    """Share of the train split held back for early stopping, thresholds and sweeps."""
    max_selection: Count = 1000
    """At most so many selection rows."""
    max_train: Count | None = None
    """At most so many rows to train on, chosen by row hash; all where absent."""
    max_report: Count | None = None
    """At most so many rows to report on, chosen by row hash; all where absent."""
    max_length: Annotated[int, Field(ge=8, le=1_000_000)] = 256
    """Tokens of one example; longer ones lose the end of their longest text, or are cut into windows."""
    max_characters: Count = 50_000
    """A longer text is taken for a broken file (an unclosed quote, say) and refused."""
    metrics: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names of scores; the first is the one that runs are selected by."""
    references: tuple[Reference, ...] = ()
    expected: Expected | None = None
    license: str = "unknown"

    @model_validator(mode="after")
    def _reports_on_rows_it_never_saw(self) -> Self:
        if self.train_split == self.report_split:
            raise ValueError(f"train_split and report_split are both '{self.train_split}'; they must differ")
        return self

    @model_validator(mode="after")
    def _counts_no_score_twice(self) -> Self:
        if len(set(self.metrics)) != len(self.metrics):
            raise ValueError(f"metrics must differ from each other, got {list(self.metrics)}")
        return self

    @property
    def primary_metric(self) -> str:
        return self.metrics[0]


def _refuse_shared_columns(targets: Mapping[str, str | None], texts: Mapping[str, str | None]) -> None:
    """Complains where a model would read the very column that it is to predict."""
    for text, shown in texts.items():
        for target, told in targets.items():
            if shown is not None and shown == told:
                raise ValueError(f"{text} reads '{shown}', the column of {target}: a model would be shown the solution")


def _fields_of(template: str) -> set[str]:
    names = set()
    for _, name, style, conversion in string.Formatter().parse(template):
        if style or conversion:
            written = f"{{{name}{'!' + conversion if conversion else ''}{':' + style if style else ''}}}"
            raise ValueError(f"in '{written}' stands more than a column's name")
        if name is not None:
            names.add(name)
    return names


class _TextTask(_Task):
    text: str = "text"
    """Column of the text."""
    text_pair: str | None = None
    """Column of the second text, if there are two."""
    prompt: str | None = None
    """What a decoder reads, with columns in braces; default: the texts, one a line."""

    @property
    def text_columns(self) -> tuple[str, ...]:
        return (self.text,) if self.text_pair is None else (self.text, self.text_pair)

    @property
    def decoder_prompt(self) -> str:
        """The text a decoder reads, columns in braces."""
        return self.prompt if self.prompt is not None else "\n".join(f"{{{column}}}" for column in self.text_columns)

    @model_validator(mode="after")
    def _prompt_shows_every_text(self) -> Self:
        try:
            shown = _fields_of(self.decoder_prompt)
        except ValueError as error:
            raise ValueError(f"prompt is not a template: {error}; write {{{{ for a literal brace") from error
        if self.text == self.text_pair:
            raise ValueError(f"text and text_pair are the same column, '{self.text}'")
        if shown != set(self.text_columns):
            raise ValueError(
                f"prompt must show exactly the columns {sorted(self.text_columns)}, it shows {sorted(shown)}"
            )
        return self


class Classification(_TextTask):
    """One of several labels for a text or a pair of texts."""

    kind: Literal["classification"] = "classification"
    label: str = "label"
    """Column of the label: an id, or one of `labels`."""
    labels: Annotated[tuple[str, ...], Field(min_length=2)]
    """The labels' names, in the order of their ids."""
    label_words: tuple[str, ...] | None = None
    """For zero-shot: what a decoder would write after the prompt for each label, in the order of `labels`."""
    metrics: Annotated[tuple[str, ...], Field(min_length=1)] = ("accuracy",)

    @model_validator(mode="after")
    def _label_is_no_text(self) -> Self:
        _refuse_shared_columns({"label": self.label}, {"text": self.text, "text_pair": self.text_pair})
        return self

    @model_validator(mode="after")
    def _labels_are_distinct(self) -> Self:
        if len(set(self.labels)) != len(self.labels):
            raise ValueError(f"labels must differ from each other, got {list(self.labels)}")
        if self.label_words is not None:
            if len(self.label_words) != len(self.labels):
                raise ValueError(
                    f"label_words needs one word per label: {len(self.labels)}, got {len(self.label_words)}"
                )
            if len(set(self.label_words)) != len(self.label_words):
                raise ValueError("label_words must differ from each other")
        return self


class Regression(_TextTask):
    """A number for a text or a pair of texts."""

    kind: Literal["regression"] = "regression"
    score: str = "score"
    """Column of the number to predict."""
    metrics: Annotated[tuple[str, ...], Field(min_length=1)] = ("pearson", "spearman")

    @model_validator(mode="after")
    def _score_is_no_text(self) -> Self:
        _refuse_shared_columns({"score": self.score}, {"text": self.text, "text_pair": self.text_pair})
        return self


class QuestionAnswering(_Task):
    """A span of the context that answers the question, or no answer (SQuAD v2)."""

    kind: Literal["question_answering"] = "question_answering"
    id: str | None = "id"
    """Column of the example's id; row numbers where null."""
    question: str = "question"
    context: str = "context"
    answers: str = "answers"
    """Column of answers as on the hub, `{text: [...], answer_start: [...]}`, empty lists for no answer."""
    answer_text: str | None = None
    """For flat files, instead of `answers`: column of the answer's text, empty for no answer."""
    answer_start: str | None = None
    """For flat files: column of the answer's first character in the context."""
    question_prefix: str = "Question: "
    """What a decoder reads before the question."""
    context_prefix: str = "\nContext: "
    """What a decoder reads between question and context."""
    stride: Annotated[int, Field(ge=1)] = 64
    """Tokens that neighbouring windows of a long context share."""
    max_question_tokens: Count = 64
    """A longer question is cut, and counted as truncated."""
    max_answer_tokens: Count = 30
    """No answer longer than this is predicted."""
    metrics: Annotated[tuple[str, ...], Field(min_length=1)] = ("squad_f1", "squad_exact")

    @model_validator(mode="after")
    def _answer_is_no_text(self) -> Self:
        if self.question == self.context:
            raise ValueError(f"question and context are the same column, '{self.question}'")
        answers: dict[str, str | None] = {"answer_text": self.answer_text, "answer_start": self.answer_start}
        if self.answer_text is None:
            answers = {"answers": self.answers}
        _refuse_shared_columns(answers, {"question": self.question, "context": self.context})
        return self

    @model_validator(mode="after")
    def _flat_columns_go_together(self) -> Self:
        if (self.answer_text is None) != (self.answer_start is None):
            raise ValueError("'answer_text' and 'answer_start' go together")
        if self.max_length < self.max_question_tokens + self.stride + 16:
            raise ValueError(
                f"max_length {self.max_length} leaves no room for a context: it must be at least "
                f"max_question_tokens + stride + 16 = {self.max_question_tokens + self.stride + 16}"
            )
        return self


TaskSpec = Annotated[Classification | Regression | QuestionAnswering, Field(discriminator="kind")]
