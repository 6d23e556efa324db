"""The sources that images are calibrated against: entries of the running catalogue, or rows of a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trap.tables import ColumnTable, column

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Reference"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reference(ColumnTable):
    """Sources with the positions and flux densities that images are compared with."""

    ra: NDArray[np.float64] = column("f8", "deg", "Right ascension, ICRS.")
    dec: NDArray[np.float64] = column("f8", "deg", "Declination, ICRS.")
    ew_err: NDArray[np.float64] = column(
        "f8", "deg", "1σ error of the position along right ascension, a true angle; 0 if unknown.", default=0.0
    )
    ns_err: NDArray[np.float64] = column(
        "f8", "deg", "1σ error of the position along declination; 0 if unknown.", default=0.0
    )
    f_int: NDArray[np.float64] = column("f8", "Jy", "Integrated flux density; NaN if unknown.", default=np.nan)
    f_int_err: NDArray[np.float64] = column(
        "f8", "Jy", "1σ error of the flux density; 0 if only the error is unknown, NaN if both are.", default=np.nan
    )
    row: NDArray[np.int64] = column(
        "i8", "", "Row of the running catalogue or of the file; -1 if there is none.", default=-1
    )
