"""Number of peaks that noise alone makes: how many sources as high as a candidate were to be expected without any sky.

The height of a source is the S/N of its highest pixel. The number of such peaks follows from the searched area of all
images so far, and from the correlation of their noise. Noise is Gaussian in theory; negative peaks, which no source
makes in Stokes I, show whether it is so in the images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trap.catalogues import Grade

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from trap.typing import Array

__all__ = ["NoiseChance", "SearchedArea", "noise_curvature", "noise_peaks", "rank_candidates"]

BEAM_CURVATURE = 8 * np.log(2)
"""Curvature of a Gaussian at its maximum, times the product of its two full widths at half maximum."""
MIN_CORRELATION = 0.01
"""Lowest correlation of neighbouring pixels in the formula: noise with less is white."""
MAX_CHANCE = 1e-3
"""Probability of as many negative peaks by Gaussian noise, below which the noise is not Gaussian."""
DEPTH_UNIT = 2.0**-16
"""Unit of the depths of negative peaks, in σ. Their sums are exact, and do not depend on the order of the images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchedArea:
    """The area that was searched, in one image or in several, and the negative peaks in it.

    Parameters
    ----------
    n_pixels
        Number of searched pixels.
    n_beams
        Number of beams with the curvature of the noise's autocorrelation, λ n_pixels / (8 ln 2). Noise that is
        correlated like the beam has as many as the area has products of the beam's two widths.
    n_negative
        Number of negative peaks, at the detection threshold or below.
    depth
        σ — sum of their depths below the threshold.
    threshold
        σ — detection threshold.
    """

    n_pixels: int = 0
    n_beams: int = 0
    n_negative: int = 0
    depth: float = 0.0
    threshold: float = 0.0

    def __add__(self, other: SearchedArea) -> SearchedArea:
        return SearchedArea(
            n_pixels=self.n_pixels + other.n_pixels,
            n_beams=self.n_beams + other.n_beams,
            n_negative=self.n_negative + other.n_negative,
            depth=self.depth + other.depth,
            threshold=max(self.threshold, other.threshold),
        )

    @classmethod
    def measured(cls, n_pixels: int, correlation: Array, depths: Array, *, threshold: float) -> SearchedArea:
        """Describe the searched area of an image.

        Parameters
        ----------
        n_pixels
            Number of searched pixels.
        correlation
            (2 m + 1, 2 m + 1) — autocorrelation of the noise at lags -m to m pixels, m at least 1.
        depths
            (n,) σ — depths of the negative peaks below the threshold.
        threshold
            σ — detection threshold.
        """
        return cls(
            n_pixels=n_pixels,
            n_beams=round(n_pixels * noise_curvature(correlation) / BEAM_CURVATURE),
            n_negative=len(depths),
            depth=float(np.rint(depths / DEPTH_UNIT).sum() * DEPTH_UNIT),
            threshold=threshold,
        )

    @property
    def curvature(self) -> float:
        """λ, pix⁻²: mean curvature of the autocorrelation of the noise at its maximum."""
        return float(BEAM_CURVATURE) * self.n_beams / max(self.n_pixels, 1)

    @property
    def expected_negative(self) -> float:
        """Number of negative peaks that Gaussian noise makes."""
        return float(noise_peaks(self.threshold, self))

    @property
    def has_wide_tails(self) -> bool:
        """Whether there are significantly more negative peaks than Gaussian noise makes."""
        return self.n_negative > 0 and _chance_of(self.n_negative, self.expected_negative) < MAX_CHANCE


def noise_curvature(correlation: Array) -> float:
    """Compute the curvature of an autocorrelation at its maximum: the root of the determinant of its Hesse matrix.

    The logarithm of the correlation is taken as quadratic from each pixel to its neighbours, as for a Gaussian.

    Parameters
    ----------
    correlation
        (2 m + 1, 2 m + 1) — at lags -m to m pixels along y and x, with m at least 1.

    Returns
    -------
    pix⁻²
    """
    m = correlation.shape[0] // 2
    along_x, along_y, rising, falling = np.log(
        np.maximum(
            [correlation[m, m + 1], correlation[m + 1, m], correlation[m + 1, m + 1], correlation[m - 1, m + 1]],
            MIN_CORRELATION,
        )
    )
    determinant = 4 * along_x * along_y - ((falling - rising) / 2) ** 2
    return float(np.sqrt(max(determinant, 0.0)))


