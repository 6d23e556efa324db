"""Sources without a peak of their own: they appear in the residuals when their neighbours are subtracted.

A faint source within 1.4 beam widths of a brighter one is a shoulder of it, and no saddle separates the two. A source
that is not found there distorts the position and the flux density of its neighbour.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from trap.extraction.deblend import Components
from trap.extraction.gaussian import Gaussians, Shape, fit_islands
from trap.extraction.islands import list_places
from trap.extraction.joint import JointFit, fit_jointly
from trap.kernels.gaussian import residuals, strongest_components

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.config import SourceExtractionConfig
    from trap.extraction.field import Field
    from trap.extraction.islands import Islands
    from trap.typing import Array, Indices

    Flags = NDArray[np.bool_]

__all__ = ["reveal_sources"]

TRIAL_SIGMA = 3.0
"""Height of a residual, in σ, above which a source is tried there. The fit of its neighbours absorbs most of it."""
MIN_PEAK_SHARE = 0.05
"""Peak of a hidden source over the highest peak of its island. Calibration errors make fainter residuals."""
MIN_GAIN = 1.0
"""Reduction of χ², in independent σ², by two beams instead of one ellipse: the gain of a parameter by chance."""
ELLIPSE_GROWTH = 1.3
"""Area of the ellipse that replaces two beams in the first guess, over the area of the beam."""


def reveal_sources(
    islands: Islands, components: Components, fit: JointFit, *, field: Field, config: SourceExtractionConfig
) -> tuple[Components, list[JointFit]]:
    """Add sources at the residuals of beam-shaped fits, until no island shows another.

    If the highest residual of an island stands out, a source is placed there and fitted jointly with all sources of the
    island. The new source is kept if

    - its peak and its neighbour's peak reach the detection threshold, in terms of the noise and of their errors;
    - it has 5 % of the island's highest peak: beam and calibration are not more precise than that;
    - one ellipse in place of the two, which has as many parameters, fits worse: so one resolved source stays one;
    - there is a pixel where it is the brightest source.

    Parameters
    ----------
    islands
        All islands of the field.
    components
        Their components.
    fit
        Beam-shaped fit of all components of all islands.
    field
        The field with all islands masked, see :func:`~trap.extraction.islands.fitted_pixels`.
    config
        Settings of the detection threshold.

    Returns
    -------
    components
        With the new sources; each is the last component of its island.
    fits
        Fits of all islands. Each island is in one of them.
    """
    fits = [fit]
    while fits[-1].which.size:
        trial = _with_another(islands, fits[-1], field)
        # The fastest test comes first.
        trial = trial.take(np.flatnonzero(_is_high(trial, field, config)))
        trial = trial.take(np.flatnonzero(_is_no_ellipse(trial, field)))
        trial = trial.take(np.flatnonzero(_is_certain(trial, field, config)))
        owner, has_pixels = _owners(trial, islands)
        trial = trial.take(np.flatnonzero(has_pixels))
        components = _with_owners(components, islands, trial, owner)
        fits = [other.take(np.flatnonzero(~np.isin(other.which, trial.which))) for other in fits]
        fits.append(trial)
    return components, fits


def _with_another(islands: Islands, fit: JointFit, field: Field) -> JointFit:
    """Add a source at the highest residual of each island, if it stands out, and fit these islands again."""
    pixels = islands.take(fit.which)
    residual = residuals(pixels.offsets, (pixels.x, pixels.y, pixels.value), fit.first, fit.sources.parameters)
    place = _first_highest(residual / pixels.rms, pixels.offsets)
    stands_out = np.flatnonzero(residual[place] >= TRIAL_SIGMA * pixels.rms[place])
    place, old = place[stands_out], fit.take(stands_out)
    beams = field.beam_at(pixels.x[place], pixels.y[place])
    new = np.column_stack([residual[place], pixels.x[place], pixels.y[place], beams])
    # Behind the last component of each island.
    start = Gaussians.from_parameters(np.insert(old.sources.parameters, old.first[1:], new, axis=0))
    first = old.first + np.arange(old.first.size)
    return fit_jointly(Shape.BEAM, islands, old.which, first, start, field=field)


def _is_high(trial: JointFit, field: Field, config: SourceExtractionConfig) -> Flags:
    """Return whether new source and neighbour reach the threshold, and whether the new one is bright enough: (n,)."""
    sources, new, near = trial.sources, *_pairs(trial)
    reaches = sources.peak >= config.detection_threshold * field.background.rms_at(sources.x, sources.y)
    highest = np.maximum.reduceat(sources.peak, trial.first[:-1])
    is_high: Flags = reaches[new] & reaches[near] & (sources.peak[new] >= MIN_PEAK_SHARE * highest)
    return is_high


def _is_certain(trial: JointFit, field: Field, config: SourceExtractionConfig) -> Flags:
    """Return whether new source and neighbour reach the threshold in terms of the errors of their joint fit: (n,)."""
    sources, new, near = trial.sources, *_pairs(trial)
    errors = field.background.rms_at(sources.x, sources.y) * np.sqrt(trial.covariances(field.correlation)[:, 0, 0])
    reaches = sources.peak >= config.detection_threshold * errors
    is_certain: Flags = reaches[new] & reaches[near]
    return is_certain


def _is_no_ellipse(trial: JointFit, field: Field) -> Flags:
    """Return whether new source and neighbour fit better than one ellipse in their place: (n,)."""
    pixels, sources = trial.pixels, trial.sources
    new, near = (sources.take(rows) for rows in _pairs(trial))
    residual = residuals(pixels.offsets, (pixels.x, pixels.y, pixels.value), trial.first, sources.parameters)
    # Subtracting sources of negative peak adds the two to the residuals again, without the island's other sources.
    pair, one_each = residual, np.arange(len(new) + 1)
    for source in (new, near):
        hole = source.with_columns(peak=-source.peak).parameters
        pair = residuals(pixels.offsets, (pixels.x, pixels.y, pair), one_each, hole)
    ellipse = fit_islands(replace(pixels, value=pair), np.ones(len(new), np.intp), _merged(new, near), Shape.FREE)
    ellipse_residual = residuals(pixels.offsets, (pixels.x, pixels.y, pair), one_each, ellipse.parameters)
    gain = np.add.reduceat(ellipse_residual**2 - residual**2, pixels.offsets[:-1])
    rms = field.background.rms_at(new.x, new.y)
    # An ellipse whose fit did not converge is no alternative.
    is_better: Flags = np.isnan(gain) | (gain >= MIN_GAIN * rms**2 * field.correlation.sum())
    return is_better


def _merged(one: Gaussians, other: Gaussians) -> Gaussians:
    """Make the first guess of a single ellipse for two beams."""
    peak = one.peak + other.peak
    x = (one.peak * one.x + other.peak * other.x) / peak
    y = (one.peak * one.y + other.peak * other.y) / peak
    return Gaussians(x=x, y=y, peak=peak, form=one.form / ELLIPSE_GROWTH)


def _pairs(trial: JointFit) -> tuple[Indices, Indices]:
    """Return the rows of the new sources, and the row of the nearest source of each, in units of the beam."""
    sources, counts = trial.sources, np.diff(trial.first)
    # A new source is the last one of its island.
    new = trial.first[1:] - 1
    centre = np.repeat(new, counts)
    u, v = sources.x - sources.x[centre], sources.y - sources.y[centre]
    a, b, c = sources.form.T
    nearness = -np.nan_to_num(a * u**2 + 2 * b * u * v + c * v**2, nan=np.inf)
    # The new source itself is excluded.
    nearness[new] = -np.inf
    return new, _first_highest(nearness, trial.first)


def _owners(trial: JointFit, islands: Islands) -> tuple[Indices, Flags]:
    """Assign pixels to the brightest source there; return also whether all sources of an island have pixels, (n,)."""
    pixels, first = islands.take(trial.which), trial.first
    owner = strongest_components(pixels.offsets, pixels.x, pixels.y, first, trial.sources.parameters)
    n_pixels = np.bincount(first[pixels.island] + owner, minlength=first[-1])
    has_pixels: Flags = np.minimum.reduceat(n_pixels, first[:-1]) > 0
    return owner[np.repeat(has_pixels, pixels.sizes)], has_pixels


def _with_owners(components: Components, islands: Islands, trial: JointFit, owner: Indices) -> Components:
    """Replace the components of the islands of a trial by its sources."""
    counts, component = components.counts.copy(), components.component.copy()
    counts[trial.which] = np.diff(trial.first)
    component[list_places(islands.offsets, trial.which)] = owner
    return Components(component=component, counts=counts)


def _first_highest(values: Array, offsets: Indices) -> Indices:
    """Return the place of the highest value of each part of a list: the first of equal values, or the first NaN."""
    highest = np.maximum.reduceat(values, offsets[:-1])
    places = np.flatnonzero((values == np.repeat(highest, np.diff(offsets))) | np.isnan(values))
    # The first of these places from the start of each part on.
    return places[np.searchsorted(places, offsets[:-1])]
