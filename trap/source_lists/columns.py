"""The columns of a source list by quantity, in our units: found by the format or the settings, and converted."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units

from trap.config import QUANTITIES
from trap.errors import SourceListError
from trap.source_lists.tables import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from trap.config import SourceListConfig
    from trap.source_lists.formats import ListColumn, ListFormat
    from trap.source_lists.tables import ListTable, Numbers
    from trap.typing import Array, Indices

__all__ = ["ListedSources", "has_columns", "read_columns"]

LABELS = ("id", "island")
"""Quantities that are read as text."""
PLAIN = ("significance", *LABELS)
"""Quantities without a unit."""
MAX_SHOWN = 40
"""Largest number of columns in a message."""
NO_UNIT = frozenset({"", "-", "--", "---", "none"})
PLAIN_UNITS = {
    "degrees": "deg",
    "degree": "deg",
    "h": "hourangle",
    "hours": "hourangle",
    "pixel": "pix",
    "pixels": "pix",
    "arcseconds": "arcsec",
    '"': "arcsec",
}
"""Names of units that astropy does not know, in lower case."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ListedSources:
    """The sources of a list, before they are checked and completed.

    Parameters
    ----------
    table, form
        The table, and its format.
    values
        (n,) each, by quantity, in the units of :data:`trap.config.QUANTITIES`; NaN if a cell has no value. Quantities
        without a column are left out.
    steps
        Half a unit of the last printed digit, by quantity, of columns with zeros that are printed with decimals.
    names
        Names of the columns in the file, by quantity.
    islands
        (n,) — names of the islands; empty if the list has none.
    identities
        (n,) — names of the sources; empty if the list has none.
    identity
        Columns of these names.
    extra
        (n,) each, by name — further columns of the finder, NaN if the list lacks them.
    carried
        (n,) each — columns of the measurements that the list has as they are.
    rows
        (n,) — numbers of the sources among the rows of the table, counted from 0.
    """

    table: ListTable
    form: ListFormat
    values: dict[str, Array]
    steps: dict[str, float]
    names: dict[str, str]
    islands: Sequence[str] = ()
    identities: Sequence[str] = ()
    identity: tuple[str, ...] = ()
    extra: dict[str, Array] = field(default_factory=dict)
    carried: dict[str, Array] = field(default_factory=dict)
    rows: Indices

    def __len__(self) -> int:
        return len(self.rows)

    def place(self, source: int) -> str:
        """Name the row of a source for messages, such as ``row 3 (line 5)``.

        Parameters
        ----------
        source
            Number of the source, counted from 0.
        """
        return self.table.place.of(int(self.rows[source]))

    def where(self, quantity: str, source: int) -> str:
        """Name a cell for messages, such as ``column ra_err, row 3 (line 5)``.

        Parameters
        ----------
        quantity
            Quantity of the column.
        source
            Number of the source, counted from 0.
        """
        return f"column {shown(self.names.get(quantity, quantity))}, {self.place(source)}"

    def take(self, sources: NDArray[np.bool_]) -> ListedSources:
        """Return the sources that a mask selects.

        Parameters
        ----------
        sources
            (n,) — whether a source is taken.
        """
        chosen = np.flatnonzero(sources).tolist()

        def taken(columns: dict[str, Array]) -> dict[str, Array]:
            return {name: values[chosen] for name, values in columns.items()}

        return replace(
            self,
            values=taken(self.values),
            islands=[self.islands[i] for i in chosen] if self.islands else (),
            identities=[self.identities[i] for i in chosen] if self.identities else (),
            extra=taken(self.extra),
            carried=taken(self.carried),
            rows=self.rows[chosen],
        )


def read_columns(table: ListTable, form: ListFormat, settings: SourceListConfig) -> ListedSources:
    """Read the columns of a list and convert them.

    Parameters
    ----------
    table, form
        The table, and its format.
    settings
        Names and units of columns that replace the ones of the format.

    Raises
    ------
    SourceListError
        If a column is missing, has no suitable unit, or has a cell that is no number.
    """
    names = _found_names(table, form, settings)
    factors = {
        quantity: _factor(name, _unit_text(table, form, settings, quantity, name), quantity)
        for quantity, name in names.items()
        if quantity not in LABELS
    }
    identity = [names["id"]] if "id" in names else next((set_ for set_ in form.identities if table.has(set_)), ())
    identity = [found for name in identity if (found := table.find(name)) is not None]
    extra, carried = _further(table, form.extra), _further(table, form.carried)
    numbers, labels = table.cells.read(
        list(dict.fromkeys([*(names[quantity] for quantity in factors), *extra.values(), *carried.values()])),
        list(dict.fromkeys([*(names[quantity] for quantity in names if quantity in LABELS), *identity])),
    )
    return ListedSources(
        table=table,
        form=form,
        values={quantity: numbers[names[quantity]].values * factor for quantity, factor in factors.items()},
        steps=_steps(names, factors, numbers),
        names=names,
        islands=labels[names["island"]] if "island" in names else (),
        identities=_joined([labels[name] for name in identity]) if identity else (),
        identity=tuple(identity),
        extra={
            name: numbers[extra[name]].values if name in extra else np.full(table.n_rows, np.nan) for name in form.extra
        },
        carried={name: numbers[own].values for name, own in carried.items()},
        rows=np.arange(table.n_rows),
    )


