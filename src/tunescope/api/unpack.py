"""`unpack` as a function: the plain Hugging Face folder of a run whose full model is kept packed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tunescope.api.stored import DEFAULT_STORE
from tunescope.errors import StoreError, TunescopeError
from tunescope.models.base import BaseModelSpec
from tunescope.store import Record, Store
from tunescope.store.atomic import TEMPORARY, writing_in
from tunescope.store.names import SHORT_DIGITS
from tunescope.store.whole import NotWholeError, check_sizes, read_record
from tunescope.study.known import source_for

_MIN_DIGITS = 4


def unpack_run(
    run: str,
    output: Path,
    *,
    store: Path = DEFAULT_STORE,
    mirror: Path | None = None,
    base: str | None = None,
) -> Path:
    """Writes config, `model.safetensors` and tokenizer of a run's full model, every tensor's checksum verified.

    Args:
        run: The run's artifact folder (STORE/artifacts/train/ID), or the first digits of its id, four or more.
        output: A folder that is not there yet, or is empty.
        store: Where ids are looked up.
        mirror: A folder that stands in for the hub.
        base: The base model as a hub id or folder, where the record's name no longer leads to it: a study's relative path.

    Returns:
        The folder written.

    Raises:
        TunescopeError: If the run or its base model is not there or not whole, the run keeps no packed model, the base is
            another than the run's, or the output cannot be written.
    """
    from tunescope.models.checkpoint import describe_checkpoint, require_own_base
    from tunescope.models.saving import PACKED, kept_in
    from tunescope.models.tokenizer import has_tokenizer, load_tokenizer
    from tunescope.models.unpacking import unpack_model
    from tunescope.weights.checkpoint import Checkpoint

    folder, record = _run_folder(run, store)
    kept = kept_in(folder)
    if kept != [PACKED]:
        found = f"keeps {' and '.join(kept)} as other tools read it" if kept else "keeps no weights"
        raise TunescopeError(f"{folder}: there is nothing to unpack: the run {found}.")
    spec = BaseModelSpec.model_validate(record.config["base_model"])
    if base is not None:
        spec = spec.model_copy(update={"name": base, "revision": None})
    base_folder = source_for(Path("study.yaml"), mirror).model_folder(spec.name, spec.revision)
    require_own_base(describe_checkpoint(folder), spec, base_folder)
    if output.is_symlink() or (output.exists() and (not output.is_dir() or any(output.iterdir()))):
        raise TunescopeError(f"{output}: is there already. Name a folder that is new or empty.")
    before = Checkpoint.of_model(base_folder, where=str(base_folder))
    beside = output.absolute().parent
    temporary = beside / f"{TEMPORARY}{output.name}-{os.getpid()}"
    with writing_in(beside):
        temporary.mkdir(parents=True)
        try:
            unpack_model(folder / PACKED, before, temporary)
            if has_tokenizer(base_folder):
                load_tokenizer(spec, base_folder).save_pretrained(temporary)
            os.replace(temporary, output)
        finally:
            if temporary.exists():  # what was written is not whole
                shutil.rmtree(temporary)
    return output


def _run_folder(run: str, store: Path) -> tuple[Path, Record]:
    folder = Path(run)
    if not folder.is_dir():
        folder = _by_digits(run, Store.open(store, create=False))
    try:
        record = read_record(folder)
        check_sizes(folder, record)
    except NotWholeError as error:
        raise StoreError(
            f"{folder}: not a whole artifact of a run: {error.what}. Give STORE/artifacts/train/ID, or the id."
        ) from error
    if "base_model" not in record.config:
        raise StoreError(f"{folder}: is a job of kind {record.kind}, which has no weights. Give a run's training.")
    return folder, record


def _by_digits(run: str, store: Store) -> Path:
    digits = run.removeprefix("train/")
    if len(digits) < _MIN_DIGITS or set(digits) - set("0123456789abcdef"):
        raise StoreError(
            f"{run!r}: expected a run's artifact folder, or the first {_MIN_DIGITS} or more hex digits of its id, such as 3f9c2a81."
        )
    known = [record.id for record in store.records("train")]
    found = [id for id in known if id.startswith(digits)]
    if not found:
        some = ", ".join(id[:SHORT_DIGITS] for id in known[:10])
        more = ", ..." if len(known) > 10 else ""
        raise StoreError(
            f"{run}: no training of {store.path} has an id that starts so. It holds: {some or 'none'}{more}."
        )
    if len(found) > 1:
        raise StoreError(f"{run}: {len(found)} ids start so: {', '.join(found)}. Give more digits.")
    return store.layout.artifact("train", found[0])
