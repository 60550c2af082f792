"""The demo world: a tiny pretrained Llama and four small tasks, made by our own grammar and shipped with the package.

`MIRROR` is laid out like any mirror folder (`models/<repo id>/`, `datasets/<repo id>/<split>-*.parquet`), so a study that
names `tunescope/demo-llama` needs no download. `grammar` writes the texts, `tasks` the rows, and
`tools/make_demo_world.py` made all that lies in the folder.
"""

from __future__ import annotations

from pathlib import Path

MIRROR = Path(__file__).resolve().parent / "mirror"
"""The shipped mirror folder; its own README.md says what lies in it."""
