"""What the page carries besides its text: Plotly's JavaScript and data, in forms that a script element can hold."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from functools import cache
from importlib import resources
from typing import Any

_PLOTLY = ("package_data", "plotly.min.js")


@cache
def plotly_source() -> bytes:
    """The JavaScript of the installed plotly package, as its file has it."""
    return resources.files("plotly").joinpath(*_PLOTLY).read_bytes()


def packed(content: bytes) -> str:
    """gzip, then base64; the same content gives the same text. The page unpacks it with DecompressionStream."""
    return base64.b64encode(gzip.compress(content, compresslevel=9, mtime=0)).decode("ascii")


def script_json(value: Any) -> str:
    """JSON that can stand in a script element: no '<', so neither '</script>' nor '<!--'.

    Raises:
        ValueError: If a number is not finite.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def source_hash(script: bytes) -> str:
    """A script's name in a Content-Security-Policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode('ascii')}'"
