"""Spectral indices of sources that are measured in several bands: S ∝ ν^α."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from trap.typing import Array


__all__ = ["spectral_index"]


def spectral_index(frequencies: Array, fluxes: Array, errors: Array) -> tuple[Array, Array]:
    """Fit a power law to the flux densities of each source.

    A straight line is fitted to ln S against ln ν, with σ(ln S) = σ_S / S; its slope and the error of
    the slope follow from weighted least squares (Bevington & Robinson 2003, eq. 6.12 and 6.21 to 6.23):

        α = Σ w (x − x̄) y / Σ w (x − x̄)²,  σ_α² = 1 / Σ w (x − x̄)²,  w = (S / σ_S)²

    Parameters
    ----------
    frequencies
        (n_bands,) Hz
    fluxes, errors
        (n_bands, n) Jy — NaN if a source was not measured; values that are not positive are left out.

    Returns
    -------
    index, error
        (n,) dimensionless — α and its 1σ error; NaN with fewer than two usable bands.
    """
    usable = (fluxes > 0) & (errors > 0) & np.isfinite(errors)
    flux = np.where(usable, fluxes, 1.0)
    weight = np.where(usable, flux / np.where(usable, errors, 1.0), 0.0) ** 2
    x = np.log(frequencies / frequencies.max(initial=1.0))[:, np.newaxis]
    total = weight.sum(axis=0)
    has_two_bands = usable.sum(axis=0) > 1
    offset = x - (weight * x).sum(axis=0) / np.where(total > 0, total, 1.0)
    spread = np.where(has_two_bands, (weight * offset**2).sum(axis=0), np.nan)
    index: Array = (weight * offset * np.log(flux)).sum(axis=0) / spread
    return index, spread**-0.5
