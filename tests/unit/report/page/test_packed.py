import base64
import gzip
import json

import pytest

from tunescope.report.page.packed import packed, plotly_source, script_json, source_hash


def test_packing_can_be_undone_and_is_the_same_each_time() -> None:
    content = "</script> مهمة".encode() * 100
    assert packed(content) == packed(content)
    assert gzip.decompress(base64.b64decode(packed(content))) == content


def test_json_cannot_end_the_script_that_holds_it() -> None:
    value = {"</script><!--": ["<b>", "\u2028", "é"]}
    text = script_json(value)
    assert "<" not in text
    assert json.loads(text) == value


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        script_json([float("nan")])


def test_plotly_is_that_of_the_package_and_packs_small() -> None:
    source = plotly_source()
    assert source.lstrip().startswith(b"/**\n* plotly.js v")
    assert len(packed(source)) < 2_500_000
    assert source_hash(b"x") == "'sha256-LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE='"
