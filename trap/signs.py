"""Signs of artefacts: numbers of a transient candidate that show how an image may have made it.

They are columns of the candidates. No sign deletes a candidate; all together give the score that orders them. Distances
are in beams: in units of the full width at half maximum of the beam along their direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trap.tables import ColumnTable, column

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import NDArray

    from trap.typing import Columns

__all__ = ["Signs"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Signs(ColumnTable):
    """Signs of artefacts of transient candidates; NaN marks a sign that could not be measured."""

    score: NDArray[np.float64] = column(
        "f8", "", "Score from 0, an artefact or a peak of noise, to 1, a transient.", default=np.nan
    )
    bright_ratio: NDArray[np.float64] = column(
        "f8",
        "",
        "Peak of the source of the image whose sidelobes endanger the candidate most, over the peak of the candidate.",
        default=np.nan,
    )
    bright_distance: NDArray[np.float64] = column("f8", "", "Distance to that source, in beams.", default=np.nan)
    brightest_ratio: NDArray[np.float64] = column(
        "f8", "", "Peak of the brightest source of the image over the peak of the candidate.", default=np.nan
    )
    brightest_distance: NDArray[np.float64] = column(
        "f8", "", "Distance to the brightest source, in beams.", default=np.nan
    )
    ring_sigma: NDArray[np.float64] = column(
        "f8",
        "",
        "Peak of the candidate in units of the rms of the pixels at its distance from the bright source.",
        default=np.nan,
    )
    mirror_ratio: NDArray[np.float64] = column(
        "f8",
        "",
        "Strongest pixel at the mirrored place beyond the bright source, over the peak of the candidate; signed.",
        default=np.nan,
    )
    negative_ratio: NDArray[np.float64] = column(
        "f8",
        "",
        "Depth of the deepest pixel of opposite sign within three beams, over the peak of the candidate.",
        default=np.nan,
    )
    negative_distance: NDArray[np.float64] = column("f8", "", "Distance to that pixel, in beams.", default=np.nan)
    edge_distance: NDArray[np.float64] = column(
        "f8",
        "",
        "Distance to the edge of the searched area, or to a pixel without a value within five beams, in beams.",
        default=np.nan,
    )
    beam_areas: NDArray[np.float64] = column(
        "f8", "", "Fitted area in units of the beam's: integrated over peak flux density.", default=np.nan
    )
    shape_sigma: NDArray[np.float64] = column(
        "f8", "", "Significance of that area: negative if it is smaller than the beam, in σ.", default=np.nan
    )
    n_in_image: NDArray[np.float64] = column(
        "f8", "", "Number of candidates in the image, this one included.", default=np.nan
    )
    absent_sigma: NDArray[np.float64] = column(
        "f8",
        "",
        "Significance of being absent from another band of the same time, for any plausible spectrum, in σ.",
        default=np.nan,
    )
    local_gain: NDArray[np.float64] = column(
        "f8", "", "Relative brightening of the steady sources around it in this image.", default=np.nan
    )
    local_gain_sigma: NDArray[np.float64] = column(
        "f8", "", "Significance of local_gain, in σ; signed.", default=np.nan
    )

    @classmethod
    def of_columns(cls, columns: Columns, n: int) -> Self:
        """Take the signs from columns of candidates; missing columns, and None, give NaN.

        Parameters
        ----------
        columns
            (n,) values by name.
        n
            Number of candidates.
        """
        return cls(**{name: np.asarray(columns.get(name, np.full(n, np.nan)), float) for name in cls.columns()})
