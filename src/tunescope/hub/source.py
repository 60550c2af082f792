"""Where data sets and models come from, in this order: the mirror folder, the shipped demo world, the hub."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunescope.errors import DataError, ModelError, TunescopeError, did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

DEMO_MIRROR = Path(__file__).resolve().parents[1] / "demo" / "mirror"
"""The demo world's models and data sets, shipped inside the package; by path, because `demo` stands above `hub`."""

_MODEL_FILES = ["*.json", "*.safetensors", "*.txt", "*.py", "tokenizer.model", "LICENSE*"]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_SHARD = re.compile(r"-(\d+)-of-(\d+)$")


@dataclass(frozen=True, kw_only=True)
class Source:
    """Finds data sets and models. Reads only; what the hub sends lands in Hugging Face's own cache.

    A repository that a mirror holds is taken from there whole: what the mirror lacks of it is not fetched from elsewhere.
    A mirror cannot check a revision; the fingerprints of the bytes read are what a record keeps.
    """

    mirror: Path | None = None
    """Stands in for the hub: `datasets/<repo id>/[<config>/]<split>-*.parquet` and `models/<repo id>/`."""
    study_folder: Path = Path()
    """Paths of a study are relative to it."""

    def model_folder(self, name: str, revision: str | None = None) -> Path:
        """The folder with a model's config, safetensors and tokenizer files.

        Args:
            name: Hub id, or a local folder if it starts with '.', '/' or '~'.
            revision: Commit on the hub; the newest where absent.

        Raises:
            ModelError: If the name is no hub id, the folder is no model, or neither mirror nor hub has it.
        """
        if name.startswith((".", "/", "~")):
            return _with_config(self._local(name, ModelError).resolve(), f"base model '{name}'")
        _check_repo_id(name, ModelError)
        for mirror in self._mirrors():
            folder = mirror / "models" / name
            if folder.is_dir():
                return _with_config(folder, f"base model '{name}'")
        return self._model_from_hub(name, revision)

    def local_config(self, name: str, revision: str | None = None) -> dict[str, Any] | None:
        """A base model's config.json where it is at hand without the network; None where it is not, or is no JSON map.

        Looks into the mirrors and then into Hugging Face's cache, as `model_folder` would.
        """
        if name.startswith((".", "/", "~")):
            return _json_map(self._local(name, ModelError).resolve() / "config.json")
        for mirror in self._mirrors():
            found = _json_map(mirror / "models" / name / "config.json")
            if found is not None:
                return found
        from huggingface_hub import try_to_load_from_cache

        _check_repo_id(name, ModelError)
        kept = try_to_load_from_cache(name, "config.json", revision=revision)
        return _json_map(Path(kept)) if isinstance(kept, str) else None

    def hub_config(self, name: str, revision: str | None = None) -> dict[str, Any]:
        """A base model's config.json from the hub: a few kilobytes, and no weights.

        Raises:
            ModelError: If there is no such local folder, or the hub does not give it.
        """
        if name.startswith((".", "/", "~")):
            self.model_folder(name)  # which says what is missing
        _check_repo_id(name, ModelError)
        found = _json_map(self._from_hub(name, revision, ["config.json"]) / "config.json")
        if found is None:
            raise ModelError(f"base model '{name}': its config.json on the hub is no JSON map.")
        return found

    def file_sha256(self, file: str) -> str:
        """SHA-256 of a data file that the study names.

        Raises:
            DataError: If there is no such file.
        """
        path = self._local(file, DataError)
        try:
            with path.open("rb") as content:
                return hashlib.file_digest(content, "sha256").hexdigest()
        except OSError as error:
            raise DataError(f"data file '{file}': {path} cannot be read: {error.strerror}.") from error

    def table(
        self,
        *,
        split: str,
        hub: str | None = None,
        config: str | None = None,
        revision: str | None = None,
        file: str | Path | None = None,
    ) -> pa.Table:
        """All rows of one split.

        Args:
            split: The split's name.
            hub: Hub id of a data set; or
            file: a CSV, TSV, JSON-lines or Parquet file, relative to the study's folder.
            config: The data set's configuration on the hub.
            revision: The data set's commit on the hub; the newest where absent.

        Raises:
            DataError: If data set, configuration, split or file is missing, or cannot be read.
        """
        # Arrow is not needed to find a model, so `plan` does not wait for it.
        from tunescope.hub.tables import read_table

        if (hub is None) == (file is None):
            raise ValueError("give either hub or file")
        if file is not None:
            return read_table(self._local(file, DataError))
        assert hub is not None
        _check_repo_id(hub, DataError)
        for part in (config, split):
            if part is not None and (not _NAME.fullmatch(part) or ".." in part):
                raise DataError(f"data set '{hub}': '{part}' is no name of a configuration or split.")
        for mirror in self._mirrors():
            folder = mirror / "datasets" / hub
            if folder.is_dir():
                return _read_mirrored(folder, hub, config, split)
        return self._table_from_hub(hub, config, revision, split)

    def known_models(self) -> tuple[str, ...]:
        """Ids of the models that the mirror and the demo world hold."""
        return tuple(
            sorted({name for mirror in self._mirrors() for name in _repo_ids(mirror / "models", "config.json")})
        )

    def known_datasets(self) -> tuple[str, ...]:
        """Ids of the data sets that the mirror and the demo world hold."""
        return tuple(
            sorted({name for mirror in self._mirrors() for name in _repo_ids(mirror / "datasets", "*.parquet")})
        )

    def _local(self, path: str | Path, kind: type[TunescopeError]) -> Path:
        """A path of the study's, relative to its folder."""
        try:
            return self.study_folder / Path(path).expanduser()
        except RuntimeError as error:
            raise kind(
                f"'{path}': {error}: '~' and '~name' stand for a user's home folder. Write the path out."
            ) from error

    def _mirrors(self) -> Iterator[Path]:
        if self.mirror is not None:
            if not self.mirror.is_dir():
                raise TunescopeError(f"--mirror {self.mirror}: no such folder.")
            yield self.mirror
        if DEMO_MIRROR.is_dir():
            yield DEMO_MIRROR

    def _model_from_hub(self, name: str, revision: str | None) -> Path:
        return _with_config(self._from_hub(name, revision, _MODEL_FILES), f"base model '{name}'")

    def _from_hub(self, name: str, revision: str | None, patterns: list[str]) -> Path:
        """The folder of a base model's files; asks once, where `hf_hub_download` would try for half a minute."""
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError

        try:
            with _quiet_hub():
                return Path(snapshot_download(name, revision=revision, allow_patterns=patterns))
        except (OSError, HfHubHTTPError, ValueError) as error:
            raise ModelError(self._not_found("base model", name, "models", self.known_models(), error)) from error

    def _table_from_hub(self, hub: str, config: str | None, revision: str | None, split: str) -> pa.Table:
        from datasets import load_dataset
        from datasets.exceptions import DatasetsError
        from huggingface_hub.errors import HfHubHTTPError

        unreached: Exception | None = None
        try:
            with _quiet_hub():
                unreached = _why_unreached(hub, revision)
                with _cache_alone(unreached is not None):
                    rows = load_dataset(hub, config, revision=revision, split=split)
        except (OSError, DatasetsError, HfHubHTTPError, ValueError) as error:
            why = unreached if unreached is not None else error
            raise DataError(self._not_found("data set", hub, "datasets", self.known_datasets(), why)) from error
        return rows.with_format("arrow")[:]

    def _not_found(self, what: str, name: str, kind: str, known: tuple[str, ...], error: Exception) -> str:
        held = f"not in the mirror {self.mirror}" if self.mirror is not None else "no --mirror given"
        reason = str(error).strip().split("\n")[0].rstrip(".")
        place = self.mirror if self.mirror is not None else "DIR"
        return (
            f"{what} '{name}': {held}, and the hub did not give it: {type(error).__name__}: {reason}. "
            f"Check the name, or put it at {place}/{kind}/{name} and run with --mirror {place}. "
            f"In the mirror and the demo: {did_you_mean(name, known)}"
        )


