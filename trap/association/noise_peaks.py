"""Number of peaks that noise alone makes: how many sources as high as a candidate were to be expected without any sky.

The height of a source is the S/N of its highest pixel. The number of such peaks follows from the searched area of all
images so far, and from the correlation of their noise. Noise is Gaussian in theory; negative peaks, which no source
makes in Stokes I, show whether it is so in the images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from trap.association.negative_peaks import MAX_CHANCE, NegativePeaks, chance_of, tail
from trap.catalogues import Grade

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from trap.association.negative_peaks import PeakSums
    from trap.typing import Array

__all__ = ["NoiseChance", "SearchedArea", "noise_curvature", "noise_peaks", "rank_candidates"]

BEAM_CURVATURE = 8 * np.log(2)
"""Curvature of a Gaussian at its maximum, times the product of its two full widths at half maximum."""
CELL_SCATTER = 1.4 * math.pi / 36
"""Relative variance of the median of nine noises, each of one independent value: that of a standard deviation, 1/2,
times 1.4 for clipping (:data:`trap.extraction.background.CLIP_LOSS`), times π/18 for the median."""
MAX_SCATTER = 0.25
"""Largest u²ε² in the formula."""
MIN_CORRELATION = 0.01
"""Lowest correlation of neighbouring pixels in the formula: noise with less is white."""


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
    threshold
        σ — detection threshold.
    cell_pixels
        Number of pixels in a cell of the mesh that the noise is measured in; 0 for noise that is known.
    """

    n_pixels: int = 0
    n_beams: int = 0
    n_negative: int = 0
    threshold: float = 0.0
    cell_pixels: int = 0

    def __add__(self, other: SearchedArea) -> SearchedArea:
        return SearchedArea(
            n_pixels=self.n_pixels + other.n_pixels,
            n_beams=self.n_beams + other.n_beams,
            n_negative=self.n_negative + other.n_negative,
            threshold=max(self.threshold, other.threshold),
            # The settings give a dataset one size. Of the images that are smaller than a cell, the largest counts.
            cell_pixels=max(self.cell_pixels, other.cell_pixels),
        )

    @classmethod
    def measured(
        cls, n_pixels: int, correlation: Array, *, n_negative: int, threshold: float, cell_pixels: int = 0
    ) -> SearchedArea:
        """Describe the searched area of an image.

        Parameters
        ----------
        n_pixels
            Number of searched pixels.
        correlation
            (2 m + 1, 2 m + 1) — autocorrelation of the noise at lags -m to m pixels, m at least 1.
        n_negative
            Number of negative peaks.
        threshold
            σ — detection threshold.
        cell_pixels
            Number of pixels in a cell of the mesh of the noise.
        """
        return cls(
            n_pixels=n_pixels,
            n_beams=round(n_pixels * noise_curvature(correlation) / BEAM_CURVATURE),
            n_negative=n_negative,
            threshold=threshold,
            cell_pixels=cell_pixels,
        )

    @property
    def curvature(self) -> float:
        """λ, pix⁻²: mean curvature of the autocorrelation of the noise at its maximum."""
        return float(BEAM_CURVATURE) * self.n_beams / max(self.n_pixels, 1)

    @property
    def noise_variance(self) -> float:
        """Relative variance of the measured noise: of the median of nine cells, each with few independent values."""
        if not (self.cell_pixels and self.n_beams):
            return 0.0
        # The sum of the squared correlation is the number of pixels in an independent value of the variance.
        return CELL_SCATTER * max(math.pi / self.curvature, 1.0) / self.cell_pixels

    @property
    def expected_negative(self) -> float:
        """Number of negative peaks that Gaussian noise makes."""
        return float(noise_peaks(self.threshold, self))

    @property
    def has_wide_tails(self) -> bool:
        """Whether there are significantly more negative peaks than Gaussian noise makes."""
        return self.n_negative > 0 and chance_of(self.n_negative, self.expected_negative) < MAX_CHANCE


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

    Heights are in units of a measured noise, which has the relative variance ε². The mean of its inverse square is
    right, so that its own mean is too high by 3/2 ε². On average over a Gaussian scatter there are

        exp(u⁴ε² / 2(1 + u²ε²) - 3/2 u²ε²) / √(1 + u²ε²)

    times as many peaks, 1.1 times at 5 σ for a beam of 4 pixels and cells of 50 pixels. u²ε² is limited to 1/4: noise
    is not too low by many ε.

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
    peaks = area.n_pixels * np.array(shares).reshape(u.shape)
    scatter = np.minimum(u**2 * area.noise_variance, MAX_SCATTER)
    # Added to the logarithm of the peaks, of which there are none at great heights.
    more = u**2 * scatter / (2 * (1 + scatter)) - 1.5 * scatter - np.log1p(scatter) / 2
    is_any = peaks > 0
    scattered: Array = np.exp(np.log(np.where(is_any, peaks, 1.0)) + np.where(is_any, more, -np.inf))
    return scattered


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseChance:
    """The chance of noise in one image: expected numbers of peaks, and grades of candidates.

    Parameters
    ----------
    image
        Searched area of the image.
    so_far
        Searched area of all accepted images of its band and Stokes parameter, up to and including this one.
    negative
        Negative peaks of the image.
    pixel_area
        deg² — area of a pixel.
    """

    image: SearchedArea = field(default_factory=SearchedArea)
    so_far: SearchedArea = field(default_factory=SearchedArea)
    negative: NegativePeaks = field(default_factory=NegativePeaks.empty)
    pixel_area: float = 0.0

    @property
    def n_images(self) -> float:
        """Number of images of this size that the searched areas so far make up, at least 1."""
        return max(self.so_far.n_pixels / max(self.image.n_pixels, 1), 1.0)

    def peaks(
        self, height: ArrayLike, ra: ArrayLike, dec: ArrayLike, *, n_looks: ArrayLike, negative: PeakSums | None
    ) -> Array:
        """Compute the number of noise peaks at least as high, expected in all images so far.

        Where negative peaks are significantly more than Gaussian noise makes, heights of positive peaks are taken to be
        distributed like their depths, see :func:`~trap.association.negative_peaks.tail`. This holds for positions among
        too many negative peaks, and for all positions if the rest of the field has too many.

        Parameters
        ----------
        height
            (n,) σ — absolute heights.
        ra, dec
            (n,) deg — their positions.
        n_looks
            (n,) — number of earlier images of each position; 0 if it is unknown.
        negative
            Negative peaks of all images so far; None if the images were searched for negative sources too. Both signs
            count then, and negative peaks do not show the noise.
        """
        gaussian = noise_peaks(height, self.so_far)
        if negative is None:
            return 2 * gaussian
        if not len(negative.tile) or not self.pixel_area:
            return gaussian
        beyond = np.asarray(height, float) - self.so_far.threshold
        expected, image_area = self.so_far.expected_negative, self.image.n_pixels * self.pixel_area
        n, depth = negative.unclustered(expected / image_area)
        peaks = np.maximum(gaussian, tail(n, depth, beyond) if chance_of(n, expected) < MAX_CHANCE else 0.0)
        looks = np.where(np.asarray(n_looks) > 0, np.asarray(n_looks) + 1.0, self.n_images)
        # The number of images cancels out: so many looks at the density of one image.
        density = expected / (image_area * self.n_images) * looks
        n_near, depth_near, n_expected = negative.around(ra, dec, density=density)
        is_among = [
            chance_of(round(number), mean) < MAX_CHANCE
            for number, mean in zip(n_near.tolist(), n_expected.tolist(), strict=True)
        ]
        artefacts: Array = np.where(np.array(is_among, bool), tail(n_near, depth_near, beyond), 0.0)
        return peaks + artefacts

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
        limit = max_false / (1 + math.log(self.n_images)) ** 2
        return np.where(np.asarray(peaks) <= limit, int(Grade.LIKELY), int(Grade.POSSIBLE)).astype(np.int16)


def rank_candidates(score: ArrayLike, grade: ArrayLike, noise_peaks: ArrayLike, newness: ArrayLike) -> NDArray[np.intp]:
    """Order candidates: by score, then likely ones first, then by the expected number of noise peaks, then by newness.

    Candidates of earlier versions, which have no score, are the last.

    Parameters
    ----------
    score, grade, noise_peaks
        (n,) — NaN if there is none.
    newness
        (n,) σ

    Returns
    -------
    (n,) — rows in the order of rank; equal candidates keep their order.
    """
    scores, grades, peaks, sigma = (np.asarray(values, float) for values in (score, grade, noise_peaks, newness))
    last = (-np.nan_to_num(sigma, nan=-np.inf), np.nan_to_num(peaks, nan=np.inf))
    return np.lexsort((*last, -np.nan_to_num(grades, nan=-1.0), -np.nan_to_num(scores, nan=-1.0)))
