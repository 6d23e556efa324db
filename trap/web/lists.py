"""The list that a visitor came from: the sources before and after the one on the page, by its query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from trap.db.result_pages import read_page
from trap.db.result_tables import find_table
from trap.db.source_records import next_entry
from trap.errors import ConfigError
from trap.selection import FILTERS, Selection
from trap.web.pixels import Memory
from trap.web.queries import parse_query

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trap.db.engine import Connection

__all__ = ["Adjacent", "adjacent_sources", "list_address", "list_query"]

TABLES = ("sources", "transients")
OWN = ("from",)
"""Keys of an address that name the list, and select no rows of its table."""
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
    kept = (*FILTERS, "order", *OWN)
    return [(name, value) for name, value in query if value and (name in kept or name.startswith(("min_", "max_")))]


def list_address(table: str, filters: Sequence[tuple[str, str]], order: Sequence[str]) -> str:
    """Return the query of the address of a source that was chosen from a list, with its question mark.

    Parameters
    ----------
    table
        Name of the table.
    filters, order
        Filters of the list as names and texts, and the columns that sort it.

    Returns
    -------
    Empty for a table without a list of sources, and for the list of all sources.
    """
    items = [*filters, *([("order", ",".join(order))] if order else [])]
    if table not in TABLES or (table == "sources" and not items):
        return ""
    return f"?{urlencode([('from', table), *items])}"


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
    table = dict(kept).get("from", "sources")
    if table not in TABLES:
        msg = f"from must be one of {', '.join(TABLES)}, got {table!r}"
        raise ConfigError(msg)
    query_of_list = parse_query([each for each in kept if each[0] not in OWN], find_table(table))
    selection, order, address = query_of_list.selection, query_of_list.order, urlencode(kept)
    if table == "sources" and not order and selection == Selection():
        before, after = (next_entry(connection, dataset, runcat, back=back) for back in (True, False))
        return Adjacent(before=before, after=after, place="", query=address, table=table)
    key = (str(connection.engine.url), dataset, table, selection, order)
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