@contextmanager
def _quiet_hub() -> Iterator[None]:
    """Its library's warnings stay unsaid inside: what went wrong is told once, by us."""
    from huggingface_hub.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _why_unreached(hub: str, revision: str | None) -> Exception | None:
    """Why a data set's page cannot be had, asked once: `load_dataset` would try for half a minute. None where it can.

    Raises:
        HfHubHTTPError: If the hub answers that there is none, or that it is not for us.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        snapshot_download(hub, repo_type="dataset", revision=revision, allow_patterns=["README.md"])
    except LocalEntryNotFoundError as error:  # no way there, and nothing of it among the hub's files kept here
        reason: Exception = error
        return reason
    return None


@contextmanager
def _cache_alone(alone: bool) -> Iterator[None]:
    """With `alone`, data sets come from those that were loaded before, and nobody is asked."""
    from datasets import config

    before = config.HF_HUB_OFFLINE
    config.HF_HUB_OFFLINE = before or alone
    try:
        yield
    finally:
        config.HF_HUB_OFFLINE = before


def _json_map(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _check_repo_id(name: str, error: type[TunescopeError]) -> None:
    parts = name.split("/")
    if len(parts) > 2 or ".." in name or not all(_NAME.fullmatch(part) for part in parts):
        raise error(f"'{name}' is not a hub id such as 'org/name'. A local folder starts with './', '/' or '~'.")


def _with_config(folder: Path, what: str) -> Path:
    if not folder.is_dir():
        raise ModelError(f"{what}: no such folder: {folder}.")
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"{what}: expected a model folder with config.json, safetensors and tokenizer; {folder} has none."
        )
    return folder


def _repo_ids(folder: Path, mark: str) -> Iterator[str]:
    """Repositories are at most two levels deep; a data set's configurations lie one level deeper."""
    for pattern, parents in ((f"*/{mark}", 0), (f"*/*/{mark}", 0), (f"*/*/*/{mark}", 1)):
        for path in folder.glob(pattern):
            yield path.relative_to(folder).parents[parents].as_posix()


