"""Sources that show no peak of their own, but in what is left when their neighbours are taken away.

A faint source within 1.4 beam widths of a brighter one is a shoulder of that: there is no saddle to part them by.
Left unseen it pulls its neighbour's position and flux density towards itself.
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
"""Height of a residual, in σ, from which on another source is tried: the fit of its neighbours has taken most of it."""
LEAST_SHARE = 0.05
"""Peak of a hidden source over the highest of its island: below, errors of the calibration look alike."""
LEAST_GAIN = 1.0
"""By how many independent σ² two beams must fit better than one ellipse: what one more parameter gains by chance."""
ELLIPSE_GROWTH = 1.3
"""Area of the ellipse that two beams are first taken for, over the beam's."""


def reveal_sources(
    islands: Islands,
    components: Components,
    fit: JointFit,
    *,
    field: Field,
    config: SourceExtractionConfig,
) -> tuple[Components, list[JointFit]]:
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
    fit
        Beam-shaped, of all components of all islands.
    field
        With all islands of the image masked, see :func:`~trap.extraction.islands.fitted_pixels`.
    config
        Settings of the thresholds.

    Returns
    -------
    components
        With the sources that were found, each the last of its island.
    fits
        Of all islands, each in one of them.
    """
    fits = [fit]
    while fits[-1].which.size:
        trial = _with_another(islands, fits[-1], field)
        # What is quick to say comes first.
        for is_source in (_is_high, _is_no_ellipse, _is_certain):
            trial = trial.take(np.flatnonzero(is_source(trial, field, config)))
        owner, has_pixels = _owners(trial, islands)
        trial = trial.take(np.flatnonzero(has_pixels))
        components = _with_parts(components, islands, trial, owner)
        fits = [other.take(np.flatnonzero(~np.isin(other.which, trial.which))) for other in fits] + [trial]
    return components, fits


def _with_another(islands: Islands, fit: JointFit, field: Field) -> JointFit:
    """Add a source where the residual of an island is the highest, if that stands out, and fit again."""
    some = islands.take(fit.which)
    left = residuals(some.offsets, (some.x, some.y, some.value), fit.first, fit.sources.parameters)
    place = _first_highest(left / some.rms, some.offsets)
    stands_out = np.flatnonzero(left[place] >= TRIAL_SIGMA * some.rms[place])
    place, tried = place[stands_out], fit.take(stands_out)
    new = np.column_stack([left[place], some.x[place], some.y[place], np.tile(field.beam, (place.size, 1))])
    start = Gaussians.from_parameters(np.insert(tried.sources.parameters, tried.first[1:], new, axis=0))
    first = tried.first + np.arange(tried.first.size)
    return fit_jointly(Shape.BEAM, islands, tried.which, first, start, field=field)


def _is_high(trial: JointFit, field: Field, config: SourceExtractionConfig) -> Flags:
    """(n,) — whether new source and neighbour reach the threshold, and the new one its share of the highest."""
    sources, new, near = trial.sources, *_pairs(trial)
    reaches = sources.peak >= config.detection_threshold * field.background.rms_at(sources.x, sources.y)
    highest = np.maximum.reduceat(sources.peak, trial.first[:-1])
    is_high: Flags = reaches[new] & reaches[near] & (sources.peak[new] >= LEAST_SHARE * highest)
    return is_high


def _is_certain(trial: JointFit, field: Field, config: SourceExtractionConfig) -> Flags:
    """(n,) — whether both reach the threshold in terms of the errors that they have beside each other."""
    sources, new, near = trial.sources, *_pairs(trial)
    errors = field.background.rms_at(sources.x, sources.y) * np.sqrt(trial.covariances(field.correlation)[:, 0, 0])
    reaches = sources.peak >= config.detection_threshold * errors
    is_certain: Flags = reaches[new] & reaches[near]
    return is_certain


def _is_no_ellipse(trial: JointFit, field: Field, _: SourceExtractionConfig) -> Flags:
    """(n,) — whether new source and neighbour fit better than one ellipse in their place."""
    pixels, first, sources = trial.pixels, trial.first, trial.sources
    new, near = (sources.take(rows) for rows in _pairs(trial))
    left = residuals(pixels.offsets, (pixels.x, pixels.y, pixels.value), first, sources.parameters)
    # The two are put back.
    both, one_each = left, np.arange(len(new) + 1)
    for source in (new, near):
        hole = source.with_columns(peak=-source.peak).parameters
        both = residuals(pixels.offsets, (pixels.x, pixels.y, both), one_each, hole)
    ellipse = fit_islands(replace(pixels, value=both), np.ones(len(new), np.intp), _merged(new, near), Shape.FREE)
    remains = residuals(pixels.offsets, (pixels.x, pixels.y, both), one_each, ellipse.parameters)
    gain = np.add.reduceat(remains**2 - left**2, pixels.offsets[:-1])
    rms = field.background.rms_at(new.x, new.y)
    # An ellipse that cannot be had is no rival.
    is_better: Flags = np.isnan(gain) | (gain >= LEAST_GAIN * rms**2 * field.correlation.sum())
    return is_better


def _merged(one: Gaussians, other: Gaussians) -> Gaussians:
    """What two beams may look like as one source, to begin with."""
    peak = one.peak + other.peak
    x, y = ((one.peak * u + other.peak * v) / peak for u, v in ((one.x, other.x), (one.y, other.y)))
    return Gaussians(x=x, y=y, peak=peak, form=one.form / ELLIPSE_GROWTH)


def _pairs(trial: JointFit) -> tuple[Indices, Indices]:
    """Rows of the new sources, the last of their islands, and of those next to them as the beam sees it."""
    sources, counts, new = trial.sources, np.diff(trial.first), trial.first[1:] - 1
    centre = np.repeat(new, counts)
    u, v = sources.x - sources.x[centre], sources.y - sources.y[centre]
    a, b, c = sources.form.T
    nearness = -np.nan_to_num(a * u**2 + 2 * b * u * v + c * v**2, nan=np.inf)
    nearness[new] = -np.inf
    return new, _first_highest(nearness, trial.first)


def _owners(trial: JointFit, islands: Islands) -> tuple[Indices, Flags]:
    """Which source of its island each pixel belongs to, and (n,) whether all sources have pixels."""
    own, first = islands.take(trial.which), trial.first
    owner = strongest_components(own.offsets, own.x, own.y, first, trial.sources.parameters)
    n_pixels = np.bincount(first[own.island] + owner, minlength=first[-1])
    has_pixels: Flags = np.minimum.reduceat(n_pixels, first[:-1]) > 0
    return owner[np.repeat(has_pixels, own.sizes)], has_pixels


def _with_parts(components: Components, islands: Islands, trial: JointFit, owner: Indices) -> Components:
    """Components of all islands, where some have been parted anew."""
    counts, component = components.counts.copy(), components.component.copy()
    counts[trial.which] = np.diff(trial.first)
    component[list_places(islands.offsets, trial.which)] = owner
    return Components(component=component, counts=counts)


def _first_highest(values: Array, offsets: Indices) -> Indices:
    """(n,) — place of the highest value of each part of a list, of equal ones the first; of the first NaN."""
    highest = np.maximum.reduceat(values, offsets[:-1])
    places = np.flatnonzero((values == np.repeat(highest, np.diff(offsets))) | np.isnan(values))
    return places[np.searchsorted(places, offsets[:-1])]
