"""Sources that show no peak of their own, but in what is left when their neighbours are taken away.

A faint source within 1.4 beam widths of a brighter one is a shoulder of that: there is no saddle to part them by.
Left unseen it pulls its neighbour's position and flux density towards itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from trap.extraction.deblend import Components
from trap.extraction.gaussian import Gaussians, Shape, fit_islands
from trap.extraction.islands import Islands, list_places
from trap.extraction.joint import fit_jointly
from trap.kernels.covariance import fit_covariances
from trap.kernels.gaussian import residuals, strongest_components

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.config import SourceExtractionConfig
    from trap.extraction.sky import Sky

    Array = NDArray[np.float64]
    Indices = NDArray[np.intp]
    Flags = NDArray[np.bool_]

__all__ = ["reveal_sources"]

TRIAL_SIGMA = 2.5
"""Height of a residual, in σ, from which on another source is tried: the fit of its neighbours has taken most of it."""
LEAST_SHARE = 0.05
"""Peak of a hidden source over the highest of its island: below, errors of the calibration look alike."""
LEAST_GAIN = 1.0
"""By how many independent σ² two beams must fit better than one ellipse: what one more parameter gains by chance."""
ELLIPSE_GROWTH = 1.3
"""Area of the ellipse that two beams are first taken for, over the beam's."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Trial:
    """Islands with one source more.

    Parameters
    ----------
    island
        (n,) — numbers of the islands.
    first
        (n + 1,) — where the sources of each start; the new one is its last.
    sources
        All of them, beam-shaped; NaN where the fit found none.
    pixels
        What they were fitted to.
    """

    island: Indices
    first: Indices
    sources: Gaussians
    pixels: Islands

    @property
    def last(self) -> Indices:
        """(n,) — numbers of the new sources."""
        return self.first[1:] - 1

    @property
    def nearest(self) -> Indices:
        """(n,) — numbers of those next to the new ones, as the beam sees it."""
        sources, counts = self.sources, np.diff(self.first)
        new = np.repeat(self.last, counts)
        u, v = sources.x - sources.x[new], sources.y - sources.y[new]
        a, b, c = sources.form.T
        distance = a * u**2 + 2 * b * u * v + c * v**2
        distance[self.last] = np.inf
        return _first_extreme(-np.nan_to_num(distance, nan=np.inf, posinf=np.inf), self.first)


def reveal_sources(
    islands: Islands,
    components: Components,
    start: Gaussians,
    *,
    sky: Sky,
    beam: Array,
    correlation: Array,
    config: SourceExtractionConfig,
) -> tuple[Components, Gaussians]:
    """Look for sources in the residuals of beam-shaped fits, until no island shows another.

    Where the highest residual of an island stands out, all its sources and a new one there are fitted jointly. The
    new one is kept if

    - its peak and that of its neighbour reach the detection threshold, in terms of the noise and of their errors;
    - it has 5 % of the island's highest peak: below, the beam and the calibration are not known that well;
    - one ellipse in place of the two, which has as many parameters, does not fit as well: so one resolved source
      stays one;
    - there is a pixel where it is the brightest.

    Parameters
    ----------
    start
        (n,) — first guesses of the components.
    beam
        (3,) pix⁻² — coefficients of its exponent.
    correlation
        Autocorrelation of the noise.

    Returns
    -------
    components
        With the sources that were found, each the last of its island.
    start
        First guesses of all: beam-shaped fits where there are any; the shapes are those given, and the beam's in
        islands where a source was found.
    """
    first = components.first
    which, given = np.arange(len(islands)), np.arange(len(start))
    _, sources = fit_jointly(Shape.BEAM, islands, which, first, start, sky=sky, beam=beam)
    n_before = components.counts
    while which.size:
        trial = _try_residuals(islands, which, components, sources, sky=sky, beam=beam)
        if not trial.island.size:
            break
        tried = islands.take(trial.island)
        owner = strongest_components(tried.offsets, tried.x, tried.y, trial.first, trial.sources.parameters)
        has_pixels = np.bincount(trial.first[tried.island] + owner, minlength=trial.first[-1]) > 0
        is_kept = np.logical_and.reduceat(has_pixels, trial.first[:-1]) & _is_kept(trial, sky, correlation, config)
        kept = np.flatnonzero(is_kept)
        which = trial.island[kept]
        given = np.insert(given, components.first[which + 1], -1)
        sources = _with_new(sources, components.first, trial, kept)
        counts, component = components.counts.copy(), components.component.copy()
        counts[which] += 1
        component[list_places(islands.offsets, which)] = owner[list_places(tried.offsets, kept)]
        components = Components(component=component, counts=counts)
    is_changed = np.repeat(components.counts > n_before, components.counts)
    start = start.take(np.maximum(given, 0))
    fitted = sources.where(np.isfinite(sources.peak), start)
    return components, replace(fitted, form=np.where(is_changed[:, np.newaxis], beam, start.form))