def _read_mirrored(folder: Path, hub: str, config: str | None, split: str) -> pa.Table:
    import pyarrow as pa

    from tunescope.hub.tables import read_table

    configs = sorted(path.name for path in folder.iterdir() if path.is_dir() and any(path.glob("*.parquet")))
    if config is None and configs and not any(folder.glob("*.parquet")):
        raise DataError(f"data set '{hub}' in {folder}: expected a 'config'. Known: {', '.join(configs)}.")
    if config is not None and config not in configs:
        raise DataError(f"data set '{hub}' in {folder}: unknown config '{config}'. {did_you_mean(config, configs)}")
    place = folder if config is None else folder / config
    splits: dict[str, list[Path]] = {}
    for path in sorted(place.glob("*.parquet")):
        splits.setdefault(_split_of(path.stem), []).append(path)
    if split not in splits:
        raise DataError(f"data set '{hub}' in {place}: no split '{split}'. {did_you_mean(split, splits)}")
    files = splits[split]
    shard = _SHARD.search(files[0].stem)
    if shard is not None and int(shard[2]) != len(files):
        raise DataError(f"data set '{hub}' in {place}: split '{split}' has {len(files)} of {int(shard[2])} files.")
    tables = [read_table(path) for path in files]
    try:
        return pa.concat_tables(tables)
    except pa.ArrowInvalid as error:
        raise DataError(
            f"data set '{hub}' in {place}: the files of split '{split}' differ in columns: {error}."
        ) from error


def _split_of(stem: str) -> str:
    """`train-00000-of-00001` and `train-0` are of split `train`."""
    shard = _SHARD.search(stem)
    return stem[: shard.start()] if shard is not None else stem.rsplit("-", 1)[0]
