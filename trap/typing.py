"""Types that many modules share: arrays named by their content, header cards, and callbacks that report progress."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Card", "Columns", "Ids", "Indices", "Map", "Progress"]

Array = NDArray[np.float64]
"""Numbers in double precision: positions, flux densities, figures."""
Map = NDArray[np.float32]
"""(ny, nx) values of the pixels of an image."""
Indices = NDArray[np.intp]
"""Rows of a table, or places in a list."""
Ids = NDArray[np.int64]
"""Numbers of rows in the database."""
Columns = Mapping[str, NDArray[Any]]
"""A table as columns of equal length, by name."""
Card = tuple[str, Any]
"""Keyword and value of a card of a FITS header."""


class Progress(Protocol):
    """A callback that reports the progress of long work."""

    def __call__(self, n_done: int, n_total: int, what: str = ..., /) -> None:
        """Show the progress.

        Parameters
        ----------
        n_done
            Number of items that are done.
        n_total
            Number of all items.
        what
            Name of the items; by default the name that the receiver of the callback chooses.
        """
