"""The description of a format of source lists: the columns of a finder, with its units and conventions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trap.source_lists.tables import ListTable
from trap.typing import Array

__all__ = ["FlagsOf", "ListColumn", "ListFormat", "no_flags"]

FlagsOf = Callable[[Mapping[str, Array]], NDArray[np.int_]]
"""Function that returns (n,) sums of :class:`trap.catalogues.Flag` for the (n,) columns of a list."""


class ListColumn(NamedTuple):
    """A column of a format.

    Parameters
    ----------
    name
        Name of the column.
    unit
        Its unit where the file has none; empty for a number without unit.
    other
        Its name in files of another version of the finder; may be empty.
    """

    name: str
    unit: str = ""
    other: str = ""


def no_flags(columns: Mapping[str, Array]) -> NDArray[np.int_]:
    """Return no flags, for a finder that marks no sources.

    Parameters
    ----------
    columns
        (n,) each — columns of the list.
    """
    return np.zeros(len(next(iter(columns.values()))), int)


def always_has_columns(table: ListTable) -> bool:  # noqa: ARG001 (a function of the same kind as those of finders)
    """Return False: every list of most finders has the columns of its format, also a list without sources.

    Parameters
    ----------
    table
        The table.
    """
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFormat:
    """A format of source lists.

    Parameters
    ----------
    name
        Name of the format in the settings.
    description
        The finder and its files, for the documentation.
    columns
        Columns by the quantities of :data:`trap.config.QUANTITIES`. Columns that a list lacks are left out.
    marks
        Sets of names of columns that no other finder uses together: a list with all of one set is in this format.
    identities
        Sets of columns that together name a source within its list. The first set is used that the list has.
    extra
        Further columns of numbers, for ``flags``. Those that the list lacks are NaN.
    flags
        Function that converts the marks of the finder to our flags.
    carried
        Columns of :class:`trap.catalogues.Measurements` that are taken as they are, if the list has them.
    is_own
        Whether the list is our own, whose islands and flags are taken as they are.
    is_empty
        Function that recognises a list without sources, if it lacks the columns of the format.
    """

    name: str
    description: str
    columns: Mapping[str, ListColumn]
    marks: tuple[tuple[str, ...], ...] = ()
    identities: tuple[tuple[str, ...], ...] = ()
    extra: tuple[str, ...] = ()
    flags: FlagsOf = no_flags
    carried: tuple[str, ...] = ()
    is_own: bool = False
    is_empty: Callable[[ListTable], bool] = always_has_columns

    def recognises(self, table: ListTable) -> bool:
        """Return whether a table is in this format.

        Parameters
        ----------
        table
            The table.
        """
        return any(table.has(marks) for marks in self.marks) or self.is_empty(table)
