"""Which detection threshold lets through no more than a given share of false pixels: FDR.

A fixed number of σ bounds the chance that one pixel of noise is taken for a source. The false
discovery rate bounds the share of noise among all that is found, and so falls with the
number of sources there are (Benjamini & Hochberg 1995; Hopkins et al. 2002, AJ 123, 1086).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import log_ndtr, ndtri

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["correlation_factor", "fdr_threshold"]


def correlation_factor(beam_area: float) -> float:
    """C_n, by which correlated noise makes the test stricter: Σ 1/i up to the pixels of a beam.

    Hopkins et al. (2002), eq. 4, after Benjamini & Yekutieli (2001): each pixel is correlated with
    about as many as an ellipse has whose axes are the beam's widths at half maximum (TF: ¼π θ_B θ_b).

    Parameters
    ----------
    beam_area
        pix — area of that ellipse; below 1.5 the noise counts as independent.
    """
    n_correlated = max(1, round(beam_area))
    return float((1.0 / np.arange(1, n_correlated + 1)).sum())


def fdr_threshold(significance: NDArray[Any], *, alpha: float, beam_area: float) -> float:
    """Significance from which on at most a share ``alpha`` of the pixels is expected to be noise.

    The pixels are put in order of their chance p of being noise; the last one, of rank j among N,
    for which p < (α/C_n) (j/N) sets the threshold. The share is one of pixels: of the sources, two to
    three times as many are false, as those are smaller than true ones.

    p is the upper tail of a Gaussian. (PySE takes its density instead, of the square of the
    significance: 5 σ has 1.5e-6 there and 2.9e-7 here, and deep negative pixels, which are never
    sources, lower its threshold for the positive ones.)

    Parameters
    ----------
    significance
        Any shape — brightness over local noise; NaN where it does not count.
    alpha
        Between 0 and 1.
    beam_area
        pix — see :func:`correlation_factor`.

    Returns
    -------
    float
        In σ; infinite where not a single pixel can be told from noise.

    Raises
    ------
    ValueError
        If ``alpha`` is not between 0 and 1.
    """
    if not 0 < alpha < 1:
        msg = f"alpha must lie between 0 and 1, got {alpha}"
        raise ValueError(msg)
    counted = significance[np.isfinite(significance)]
    share = alpha / correlation_factor(beam_area)
    # Nothing below can pass, even as the last in order.
    candidates = np.sort(counted[counted > -ndtri(share)])[::-1]
    limit = np.log(share) + np.log(np.arange(1, candidates.size + 1) / max(counted.size, 1))
    # In logarithms, as p underflows beyond 38 σ.
    passing = np.flatnonzero(log_ndtr(-candidates.astype(float)) < limit)
    return float(candidates[passing[-1]]) if passing.size else float("inf")
