from __future__ import annotations

import numpy as np
import pytest

from trap.db import patience, result_pages
from trap.db.result_pages import read_page
from trap.db.result_tables import RESULT_TABLES, count_rows, read_rows
from trap.errors import ConfigError
from trap.selection import Selection

TABLES = [name for name, table in RESULT_TABLES.items() if table.query is not None]


def _joined(ask, name, dataset, selection, **options):
    """All pages of seven rows, one after the other."""
    pages = [ask(read_page, name, [dataset], selection, limit=7, **options)]
    while len(next(iter(pages[-1].rows.values()))) == 7:
        pages.append(ask(read_page, name, [dataset], selection, offset=7 * len(pages), limit=7, **options))
    return {key: np.ma.concatenate([page.rows[key] for page in pages]) for key in pages[0].rows}, pages[0]


def test_pages_have_all_rows_once_in_the_order_of_the_stream(busy, ask):
    for name in TABLES:
        found, page = _joined(ask, name, busy.id, Selection())
        expected = ask(read_rows, name, [busy.id])
        assert page.n_rows == len(expected["dataset"])
        assert list(found) == list(expected)
        for column, values in expected.items():
            np.testing.assert_array_equal(np.ma.filled(found[column], -9), np.ma.filled(values, -9), err_msg=column)


def test_sorted_pages_go_from_high_to_low_with_missing_values_last(busy, ask):
    for name, column in (("sources", "eta_int"), ("measurements", "f_int"), ("images", "rms_qc")):
        found, page = _joined(ask, name, busy.id, Selection(), columns=[column], order=[f"-{column}"])
        values = found[column]
        assert len(values) == page.n_rows > 3
        known = values[~np.isnan(values)]
        np.testing.assert_array_equal(known, np.sort(known)[::-1])
        np.testing.assert_array_equal(values[: len(known)], known)


def test_rows_without_a_value_of_a_range_are_counted(busy, ask):
    every = ask(read_rows, "sources", [busy.id])["eta_int"]
    page = ask(read_page, "sources", [busy.id], Selection.of(min_eta=0.0))
    assert page.n_rows == np.count_nonzero(every >= 0)
    assert page.without_value == {"eta_int": np.count_nonzero(np.isnan(every))}
    assert page.n_rows + page.without_value["eta_int"] == len(every)


def test_a_cone_or_times_select_the_rows_of_pages_as_of_exports(busy, ask):
    place = ask(read_rows, "measurements", [busy.id], columns=["ra", "decl"], limit=1)
    rows = ask(read_rows, "images", [busy.id], columns=["taustart_ts", "image"])
    times, images = rows["taustart_ts"], rows["image"]
    for selection in (
        Selection.of(near=(place["ra"][0], place["decl"][0]), radius=30),
        Selection.of(since=str(times[1])),
        Selection.of(since="2199-01-01"),
        Selection.of(min_image=int(images[1]), max_image=int(images[1]), min_freq_central=1.0),
    ):
        found, page = _joined(ask, "measurements", busy.id, selection)
        assert page.n_rows == len(found["xtrsrc"]) == ask(count_rows, "measurements", [busy.id], selection)


def test_long_tables_are_counted_and_sorted_up_to_limits(busy, ask, monkeypatch):
    monkeypatch.setattr(result_pages, "MAX_COUNTED", 20)
    monkeypatch.setattr(result_pages, "MAX_SORTED", 2)
    monkeypatch.setattr(result_pages, "MAX_REACH", 20)
    page = ask(read_page, "measurements", [busy.id], Selection(), limit=1)
    assert (page.n_rows, page.reach) == (None, 2)
    assert "f_int" in page.unsortable
    with pytest.raises(ConfigError, match="these rows are too many to sort by f_int; narrow the selection"):
        ask(read_page, "measurements", [busy.id], Selection(), order=["-f_int"])
    with pytest.raises(ConfigError, match="pages reach the first 2 rows"):
        ask(read_page, "measurements", [busy.id], Selection(), offset=2, limit=1)


def test_a_count_that_takes_too_long_leaves_the_rows(busy, ask, monkeypatch):
    monkeypatch.setattr(result_pages, "COUNT_SECONDS", -1.0)
    monkeypatch.setattr(patience, "STEPS", 1)
    page = ask(read_page, "sources", [busy.id], Selection.of(min_eta=-1.0))
    assert page.n_rows is None or busy.engine.dialect.name == "postgresql"  # whose shortest limit is a millisecond
    assert len(page.rows["runcat"]) > 0


def test_a_table_without_a_query_has_no_pages(busy, ask):
    with pytest.raises(ConfigError, match="coverage is computed"):
        ask(read_page, "coverage", [busy.id], Selection())


def test_images_are_sorted_by_their_sources_unless_these_are_too_many_to_count(busy, ask, monkeypatch):
    page = ask(read_page, "images", [busy.id], Selection(), order=["-n_sources"], columns=["n_sources"])
    assert page.unsortable == frozenset()
    assert page.rows["n_sources"].tolist() == sorted(page.rows["n_sources"].tolist(), reverse=True)
    monkeypatch.setattr(result_pages, "MAX_COUNTED_SOURCES", 2)
    assert ask(read_page, "images", [busy.id], Selection()).unsortable == {"n_sources"}
    with pytest.raises(ConfigError, match="too many to sort by n_sources"):
        ask(read_page, "images", [busy.id], Selection(), order=["n_sources"])
