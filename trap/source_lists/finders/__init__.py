"""The registry of formats of source lists: a new finder is a module here with one record, named in this file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trap.source_lists.finders.aegean import AEGEAN
from trap.source_lists.finders.own import TRANSIENTS
from trap.source_lists.finders.pybdsf import PYBDSF
from trap.source_lists.finders.pyse import PYSE
from trap.source_lists.finders.selavy import SELAVY
from trap.source_lists.finders.table import TABLE

if TYPE_CHECKING:
    from trap.source_lists.formats import ListFormat
    from trap.source_lists.tables import ListTable

__all__ = ["LIST_FORMATS", "recognise"]

LIST_FORMATS: dict[str, ListFormat] = {
    record.name: record for record in (SELAVY, PYBDSF, AEGEAN, PYSE, TRANSIENTS, TABLE)
}
"""All formats by name, in the order of their recognition."""


def recognise(table: ListTable) -> ListFormat:
    """Return the format of a table, by its columns; a table of no known finder is in the format ``table``.

    Parameters
    ----------
    table
        The table.
    """
    return next((record for record in LIST_FORMATS.values() if record.recognises(table)), TABLE)
