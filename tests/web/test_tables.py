"""Pages of tables show what Python and exports return."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser

import pytest

from trap.db.result_tables import RESULT_TABLES, read_rows
from trap.report.text import number
from trap.selection import Selection
from trap.web.cells import USUAL
from trap.web.tables import TABLES


class _Cells(HTMLParser):
    """The texts of the cells of a table, and the states of its headers."""

    def __init__(self):
        super().__init__()
        self.rows, self.sorts, self._is_cell = [], {}, False

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        if tag == "th":
            self._header = dict(attrs)
        if tag == "td":
            self._is_cell = True
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        if tag == "td":
            self._is_cell = False

    def handle_data(self, data):
        if self._is_cell:
            self.rows[-1][-1] += data
        elif data.strip() and getattr(self, "_header", None):
            self.sorts[data.strip(" \n▲▼")] = self._header["aria-sort"]
            self._header = None


def _table(client, address):
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    parsed = _Cells()
    parsed.feed(re.search(r"<table.*</table>", answer.text, re.DOTALL)[0])
    return answer.text, [row for row in parsed.rows if row], parsed.sorts


@pytest.fixture(scope="module")
def read(site):
    def rows(name, selection=None, **options):
        with site.reader.read() as connection:
            return read_rows(connection, name, [1], selection, **options)

    return rows


@pytest.mark.parametrize("name", TABLES)
def test_each_table_has_a_page_with_meanings_and_units(client, name):
    text, rows, sorts = _table(client, f"/datasets/1/{name}")
    assert RESULT_TABLES[name].description in unescape(text)
    assert len(rows) > 0 or name == "ratings"  # which nobody has given
    assert set(sorts.values()) == {"none"}
    doc = RESULT_TABLES[name].columns[next(iter(sorts))].doc
    assert f'title="{doc}"' in unescape(text)


def test_a_table_is_sorted_filtered_and_divided_into_pages(client, read):
    selection = Selection.of(min_eta=0.5)
    every = read("sources", selection, order=["-eta_int"], columns=["runcat", "eta_int"])
    shown = []
    address = "/datasets/1/sources?min_eta=0.5&order=-eta&size=3&columns=runcat,eta_int"
    while address:
        text, rows, sorts = _table(client, address)
        shown += rows
        following = re.search(r'href="([^"]+)" rel="next"', text)
        address = unescape(following[1]) if following else ""
    assert sorts == {"runcat": "none", "eta_int": "descending"}
    assert [row[0] for row in shown] == [str(entry) for entry in every["runcat"]]
    assert [row[1] for row in shown] == [number(value) for value in every["eta_int"]]
    assert len(shown) > 3


def test_a_header_turns_the_order_and_a_chip_removes_its_filter(client):
    text, _, _ = _table(client, "/datasets/1/sources?min_eta=0.5&order=-eta&page=1")
    assert 'href="/datasets/1/sources?min_eta_int=0.5&order=eta_int"' in unescape(text)
    assert "eta_int ≥ 0.5" in text
    assert 'href="/datasets/1/sources?order=-eta_int"' in unescape(text)


def test_rows_without_a_value_of_a_filter_are_named(client, read):
    every = read("sources", columns=["newness"])["newness"]
    text, rows, _ = _table(client, "/datasets/1/sources?min_newness=-1e9")
    n_without = sum(value != value for value in every)  # noqa: PLR0124 (NaN)
    assert len(rows) + n_without == len(every) > len(rows)
    assert f"{n_without} more rows have no newness" in text


def test_the_empty_fields_of_the_form_leave_the_address(client):
    chosen = "".join(f"&columns={name}" for name in USUAL["sources"])
    address = f"/datasets/1/sources?near=&min_eta=0.5&max_eta=&order=&size=50{chosen}"
    answer = client.get(address, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/datasets/1/sources?min_eta_int=0.5")


def test_a_cone_in_sexagesimal_selects_the_source_at_its_place(client, read):
    first = read("sources", columns=["runcat", "wm_ra", "wm_decl"], limit=1)
    ra, dec = float(first["wm_ra"][0]), float(first["wm_decl"][0])
    hours, degrees = ra / 15, abs(dec)
    place = f"{int(hours)}h{hours % 1 * 60:.7f}m {'-' if dec < 0 else '+'}{int(degrees)}d{degrees % 1 * 60:.6f}m"
    for near in (place, f"{ra} {dec}"):
        text = client.get("/datasets/1/sources", params={"near": near, "radius": 5}).text
        assert f'<a href="/datasets/1/sources/{first["runcat"][0]}?from=sources&amp;near=' in text
        assert "rows 1 to 1 of 1" in text


def test_a_fragment_is_the_table_alone(client):
    text = client.get("/datasets/1/sources?fragment=1").text
    assert text.startswith("<div")
    assert "<html" not in text


@pytest.mark.parametrize(
    "name", ["images?order=reason", "transients?order=signs", "images?entries=3", "sources?band=9"]
)
def test_a_view_without_a_meaning_is_refused(client, name):
    answer = client.get(f"/datasets/1/{name}")
    expected = 200 if name == "images?order=reason" else 400
    assert answer.status_code == expected


def test_a_reader_filters_sorts_turns_a_page_and_downloads(server, browser_page, client):
    page = browser_page
    page.goto(f"{server}/datasets/1/measurements?size=5")
    page.get_by_text("Filters and columns").click()
    page.get_by_text("Ranges of columns").click()
    page.get_by_label("smallest det_sigma").fill("3")
    page.get_by_role("button", name="Apply").click()
    page.get_by_role("link", name="f_int", exact=True).click()
    header = page.get_by_role("columnheader", name="f_int", exact=False).first
    assert header.get_attribute("aria-sort") == "descending"
    assert page.get_by_text("det_sigma ≥ 3").is_visible()
    page.get_by_role("link", name="Next").press("Enter")  # by the keyboard
    page.get_by_text("rows 6 to 10 of", exact=False).first.wait_for()
    shown = [row.split("\t")[0] for row in page.locator("tbody").inner_text().splitlines()]
    expected = client.get(
        "/api/datasets/1/measurements?min_det_sigma=3&order=-f_int&size=5&page=2&columns=xtrsrc"
    ).json()
    assert shown == [str(row["xtrsrc"]) for row in expected["rows"]]
    with page.expect_download() as started:
        page.get_by_role("button", name="Download all rows").click()
    whole = client.get("/datasets/1/measurements/download?format=csv&min_det_sigma=3").content
    assert started.value.path().read_bytes() == whole
    assert started.value.suggested_filename == "dataset-1-measurements.csv"
