from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np

from trap.report.export import as_json, as_rows

COLUMNS = {
    "id": np.array([1, 2]),
    "name": np.array(["a, b", None], object),
    "flux": np.array([0.1, np.nan]),
    "when": np.array(["2026-01-01T00:00:00.5", "NaT"], "M8[us]"),
    "is_new": np.array([True, False]),
}


def test_rows_hold_plain_values():
    first, second = as_rows(COLUMNS)
    assert first == {"id": 1, "name": "a, b", "flux": 0.1, "when": "2026-01-01T00:00:00.500000Z", "is_new": True}
    assert second == {"id": 2, "name": None, "flux": None, "when": None, "is_new": False}
    assert type(first["id"]) is int


def test_json_has_no_nan():
    value = {"a": np.float64("nan"), "b": [np.int64(3), (float("inf"),)], "t": datetime(2026, 1, 1, tzinfo=UTC)}
    assert json.loads(as_json(value)) == {"a": None, "b": [3, [None]], "t": "2026-01-01T00:00:00Z"}