def noise_peaks(height: ArrayLike, area: SearchedArea) -> Array:
    """Compute the expected number of pixels that Gaussian noise lifts to a height, each the highest of its peak.

    A pixel exceeds the height u with the probability Q(u). A high peak of height p has the form of the autocorrelation,
    p exp(-λ d²/2) at the distance d; it exceeds u at the highest pixel and not at its neighbours with the share
    erf²(u √(λ/8)) of the pixels above u. For a small λ the product becomes λ u exp(-u²/2) / (2π)^(3/2) per pixel, the
    density of high peaks of a Gaussian random field (Bond & Efstathiou 1987, sect. 4); for a large one, Q(u).

    Parameters
    ----------
    height
        (n,) σ — heights, at least 3 for the formula to hold.
    area
        Searched area.

    Returns
    -------
    (n,)
    """
    u, width = np.asarray(height, float), math.sqrt(area.curvature / 8)
    # A loop is affordable, since candidates are few. Queries of results start sooner without SciPy.
    shares = [math.erfc(one / math.sqrt(2)) / 2 * math.erf(one * width) ** 2 for one in u.ravel().tolist()]
    return area.n_pixels * np.array(shares).reshape(u.shape)


def _chance_of(n: int, mean: float) -> float:
    """Return the probability of ``n`` or more events of a Poisson process; 1 if there are no more than the mean."""
    if n <= mean:
        return 1.0
    if mean <= 0:
        return 0.0
    chance, term, k = 0.0, math.exp(n * math.log(mean) - mean - math.lgamma(n + 1)), n
    while term > chance * np.finfo(float).eps:
        chance, k = chance + term, k + 1
        term *= mean / k
    return chance


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseChance:
    """The chance of noise in one image: expected numbers of peaks, and grades of candidates.

    Parameters
    ----------
    image
        Searched area of the image.
    so_far
        Searched area of all accepted images of its band and Stokes parameter, up to and including this one.
    """

    image: SearchedArea = SearchedArea()
    so_far: SearchedArea = SearchedArea()

    def peaks(self, height: ArrayLike, *, has_negative_sources: bool) -> Array:
        """Compute the number of noise peaks at least as high, expected in all images so far.

        If negative peaks are significantly more than Gaussian noise makes, heights of positive peaks are taken to be
        distributed like their depths: they fall off exponentially beyond the threshold, by e per mean depth. The larger
        of this number and that of Gaussian noise is returned.

        Parameters
        ----------
        height
            (n,) σ — absolute heights.
        has_negative_sources
            Whether the images were searched for negative sources too. Both signs count then, and negative peaks do not
            show the noise.
        """
        gaussian = noise_peaks(height, self.so_far)
        if has_negative_sources:
            return 2 * gaussian
        if not self.so_far.has_wide_tails:
            return gaussian
        n, mean_depth = self.so_far.n_negative, max(self.so_far.depth / self.so_far.n_negative, DEPTH_UNIT)
        beyond = np.maximum(np.asarray(height, float) - self.so_far.threshold, 0.0)
        wide: Array = np.maximum(gaussian, n * np.exp(-beyond / mean_depth))
        return wide

    def grades(self, peaks: ArrayLike, max_false: float) -> NDArray[np.int16]:
        """Grade candidates by the expected numbers of noise peaks: likely, or possible.

        A candidate of the k-th image is likely if its number is at most ``max_false`` / (1 + ln k)². The k-th of equal
        images has the share 1/k of the area, so that the expected number of false candidates among the likely ones of
        all images is below max_false · Σ 1 / (k (1 + ln k)²), from k = 2 on, as nothing is new in the first image. This
        sum is less than 1 for any number of images.

        Parameters
        ----------
        peaks
            (n,) — numbers from :meth:`peaks`.
        max_false
            Largest expected number of false candidates.
        """
        n_images = self.so_far.n_pixels / max(self.image.n_pixels, 1)
        limit = max_false / (1 + np.log(max(n_images, 1.0))) ** 2
        return np.where(np.asarray(peaks) <= limit, int(Grade.LIKELY), int(Grade.POSSIBLE)).astype(np.int16)


def rank_candidates(grade: ArrayLike, noise_peaks: ArrayLike, newness: ArrayLike) -> NDArray[np.intp]:
    """Order candidates: likely ones first, then by the expected number of noise peaks, then by newness.

    Candidates of earlier versions, which have no grade, are the last.

    Parameters
    ----------
    grade, noise_peaks
        (n,) — NaN if there is none.
    newness
        (n,) σ

    Returns
    -------
    (n,) — rows in the order of rank; equal candidates keep their order.
    """
    grades, peaks, sigma = (np.asarray(values, float) for values in (grade, noise_peaks, newness))
    keys = (-np.nan_to_num(sigma, nan=-np.inf), np.nan_to_num(peaks, nan=np.inf), -np.nan_to_num(grades, nan=-1.0))
    return np.lexsort(keys)
