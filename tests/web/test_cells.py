"""Cells have the digits of errors, words for codes, and links."""

from __future__ import annotations

import numpy as np

from trap.codes import ExtractType, Flag, Grade
from trap.db.result_tables import RESULT_TABLES
from trap.web.cells import SHOWN_UNITS, USUAL, needed_columns, plain_values, table_cells


def _texts(**columns):
    rows = {
        name: np.array(values) if not isinstance(values, np.ndarray) else values for name, values in columns.items()
    }
    return [[cell.text for cell in row] for row in table_cells(rows, list(columns), home="/datasets/1")]


def test_usual_columns_exist():
    for name, shown in USUAL.items():
        assert set(shown) <= set(RESULT_TABLES[name].columns)
        assert set(shown) <= set(needed_columns(shown, RESULT_TABLES[name].columns))


def test_a_value_has_the_digits_of_its_error():
    # 15.834 ± 0.21 to the second digit of the error, and one without an error to four digits.
    assert _texts(f_int=[15.834, 1 / 3], f_int_err=[0.2111, np.nan]) == [["15.83", "0.21"], ["0.3333", "–"]]


def test_missing_values_are_dashes():
    missing = {"eta_int": [np.nan], "runcat": np.ma.masked_array([3], mask=[True]), "reason": np.array([""], object),
               "taustart_ts": np.array(["NaT"], "M8[us]"), "freq_eff": [np.nan]}  # fmt: skip
    assert _texts(**missing) == [["–"] * 5]


def test_codes_are_words_and_frequencies_are_in_mhz():
    row = _texts(
        flags=[Flag.EDGE | Flag.BLENDED], grade=[Grade.LIKELY], extract_type=[ExtractType.NULL_DETECTION],
        freq_eff=[1.4e9], mon_src=[True], wm_ra=[123.4567891], url=np.array(["/data/" + "x" * 50 + ".fits"], object),
    )[0]  # fmt: skip
    assert row[:6] == ["blended, edge", "likely", "null detection", "1400", "yes", "123.45679"]
    assert row[6].startswith("…")
    assert row[6].endswith("x.fits")
    assert SHOWN_UNITS["Hz"] == "MHz"
    assert _texts(extract_type=[99]) == [["99"]]  # of a later version


def test_values_of_json_are_null_where_missing():
    assert plain_values(np.array([1.0, np.nan, np.inf])) == [1.0, None, None]
    assert plain_values(np.ma.masked_array([1, 2], mask=[False, True])) == [1, None]
    assert plain_values(np.array(["2026-05-01T12:00:00.5", "NaT"], "M8[us]")) == ["2026-05-01T12:00:00.500000Z", None]
