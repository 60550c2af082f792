"""Updates as a flat table: a column per number, whatever rows there are."""

from __future__ import annotations

import pytest

from tunescope.methods import Full, HeadOnly, Lora
from tunescope.weights.measure import update_rows
from tunescope.weights.table import updates_as_table


def test_every_number_of_a_row_is_in_a_column_of_its_own(tune):
    _, out, base = tune(Lora(rank=2), "llama")
    rows = update_rows(out, base, k=3, thresholds=(0.3, 0.6))
    table = updates_as_table(rows)
    assert table.num_rows == len(rows) > 0
    assert not any("struct" in str(field.type) for field in table.schema)
    for row, told in zip(rows, table.to_pylist(), strict=True):
        found = row.directions
        assert found is not None
        assert told["module"] == row.module
        assert tuple(told["shape"]) == row.shape
        assert told["relative_norm"] == row.relative_norm
        assert tuple(told["top_singular_values"]) == row.top_singular_values
        assert (told["k"], told["k_update"], told["thresholds"]) == (found.k, found.k_update, [0.3, 0.6])
        assert told["tuned_in_base_left"] == found.tuned_in_base.left
        assert told["update_in_base_by_chance_right"] == found.update_in_base_by_chance.right
        assert tuple(told["intruders_left"]) == found.intruders.left
        assert tuple(told["random_intruders_right"]) == found.random_intruders.right
        assert tuple(told["same_spectrum_intruders_left_cosines"]) == found.same_spectrum_intruders.left_cosines


@pytest.mark.parametrize("method", [HeadOnly(), Full()], ids=lambda method: method.kind)
def test_columns_and_types_are_the_same_without_rows_and_without_directions(tune, method):
    _, out, base = tune(method)
    table = updates_as_table(update_rows(out, base, directions=False))
    assert table.schema == updates_as_table([]).schema
    if method.kind == "full":
        assert table["k"].null_count == table["intruders_left"].null_count == table.num_rows > 0
        assert table["relative_norm"].null_count < table.num_rows
    else:
        assert table.num_rows == 0
