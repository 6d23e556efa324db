"""TraP's ``prettyprint`` step: the transients of a dataset as a table of text."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

from trap.report.summary import transients_table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from numpy.typing import NDArray

__all__ = ["prettyprint"]


def prettyprint(transients: Mapping[str, NDArray[Any]], stream: TextIO | None = None) -> None:
    """Print transient candidates as a table, in the given order.

    TraP's function logged the attributes of objects that no part of TraP created any more.

    Parameters
    ----------
    transients
        Columns as :func:`trap.db.lightcurves.transients` returns them.
    stream
        Output; None for standard output.
    """
    print(transients_table(transients), file=sys.stdout if stream is None else stream)