def _try_residuals(
    islands: Islands, which: Indices, components: Components, sources: Gaussians, *, sky: Sky, beam: Array
) -> _Trial:
    """Add a source where the residual of an island is the highest, if that stands out, and fit."""
    some, first = islands.take(which), _starts(components.counts[which])
    known = sources.take(list_places(components.first, which)).parameters
    left = residuals(some.offsets, (some.x, some.y, some.value), first, known)
    place = _first_extreme(left / some.rms, some.offsets)
    stands_out = np.flatnonzero(left[place] >= TRIAL_SIGMA * some.rms[place])
    which, place = which[stands_out], place[stands_out]
    new = np.column_stack([left[place], some.x[place], some.y[place], np.tile(beam, (place.size, 1))])
    known = sources.take(list_places(components.first, which)).parameters
    counts = components.counts[which]
    start = Gaussians.of(np.insert(known, np.cumsum(counts), new, axis=0))
    first = _starts(counts + 1)
    pixels, fitted = fit_jointly(Shape.BEAM, islands, which, first, start, sky=sky, beam=beam)
    return _Trial(island=which, first=first, sources=fitted, pixels=pixels)


def _is_kept(trial: _Trial, sky: Sky, correlation: Array, config: SourceExtractionConfig) -> Flags:
    """(n,) — whether the new sources are sources, but for having pixels."""
    sources, pixels, new, near = trial.sources, trial.pixels, trial.last, trial.nearest
    places = (pixels.x, pixels.y)
    n_free = Shape.BEAM.value
    covariance = fit_covariances(pixels.offsets, places, trial.first, sources.parameters, n_free, correlation)
    rms = sky.background.rms_at(sources.x, sources.y)
    # A covariance that could not be had is NaN, which is never reached.
    limit = config.detection_threshold * rms * np.maximum(1.0, np.sqrt(covariance[:, 0, 0]))
    reaches = sources.peak >= limit
    highest = np.maximum.reduceat(sources.peak, trial.first[:-1])
    is_better = _gain(trial) >= LEAST_GAIN * rms[new] ** 2 * correlation.sum()
    kept: Flags = reaches[new] & reaches[near] & (sources.peak[new] >= LEAST_SHARE * highest) & is_better
    return kept


def _gain(trial: _Trial) -> Array:
    """(n,) Jy²/beam² — by how much the sum of squares grows with one ellipse for the new source and its neighbour."""
    pixels = trial.pixels
    new, near = trial.sources.take(trial.last), trial.sources.take(trial.nearest)
    left = residuals(pixels.offsets, (pixels.x, pixels.y, pixels.value), trial.first, trial.sources.parameters)
    one_each = np.arange(len(new) + 1)
    both = left.copy()
    for source in (new, near):
        negative = replace(source, peak=-source.peak).parameters
        both = residuals(pixels.offsets, (pixels.x, pixels.y, both), one_each, negative)
    peak = new.peak + near.peak
    start = Gaussians(
        x=(new.peak * new.x + near.peak * near.x) / peak,
        y=(new.peak * new.y + near.peak * near.y) / peak,
        peak=peak,
        form=near.form / ELLIPSE_GROWTH,
    )
    ellipse = fit_islands(replace(pixels, value=both), np.ones(len(new), np.intp), start, Shape.FREE)
    remains = residuals(pixels.offsets, (pixels.x, pixels.y, both), one_each, ellipse.parameters)
    gain: Array = np.add.reduceat(remains**2 - left**2, pixels.offsets[:-1])
    # No ellipse is no rival.
    return np.where(np.isnan(ellipse.peak) & np.isfinite(new.peak), np.inf, gain)


def _with_new(sources: Gaussians, first: Indices, trial: _Trial, kept: Indices) -> Gaussians:
    """All sources, with the new ones that are kept and what that made of the others of their islands."""
    parameters, island = sources.parameters, trial.island[kept]
    is_new = np.zeros(len(trial.sources), bool)
    is_new[trial.last] = True
    rows = list_places(trial.first, kept)
    parameters[list_places(first, island)] = trial.sources.parameters[rows[~is_new[rows]]]
    return Gaussians.of(np.insert(parameters, first[island + 1], trial.sources.parameters[trial.last[kept]], axis=0))


def _starts(counts: Indices) -> Indices:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.intp)


def _first_extreme(values: Array, offsets: Indices) -> Indices:
    """(n,) — place of the highest value of each part of a list, the first of equal ones; the first at NaN."""
    highest = np.maximum.reduceat(values, offsets[:-1])
    is_highest = (values == np.repeat(highest, np.diff(offsets))) | np.isnan(values)
    places = np.flatnonzero(is_highest)
    return places[np.searchsorted(places, offsets[:-1])]
