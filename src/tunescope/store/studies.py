"""What a store keeps of each study besides its jobs: the study as run, its plan, and what the plan rested on."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import JsonValue

from tunescope.errors import StoreError
from tunescope.store.atomic import write_json, write_text, writing_in
from tunescope.store.layout import Layout


class Studies:
    """Study by study, under its name. `Store.studies` is one.

    Raises:
        StoreError: From every method that takes a name, where it is no study name.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def names(self) -> list[str]:
        """The studies that have run, sorted."""
        return self._layout.study_names()

    def folder(self, name: str) -> Path:
        """Where what belongs to a study and to no job lies; there once the study has been run."""
        return self._layout.study(name)

    def file(self, name: str) -> Path:
        """The study as last run, YAML."""
        return self._layout.study(name) / "study.yaml"

    def plan(self, name: str) -> JsonValue:
        """The plan of a study as last run, or None where it never was.

        Raises:
            StoreError: If the file cannot be read.
        """
        return self._read(name, "plan.json")

    def known(self, name: str) -> JsonValue:
        """What the plan of a study rested on besides the study, or None where it was never run.

        Raises:
            StoreError: If the file cannot be read.
        """
        return self._read(name, "known.json")

    def save(self, name: str, study_text: str, plan: object, known: object) -> None:
        """Keeps a study as run, its plan, and what it rests on; those of an earlier run are replaced.

        Args:
            name: The study's name.
            study_text: The study as run, YAML.
            plan: Anything that is JSON.
            known: Anything that is JSON.

        Raises:
            StoreError: If plan or what is known are no JSON, the disk is full or the store not writable.
        """
        folder = self._layout.study(name)
        with writing_in(self._layout.root):
            folder.mkdir(parents=True, exist_ok=True)
            write_text(folder / "study.yaml", study_text)
            write_json(folder / "plan.json", plan)
            write_json(folder / "known.json", known)

    def _read(self, name: str, file: str) -> JsonValue:
        path = self._layout.study(name) / file
        try:
            content: JsonValue = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise StoreError(f"{path} is torn: run the study again, which writes it anew.") from error
        return content
