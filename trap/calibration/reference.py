"""Reference."""

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
    """Sources of a reference."""

    ra: NDArray[np.float64] = column("f8", "deg", "Right ascension, ICRS.")
    dec: NDArray[np.float64] = column("f8", "deg", "Declination, ICRS.")
    ew_err: NDArray[np.float64] = column("f8", "deg", "1σ error.", default=0.0)
    ns_err: NDArray[np.float64] = column("f8", "deg", "1σ error.", default=0.0)
    f_int: NDArray[np.float64] = column("f8", "Jy", "Flux density.", default=np.nan)
    f_int_err: NDArray[np.float64] = column("f8", "Jy", "1σ error.", default=np.nan)
    row: NDArray[np.int64] = column("i8", "", "Row.", default=-1)
