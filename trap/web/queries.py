"""Selections in addresses: the query of an address has exactly the keywords of :meth:`trap.selection.Selection.of`.

A view of a table has an order, a page and columns besides. So an address is a saved selection, which another person
can open, and programs and pages use the same words.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from trap.codes import STOKES, Flag
from trap.db.result_conditions import check_range
from trap.errors import ConfigError
from trap.selection import FILTERS, SHORT_NAMES, Selection, nearest_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trap.db.result_tables import ResultTable

__all__ = [
    "DEFAULT_SIZE",
    "LISTS",
    "MAX_ENTRIES",
    "MAX_PAGE",
    "MAX_SIZE",
    "VIEW",
    "TableQuery",
    "parse_query",
    "selection_items",
]

DEFAULT_SIZE = 50
MAX_SIZE = 1000
"""Largest number of rows of a page."""
MAX_ENTRIES = 5000
"""Largest number of entries that an address can name."""
MAX_TEXT = 300
"""Longest value of a filter; a list of entries may be longer."""
MAX_PAGE = 1_000_000
LISTS = ("band", "stokes", "without_flags", "entries", "rating", "tag")
"""Filters that have several values, in one text or in repeated keys."""
FIXED = tuple(name for name in FILTERS if not name.endswith("COLUMN"))
VIEW = ("order", "page", "size", "columns", "fragment")
"""Keys that select no rows."""
YES, NO = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableQuery:
    """The meaning of the query of an address.

    Parameters
    ----------
    filters
        Keys and texts of the filters, each key once, in the order of :data:`trap.selection.FILTERS`.
    selection
        The filters as a selection.
    order
        Names of the columns that sort the rows; a minus sign before a name sorts from high to low.
    page, size
        Number of the page, from 1 on, and largest number of its rows.
    columns
        Chosen columns; None for the usual ones.
    is_fragment
        Whether only the table is wanted, for a page that shows it.
    """

    filters: tuple[tuple[str, str], ...]
    selection: Selection
    order: tuple[str, ...] = ()
    page: int = 1
    size: int = DEFAULT_SIZE
    columns: tuple[str, ...] | None = None
    is_fragment: bool = False

    @property
    def offset(self) -> int:
        """Number of rows before the page."""
        return (self.page - 1) * self.size

    def address(self, *, without: Sequence[str] = (), **changes: str) -> str:
        """Return the query of an address, with its question mark, for another view of the same table.

        Parameters
        ----------
        without
            Keys that are left out.
        **changes
            New values by key. The view begins with the first page unless a page is given.
        """
        items = dict(self.filters)
        items |= {} if not self.order else {"order": ",".join(self.order)}
        items |= {} if self.columns is None else {"columns": ",".join(self.columns)}
        items |= {} if self.size == DEFAULT_SIZE else {"size": str(self.size)}
        items |= changes
        kept = {key: text for key, text in items.items() if key not in without}
        return f"?{urlencode(kept)}" if kept else "?"


def parse_query(items: Iterable[tuple[str, str]], table: ResultTable) -> TableQuery:
    """Read the query of an address.

    Parameters
    ----------
    items
        Keys and texts, as a form sends them. Empty texts are ignored.
    table
        Table of results.

    Raises
    ------
    ConfigError
        If a key is unknown, a key that has one value is repeated, or a value has no meaning; with the key.
    """
    texts: dict[str, str] = {}
    for given, raw in items:
        text = raw.strip()
        if not text:
            continue
        key = _full_key(given, table)
        if key in texts and key not in (*LISTS, "columns"):
            msg = f"{key} is given twice, {texts[key]!r} and {text!r}"
            raise ConfigError(msg)
        texts[key] = f"{texts[key]},{text}" if key in texts else text
        _check_length(key, texts[key])
    filters = tuple((key, texts[key]) for key in sorted(texts, key=_place) if key not in VIEW)
    return TableQuery(
        filters=filters,
        selection=_selection(dict(filters), table),
        order=_order(texts.get("order", ""), table),
        page=_number("page", texts.get("page", "1"), MAX_PAGE),
        size=_number("size", texts.get("size", str(DEFAULT_SIZE)), MAX_SIZE),
        columns=_columns(texts["columns"], table) if "columns" in texts else None,
        is_fragment=_yes_or_no("fragment", texts.get("fragment", "0")),
    )


def selection_items(selection: Selection) -> list[tuple[str, str]]:
    """Return the keys and texts of a selection, from which :func:`parse_query` makes it again.

    Parameters
    ----------
    selection
        Selection of rows.
    """
    items: list[tuple[str, str]] = []
    if selection.near is not None:
        items.append(("near", f"{selection.near.ra!r} {selection.near.dec!r}"))
        items.append(("radius", repr(_divided(selection.near.radius, 1 / 3600))))
    if selection.bands:
        items.append(("band", ",".join(repr(_divided(one, 1e6)) for one in selection.bands)))
    if selection.stokes:
        letters = {code: letter for letter, code in STOKES.items()}
        items.append(("stokes", ",".join(letters[code] for code in selection.stokes)))
    if selection.without_flags:
        names = [str(flag.name).lower() for flag in Flag if flag & selection.without_flags]
        items.append(("without_flags", ",".join(names)))
    if selection.candidates_only:
        items.append(("candidates_only", "true"))
    if selection.entries is not None:
        items.append(("entries", ",".join(map(str, selection.entries))))
    items += [(name, moment.isoformat()) for name in ("since", "until") if (moment := getattr(selection, name))]
    items += [(name, ",".join(words)) for name in ("rating", "tag") if (words := getattr(selection, f"{name}s"))]
    for one in selection.ranges:
        ends = (("min", one.low), ("max", one.high))
        items += [(f"{end}_{one.column}", repr(value)) for end, value in ends if value is not None]
    return items


def _divided(value: float, unit: float) -> float:
    """Return the number that gives a value when it is read in a unit; the rounding of both may differ by a bit."""
    first = value / unit
    near = (first, math.nextafter(first, math.inf), math.nextafter(first, -math.inf))
    return next((one for one in near if (one / 3600 if unit < 1 else one * unit) == value), first)


def _full_key(key: str, table: ResultTable) -> str:
    """Return a key with the name of its column in full, and refuse a key that has no meaning for a table."""
    if key in FIXED or key in VIEW:
        return key
    end, _, column = key.partition("_")
    column = SHORT_NAMES.get(column, column)
    if end in ("min", "max") and column in table.columns:
        return f"{end}_{column}"
    numbers = [name for name, one in table.columns.items() if one.dtype.kind in "fi"]
    known = [*FIXED, *VIEW, *(f"{end}_{name}" for end in ("min", "max") for name in (*SHORT_NAMES, *numbers))]
    shown = key if len(key) <= 60 else f"{key[:60]}…"
    named = nearest_names(shown, known)
    if named.startswith("; choose"):
        named = f"; choose from {', '.join(FIXED)}, min_COLUMN, max_COLUMN, {', '.join(VIEW)}"
    msg = f"unknown key {shown!r} in the address{named}"
    raise ConfigError(msg)


def _check_length(key: str, text: str) -> None:
    longest = {"entries": 20 * MAX_ENTRIES, "columns": 10_000}.get(key, MAX_TEXT)
    if len(text) > longest:
        msg = f"{key} is too long: {len(text)} characters, at most {longest}"
        raise ConfigError(msg)


def _place(key: str) -> tuple[int, str]:
    """Return the place of a key in an address: filters as :data:`FIXED` lists them, then ranges by name."""
    return (FIXED.index(key), "") if key in FIXED else (len(FIXED), key.partition("_")[2])


def _selection(texts: dict[str, str], table: ResultTable) -> Selection:
    """Make the selection of texts."""
    values: dict[str, Any] = dict(texts)
    if "candidates_only" in values:
        values["candidates_only"] = _yes_or_no("candidates_only", texts["candidates_only"])
    for name in ("near", "radius", "since", "until"):
        if "\0" in texts.get(name, ""):
            msg = f"{name} has a character without a meaning"
            raise ConfigError(msg)
    selection = Selection.of(**values)
    if selection.entries is not None and len(selection.entries) > MAX_ENTRIES:
        msg = f"entries names {len(selection.entries)} entries; an address can have {MAX_ENTRIES}"
        raise ConfigError(msg)
    for one in selection.ranges:
        check_range(table, one)
    return selection


def _order(text: str, table: ResultTable) -> tuple[str, ...]:
    """Read names of columns, with their short names in full."""
    order = []
    for word in text.replace(",", " ").split():
        name = word.removeprefix("-")
        full = SHORT_NAMES.get(name, name)
        if full not in table.columns:
            msg = f"order: table {table.name} has no column {name!r}{nearest_names(name, table.columns)}"
            raise ConfigError(msg)
        order.append(f"-{full}" if word.startswith("-") else full)
    return tuple(dict.fromkeys(order))


def _columns(text: str, table: ResultTable) -> tuple[str, ...]:
    """Read names of columns, in the order of the table."""
    named = [SHORT_NAMES.get(word, word) for word in text.replace(",", " ").split()]
    for name in named:
        if name not in table.columns:
            msg = f"columns: table {table.name} has no column {name!r}{nearest_names(name, table.columns)}"
            raise ConfigError(msg)
    return tuple(name for name in table.columns if name in set(named))


def _number(name: str, text: str, largest: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= largest):
        msg = f"{name} must be a whole number from 1 to {largest}, got {text[:40]!r}"
        raise ConfigError(msg)
    return int(text)


def _yes_or_no(name: str, text: str) -> bool:
    if text.lower() not in (*YES, *NO):
        msg = f"{name} must be true or false, got {text[:40]!r}"
        raise ConfigError(msg)
    return text.lower() in YES
