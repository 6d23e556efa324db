"""The detection threshold that limits the false discovery rate (FDR).

A fixed number of σ limits the probability that a pixel of noise is detected. The false discovery
rate limits the share of noise among all detected pixels, so its threshold falls with the number of
sources in the image (Benjamini & Hochberg 1995; Hopkins et al. 2002, AJ 123, 1086).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import log_ndtr, ndtri

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["correlation_factor", "fdr_threshold"]


def correlation_factor(beam_area: float) -> float:
    """Compute C_n = Σ 1/i, i = 1 … n, which makes the test stricter for correlated noise.

    Hopkins et al. (2002), eq. 4, after Benjamini & Yekutieli (2001). A pixel is correlated with about
    n pixels, the area of the ellipse whose axes are the full widths of the beam at half maximum
    (TF: ¼π θ_B θ_b).

    Parameters
    ----------
    beam_area
        pix — area of the ellipse. Below 1.5 the noise counts as independent.
    """
    n_correlated = max(1, round(beam_area))
    return float((1.0 / np.arange(1, n_correlated + 1)).sum())


def fdr_threshold(significance: NDArray[Any], *, alpha: float, beam_area: float) -> float:
    """Find the threshold above which a share ``alpha`` of the pixels, at most, is expected to be noise.

    The pixels are sorted by the probability p that noise is as bright. The last pixel with
    p < (α/C_n) (j/N), for rank j among N, sets the threshold. The share counts pixels: among sources
    it is two to three times higher, since false sources are smaller than true ones.

    p is the upper tail of a Gaussian. (PySE uses the density of the square of the significance
    instead: 1.5e-6 at 5 σ, where the tail has 2.9e-7. There deep negative pixels, which are never
    sources, lower the threshold for positive ones.)

    Parameters
    ----------
    significance
        Any shape, σ — brightness over local noise; NaN is ignored.
    alpha
        Limit of the false discovery rate, between 0 and 1.
    beam_area
        pix — area of the beam's ellipse, see :func:`correlation_factor`.

    Returns
    -------
    float
        Threshold in σ; infinite if no pixel passes.

    Raises
    ------
    ValueError
        If ``alpha`` is not between 0 and 1.
    """
    if not 0 < alpha < 1:
        msg = f"alpha must lie between 0 and 1, got {alpha}"
        raise ValueError(msg)
    valid = significance[np.isfinite(significance)]
    max_probability = alpha / correlation_factor(beam_area)
    # A pixel with a higher p cannot pass, even with the last rank, so it need not be sorted.
    candidates = np.sort(valid[valid > -ndtri(max_probability)])[::-1]
    ranks = np.arange(1, candidates.size + 1)
    # In logarithms, as p underflows beyond 38 σ.
    limit = np.log(max_probability) + np.log(ranks / max(valid.size, 1))
    passing = np.flatnonzero(log_ndtr(-candidates.astype(float)) < limit)
    return float(candidates[passing[-1]]) if passing.size else float("inf")
