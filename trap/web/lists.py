"""The list that a visitor came from: the sources before and after the one on the page, by its query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from trap.db.result_pages import read_page
from trap.db.source_records import next_entry
from trap.errors import ConfigError
from trap.selection import SHORT_NAMES, Selection
from trap.web.pixels import Memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

__all__ = ["Adjacent", "adjacent_sources", "list_query"]

TABLES = ("sources", "transients")
FILTERS = ("near", "radius", "band", "stokes", "without_flags", "candidates_only", "since", "until", "entries")
MAX_LIST = 5000
"""Number of rows of a sorted list among which the source is sought."""
LIFE_SECONDS = 60.0
"""Time that a list is remembered: sorting it again for the next source would take a second."""
_lists: Memory[list[int]] = Memory(8 << 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjacent:
    """The neighbours of a source in a list.

    Parameters
    ----------
    before, after
        Row numbers of the running catalogue; None at the ends of the list.
    place
        Place in the list, such as ``"3 of 12 candidates"``; empty for the list of all sources.
    query
        Query of the addresses, with the selection of the list.
    table
        Name of the table of the list.
    """

    before: int | None
    after: int | None
    place: str
    query: str
    table: str


def list_query(query: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the part of a query that belongs to the list, not to the page of the source.

    Parameters
    ----------
    query
        Names and values of an address.
    """
    kept = (*FILTERS, "order", "from", "tag", "columns", "page")
    return [(name, value) for name, value in query if value and (name in kept or name.startswith(("min_", "max_")))]


def adjacent_sources(connection: Connection, dataset: int, runcat: int, query: Sequence[tuple[str, str]]) -> Adjacent:
    """Find the sources before and after one in the list that an address describes.

    Parameters
    ----------
    connection
        Connection in a transaction of the caller.
    dataset, runcat
        Number of the dataset, and row number of the running catalogue.
    query
        Names and values of the address: ``from``, the name of the table, and its filters and order.

    Raises
    ------
    ConfigError
        If the query is no selection of sources.
    """
    kept = list_query(query)
    given = dict(kept)
    table = given.get("from", "sources")
    if table not in TABLES:
        msg = f"from must be one of {', '.join(TABLES)}, got {table!r}"
        raise ConfigError(msg)
    address = urlencode(kept)
    order = [
        word[: word.startswith("-")] + SHORT_NAMES.get(word.removeprefix("-"), word.removeprefix("-"))
        for word in given.get("order", "").split(",")
        if word
    ]
    selection = _selection(kept)
    if table == "sources" and not order and selection == Selection():
        before, after = (next_entry(connection, dataset, runcat, back=back) for back in (True, False))
        return Adjacent(before=before, after=after, place="", query=address, table=table)
    key = (str(connection.engine.url), dataset, table, selection, tuple(order))
    listed = _lists.get(key)
    if listed is None:
        found = read_page(connection, table, [dataset], selection, columns=["runcat"], order=order, limit=MAX_LIST)
        listed = found.rows["runcat"].tolist()
        _lists.put(key, listed, 64 * len(listed), LIFE_SECONDS)
    if runcat not in listed:
        return Adjacent(before=None, after=None, place="", query=address, table=table)
    i = listed.index(runcat)
    noun = "candidates" if table == "transients" else "sources"
    number = f"the first {MAX_LIST:,}" if len(listed) == MAX_LIST else f"{len(listed):,}"
    return Adjacent(
        before=listed[i - 1] if i else None,
        after=listed[i + 1] if i + 1 < len(listed) else None,
        place=f"{i + 1:,} of {number} {noun}",
        query=address,
        table=table,
    )


def _selection(query: Sequence[tuple[str, str]]) -> Selection:
    """Return the selection of a list."""
    filters: dict[str, Any] = {}
    for name, value in query:
        if name in ("band", "stokes"):
            filters.setdefault(name, []).append(value)
        elif name == "candidates_only":
            filters[name] = value.lower() in ("1", "true", "yes", "on")
        elif name == "entries":
            numbers = filters.setdefault(name, [])
            try:
                numbers += [int(each) for each in value.split(",") if each]
            except ValueError as error:
                msg = f"entries must be numbers of sources, got {value!r}"
                raise ConfigError(msg) from error
        elif name in FILTERS or name.startswith(("min_", "max_")):
            end, _, column = name.partition("_")
            full = f"{end}_{SHORT_NAMES.get(column, column)}" if end in ("min", "max") else name
            filters[full] = value
    return Selection.of(**filters)
