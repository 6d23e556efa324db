"""The pages of the tables of results: sorted, filtered and divided into pages by the database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse
from starlette.responses import Response

from trap.codes import STOKES, Flag
from trap.db.overview import frequency_bands
from trap.db.result_pages import ResultPage, read_page
from trap.db.result_tables import RESULT_TABLES
from trap.report.formats import FORMATS
from trap.report.text import megahertz
from trap.results import Dataset
from trap.results.exports import fitting_formats
from trap.web.cells import SHOWN_UNITS, USUAL, needed_columns, table_cells
from trap.web.lists import list_address
from trap.web.queries import MAX_SIZE, TableQuery, parse_query
from trap.web.rendering import render
from trap.web.site import CurrentDataset, CurrentSite, Site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trap.db.result_tables import ResultTable

__all__ = ["TABLES", "downloadable", "router"]

router = APIRouter(include_in_schema=False)
TABLES = {name: table for name, table in RESULT_TABLES.items() if table.query is not None}
"""Tables with pages."""
NAVIGATION = {"transients": "Candidates", "sources": "Sources", "images": "Images"}
"""Names of the sections of a dataset."""
HEADINGS = {"transients": "Transient candidates", "lightcurves": "Light curves"}
ASCENDING_KINDS = "OM?"
"""Kinds of columns that a first click sorts from low to high; other numbers begin with the highest."""


def downloadable(name: str) -> list[str]:
    """Return the names of the formats of one file in which a table can be downloaded."""
    return [one for one in fitting_formats(name) if FORMATS[one].write is not None]


def _page(name: str) -> Callable[[Request, Site, Dataset], Response]:
    """Return the page of a table."""

    def show(request: Request, site: CurrentSite, dataset: CurrentDataset) -> Response:
        return _show_table(request, site, dataset.number, name)

    return show


def _show_table(request: Request, site: Site, number: int, name: str) -> Response:
    """Return a page of a table, or the table alone."""
    table, items = TABLES[name], request.query_params.multi_items()
    query, usual = parse_query(items, table), USUAL.get(name, tuple(table.columns))
    if query.columns is not None and set(query.columns) == set(usual):
        query = replace(query, columns=None)
    if any(not text.strip() for _, text in items):  # an address without the empty fields of the form
        return RedirectResponse(f"{request.url.path}{query.address()}", 303)
    shown = query.columns or usual
    with site.reader.read() as connection:
        page = read_page(
            connection,
            name,
            [number],
            query.selection,
            columns=needed_columns(shown, table.columns),
            order=query.order,
            offset=query.offset,
            limit=query.size,
        )
        bands = frequency_bands(connection, number)["freq_central"]
    home = f"/datasets/{number}"
    heading = HEADINGS.get(name, name.capitalize())
    return render(
        request,
        "_table.html" if query.is_fragment else "table.html",
        number=number,
        what=name,
        heading=heading,
        table=table,
        query=query,
        home=home,
        here=request.url.path,
        section=NAVIGATION.get(name, ""),
        headers=list(_headers(query, table, shown, page.unsortable)),
        rows=list(table_cells(page.rows, shown, home=home, listed=list_address(name, query.filters, query.order))),
        range_text=_range_text(query, page),
        missing_text=_missing_text(page),
        links=_pages(query, page),
        chips=list(_chips(query, table)),
        bands=[megahertz(one) for one in bands],
        letters=list(STOKES),
        flags=[str(flag.name).lower() for flag in Flag],
        formats={one: FORMATS[one].description for one in downloadable(name)},
        numbers=[one for one, column in table.columns.items() if column.dtype.kind in "fi" and one != "dataset"],
        shown=shown,
        given=defaultdict(str, query.filters),
        has_flags=table.query is not None and table.query.flags is not None,
        has_entries=table.query is not None and (table.query.entry is not None or name == "measurements"),
        max_size=MAX_SIZE,
    )


def _headers(
    query: TableQuery, table: ResultTable, shown: tuple[str, ...], unsortable: frozenset[str]
) -> Iterator[dict[str, Any]]:
    """Yield the headers of the columns, with the addresses that sort by them."""
    first = query.order[0] if query.order else ""
    for name in shown:
        column = table.columns[name]
        is_computed = table.query is None or name not in table.query.fields
        is_descending = first == f"-{name}"
        starts_low = column.dtype.kind in ASCENDING_KINDS or name in ("runcat", "image", "xtrsrc", "newsource")
        turned = name if is_descending or (first != name and starts_low) else f"-{name}"
        yield {
            "name": name,
            "unit": SHOWN_UNITS.get(column.unit, column.unit),
            "doc": column.doc,
            "is_number": column.dtype.kind in "fi",
            "sort": "descending" if is_descending else "ascending" if first == name else "none",
            "address": "" if is_computed or name in unsortable else query.address(order=turned),
        }


def _range_text(query: TableQuery, page: ResultPage) -> str:
    """Write the place of the page among all rows."""
    n_shown = len(next(iter(page.rows.values())))
    if not n_shown:
        return "no rows" if query.page == 1 else "no rows on this page"
    first = query.offset + 1
    where = f"rows {first:,} to {query.offset + n_shown:,}"
    if page.n_rows is None:
        return f"{where} of many: they take too long to count"
    return f"{where} of {page.n_rows:,}"


def _missing_text(page: ResultPage) -> str:
    """Write how many rows the ranges leave out since they have no value."""
    sentences = [
        f"{n:,} more {'row has' if n == 1 else 'rows have'} no {name}, so that a range leaves them out."
        if n is not None
        else f"A range leaves out rows without {name}; they take too long to count."
        for name, n in page.without_value.items()
        if n != 0
    ]
    return " ".join(sentences)


def _pages(query: TableQuery, page: ResultPage) -> dict[str, str]:
    """Return the addresses of other pages by their names."""
    links = {}
    n_shown = len(next(iter(page.rows.values())))
    if query.page > 1:
        links["First"] = query.address()
        links["Previous"] = query.address(page=str(query.page - 1))
    end = query.offset + query.size
    is_more = n_shown == query.size if page.n_rows is None else end < page.n_rows
    if is_more and end + query.size <= page.reach:
        links["Next"] = query.address(page=str(query.page + 1))
    if page.n_rows is not None and page.n_rows <= page.reach and is_more:
        links["Last"] = query.address(page=str(-(-page.n_rows // query.size)))
    return links


def _chips(query: TableQuery, table: ResultTable) -> Iterator[tuple[str, str]]:
    """Yield each filter as a text, and the address without it."""
    given = dict(query.filters)
    for key, text in query.filters:
        end, _, column = key.partition("_")
        if key == "radius":
            continue
        if key == "near":
            radius = given.get("radius", "30")
            yield f"within {radius}″ of {text}", query.address(without=["near", "radius"])
        elif end in ("min", "max") and key not in ("min", "max"):
            unit = table.columns[column].unit if column in table.columns else ""
            yield (
                f"{column} {'≥' if end == 'min' else '≤'} {text}{' ' if unit else ''}{unit}",
                query.address(without=[key]),
            )
        else:
            shown = text if len(text) <= 40 else f"{text[:40]}…"
            words = {"candidates_only": "candidates only", "band": f"{shown} MHz", "without_flags": f"without {shown}"}
            yield words.get(key, f"{key} {shown}"), query.address(without=[key])


for _name in TABLES:
    router.add_api_route(f"/datasets/{{number}}/{_name}", _page(_name), response_model=None)
