"""Any table of sources, whose columns the settings name, with units.

For example::

    [source_lists]
    format = "table"
    columns = { ra = "RAJ2000", dec = "DEJ2000", f_int = "Si", f_int_err = "e_Si", ra_err = "e_RAJ2000" }
    units = { f_int = "mJy", f_int_err = "mJy" }

A column that the settings do not name is used if it has the name of a quantity: ``ra``, ``dec``, ``f_int``. A quantity
without a unit in the file or in the settings is refused, except the position in pixels. ``f_int`` or ``f_peak`` is
enough: the other follows from the shape of the source and the beam, and is the same for a source without a shape.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trap.config import QUANTITIES
from trap.source_lists.formats import ListColumn, ListFormat

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["TABLE"]

PIXELS = ("x", "y")
"""Quantities whose unit is known: positions in pixels, counted from 0."""


def _own_names() -> Iterator[tuple[str, ListColumn]]:
    """Yield each quantity with the column of its name, which has no unit unless the file gives one."""
    for quantity, unit in QUANTITIES.items():
        if quantity != "id":
            yield quantity, ListColumn(quantity, unit if quantity in PIXELS else "")


TABLE = ListFormat(
    name="table",
    description="any table with named columns: CSV, ECSV, VOTable, FITS or Parquet",
    columns=dict(_own_names()),
    identities=(("id",),),
)