def has_columns(table: ListTable, form: ListFormat, settings: SourceListConfig) -> bool:
    """Return whether a table has the columns that a list needs: of positions and of a flux density.

    Parameters
    ----------
    table, form, settings
        As for :func:`read_columns`.
    """
    try:
        _found_names(table, form, settings)
    except SourceListError:
        return False
    return True


def _found_names(table: ListTable, form: ListFormat, settings: SourceListConfig) -> dict[str, str]:
    """Return the columns of the quantities; refuse a list without a column that it must have."""
    names: dict[str, str] = {}
    for quantity, name in settings.columns.items():
        found = table.find(name)
        if found is None:
            msg = f"there is no column '{shown(name)}' ([source_lists] columns: {quantity}); {_listed(table)}"
            raise SourceListError(msg)
        names[quantity] = found
    for quantity, column in form.columns.items():
        found = table.find(column.name) or (table.find(column.other) if column.other else None)
        if quantity not in names and found is not None:
            names[quantity] = found
    for quantity in ("ra", "dec"):
        if quantity not in names:
            raise SourceListError(_missing(table, form, quantity))
    if "f_int" not in names and "f_peak" not in names:
        raise SourceListError(_missing(table, form, "f_int"))
    return names


def _missing(table: ListTable, form: ListFormat, quantity: str) -> str:
    """Return the message about a column that a list must have."""
    name = form.columns[quantity].name if quantity in form.columns else quantity
    msg = f"there is no column '{name}' for {quantity}, as the format {form.name} has"
    return f'{msg}; name it by [source_lists] columns = {{ {quantity} = "…" }}; {_listed(table)}'


def _listed(table: ListTable) -> str:
    """List the columns of a table for a message."""
    if not table.names:
        return "the file has no heading"
    more = f" and {len(table.names) - MAX_SHOWN} more" if len(table.names) > MAX_SHOWN else ""
    return f"the columns are {', '.join(map(shown, table.names[:MAX_SHOWN]))}{more}"


def _further(table: ListTable, names: Sequence[str]) -> dict[str, str]:
    """Return the names in the file of further columns, by their names in the format."""
    return {name: found for name in names if (found := table.find(name)) is not None}


def _unit_text(table: ListTable, form: ListFormat, settings: SourceListConfig, quantity: str, name: str) -> str:
    """Return the unit of a column: from the settings, the file or the format, in this order."""
    if quantity in settings.units:
        return settings.units[quantity]
    in_file = table.units.get(name, "").strip()
    if in_file.lower() not in NO_UNIT:
        return in_file
    column: ListColumn | None = form.columns.get(quantity)
    is_known = column is not None and name in {table.find(column.name), table.find(column.other)}
    return column.unit if column is not None and is_known else ""


def _factor(name: str, text: str, quantity: str) -> float:
    """Return the factor that converts a column to our unit."""
    target = QUANTITIES[quantity]
    if quantity in PLAIN or text == target:
        return 1.0
    factor = _conversion(text, target)
    if factor is not None:
        return factor
    setting = f'name another by [source_lists] units = {{ {quantity} = "{target}" }}'
    if not text:
        raise SourceListError(f"column {shown(name)} ({quantity}) has no unit; {setting.replace('another', 'it')}")
    kind = "a flux density" if "Jy" in target else "a number of pixels" if target == "pix" else "an angle"
    raise SourceListError(f"column {shown(name)} ({quantity}) has the unit '{shown(text)}', not of {kind}; {setting}")


@lru_cache(1000)
def _conversion(text: str, target: str) -> float | None:
    """Return the factor between two units; None if there is none. Finders leave the beam out of Jy/beam, or add it."""
    unit, ours = _unit(text), units.Unit(target)
    if unit is None:
        return None
    for scale in (units.dimensionless_unscaled, units.beam, units.beam**-1):
        if (unit * scale).is_equivalent(ours) and (scale == units.dimensionless_unscaled or "Jy" in target):
            return float((unit * scale).to(ours))
    return None


def _unit(text: str) -> Any:  # noqa: ANN401 (a unit of astropy, or None)
    """Return a unit; None if the text is no unit."""
    try:
        return units.Unit(PLAIN_UNITS.get(text.strip().lower(), text))
    except (ValueError, TypeError, AttributeError, ArithmeticError, RecursionError):
        return None


def _steps(names: Mapping[str, str], factors: Mapping[str, float], numbers: Mapping[str, Numbers]) -> dict[str, float]:
    """Return half a unit of the last digit of columns that are printed with a fixed number of decimals."""
    return {
        quantity: abs(factor) * 0.5 * 10.0**-decimals
        for quantity, factor in factors.items()
        # A column of nothing but 0.0 is not rounded: programs print missing numbers so.
        if (decimals := numbers[names[quantity]].decimals) is not None
        and (decimals > 1 or numbers[names[quantity]].values.any())
    }


def _joined(parts: Sequence[Sequence[str]]) -> list[str]:
    """Join the parts of the names of sources."""
    return list(parts[0]) if len(parts) == 1 else [" ".join(part) for part in zip(*parts, strict=True)]
