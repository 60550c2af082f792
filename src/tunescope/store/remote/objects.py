"""Object storage through fsspec: bytes sent are read back, bytes fetched are compared, and what goes wrong is told in words."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tunescope.errors import StoreError
from tunescope.store.record import FileEntry
from tunescope.store.whole import file_entry

_BLOCK = 1 << 20


class Objects:
    """The objects under one URL, by their path below it.

    Args:
        url: As fsspec takes it: "s3://bucket/folder", "gs://...", "file:///...".

    Raises:
        StoreError: If fsspec or the package for this protocol is not installed, or the URL is none; from every method, if the
            storage refuses or does not answer.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        try:
            from fsspec.core import url_to_fs
        except ImportError as error:
            raise StoreError(
                f"a store at {url} needs fsspec, which is not installed: pip install 'tunescope[ray]', and the package for "
                "this storage (s3fs, gcsfs, adlfs)."
            ) from error
        try:
            fs, root = url_to_fs(self.url)
        except (ImportError, ValueError) as error:
            raise StoreError(f"a store at {url} cannot be used: {error}") from error
        if "memory" in fs.protocol:
            raise StoreError(
                f"a store at {url} would be seen by one process only: name s3://, gs:// or a shared folder."
            )
        self._fs, self._root = fs, root.rstrip("/")

    def read(self, path: str) -> bytes | None:
        """The bytes of a small object; None where there is none."""
        with self._in_words("read", path):
            try:
                found: bytes = self._fs.cat_file(self._at(path))
            except FileNotFoundError:
                return None
            return found

    def write(self, path: str, content: bytes) -> None:
        """Writes a small object, whole or not at all, in the place of another."""
        with self._in_words("write", path):
            self._make_parent(path)
            self._fs.pipe_file(self._at(path), content)
            self._fs.invalidate_cache()
        if self.read(path) != content:
            raise StoreError(
                f"{self.url}/{path} does not hold what was just written: another program writes there too."
            )

    def send(self, local: Path, path: str, entry: FileEntry) -> None:
        """Uploads a file and reads it back.

        Raises:
            StoreError: If what arrived is not `entry`, also not at the second try.
        """
        for _ in range(2):
            with self._in_words("write", path):
                self._make_parent(path)
                self._fs.put_file(str(local), self._at(path))
                self._fs.invalidate_cache()
                if self._entry(path) == entry:
                    return
        raise StoreError(
            f"{self.url}/{path} holds other bytes than were sent, twice: see whether the storage is sound."
        )

    def fetch(self, path: str, local: Path, entry: FileEntry) -> bool:
        """Downloads an object and syncs it; False where there is none.

        Raises:
            StoreError: If it is not `entry`.
        """
        with self._in_words("read", path):
            local.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._fs.get_file(self._at(path), str(local))
            except FileNotFoundError:
                return False
        found = file_entry(local, sync=True)
        if found != entry:
            raise StoreError(
                f"{self.url}/{path} holds other bytes than were written ({found.num_bytes:,} of {entry.num_bytes:,}): delete "
                "the folder it lies in, and run the study again, which makes it anew."
            )
        return True

    def paths(self, folder: str) -> list[str]:
        """Paths of all objects under a folder, sorted."""
        with self._in_words("list", folder):
            self._fs.invalidate_cache()
            try:
                found: list[str] = self._fs.find(self._at(folder))
            except FileNotFoundError:
                return []
        return sorted(path.removeprefix(self._root).lstrip("/") for path in found)

    def delete(self, path: str) -> None:
        """Deletes an object; one that is not there is no fault."""
        with self._in_words("delete", path):
            try:
                self._fs.rm_file(self._at(path))
            except FileNotFoundError:
                return
            finally:
                self._fs.invalidate_cache()

    def _entry(self, path: str) -> FileEntry:
        digest, num_bytes = hashlib.sha256(), 0
        with self._fs.open(self._at(path), "rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                num_bytes += len(block)
        return FileEntry(sha256=digest.hexdigest(), num_bytes=num_bytes)

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}"

    def _make_parent(self, path: str) -> None:
        if "file" in self._fs.protocol:  # object storage has no folders
            self._fs.makedirs(self._at(path).rpartition("/")[0], exist_ok=True)

    @contextmanager
    def _in_words(self, deed: str, path: str) -> Iterator[None]:
        try:
            yield
        except StoreError:
            raise
        except Exception as error:
            said = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise StoreError(
                f"cannot {deed} {self.url}/{path}: {type(error).__name__}: {said}. See that the bucket is there and that this "
                "machine may use it."
            ) from error
