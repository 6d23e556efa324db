"""How bright an image is at given positions, whether or not a source was found there.

The beam is fitted at the exact position, its peak being all that is free. Whatever else shines into
the fit is part of the model: the sources found blindly, and the other positions asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trap.angles import wrap_ra
from trap.catalogues import FitType, Flag, Measurements
from trap.extraction.boxes import PixelBoxes, read_boxes
from trap.extraction.celestial import HWHM_PER_SIGMA, beam_form, celestial_columns, ellipse_axes, pixel_forms
from trap.extraction.correlation import beam_correlation
from trap.extraction.gaussian import Gaussians
from trap.extraction.joint import core_form
from trap.extraction.linear import REACH_SIGMA, solve_each, solve_peaks, without
from trap.extraction.neighbours import FREE_NEIGHBOUR, assign_roles, beam_plane, is_within
from trap.extraction.uncertainties import forced_fit_errors

if TYPE_CHECKING:
    from astropy.wcs import WCS
    from numpy.typing import ArrayLike, NDArray

    from trap.config import SourceExtractionConfig
    from trap.extraction.mesh import Background
    from trap.images.image import Image
    from trap.typing import Array


__all__ = ["fit_positions"]

SMALLEST_BOX = 2
"""Half side of a box in pixels, however small the beam."""
FOUND_SPRING, TARGET_SPRING = 1e-3, 1e-9
"""What holds a found source near its own measurement, and a position near zero, relative to the pixels: keeps the
solution regular."""


def fit_positions(
    image: Image,
    ra: ArrayLike,
    dec: ArrayLike,
    *,
    background: Background,
    neighbours: Measurements,
    config: SourceExtractionConfig,
) -> Measurements:
    """Measure an image at given positions.

    Positions and the found sources around them are solved together, by linear least squares, on the pixels that a
    beam-shaped blind fit takes, within boxes of side ``box_in_beampix`` beam semi-major axes. What the beam cannot
    tell apart is not solved together: a position within half a beam width of a found source measures that source,
    one that near to another position (the earlier leads) measures the same again, and all else is subtracted from
    both.

    Parameters
    ----------
    image
        Read through small cut-outs only.
    ra, dec
        (n,) deg — positions, ICRS.
    background
        Of this image; where the autocorrelation of its noise is not known, the beam's is taken.
    neighbours
        The sources found blindly in this image.

    Returns
    -------
    Measurements
        (n,) — row i is position i, with the beam's shape and ``significance`` the peak over the
        noise. NaN and ``Flag.OUTSIDE`` where the position is not on the image, not in its searched
        area, or on a pixel without a value. ``extract_type`` is left for the caller to set.

    Raises
    ------
    ImageError
        If the image has no restoring beam, or cannot be read.
    """
    ra, dec = np.atleast_1d(np.asarray(ra, float)), np.atleast_1d(np.asarray(dec, float))
    # NaN behind the sky of the projection; quiet, as a distortion far off the image need not converge.
    x, y = image.wcs.all_world2pix(ra, dec, 0, quiet=True)
    beam = beam_form(image.require_beam(), image.wcs)
    half = max(SMALLEST_BOX, int(config.box_in_beampix * float(ellipse_axes(beam)[0]) / 2))
    found = _shining_in(_found_sources(image.wcs, neighbours), x, y, half)
    # Boxes of the close ones too: what is measured anew must be seen whole.
    is_close = is_within(beam_plane(found.x, found.y, beam), beam_plane(x, y, beam), FREE_NEIGHBOUR)
    boxes = read_boxes(
        image,
        np.concatenate([x, found.x[is_close]]),
        np.concatenate([y, found.y[is_close]]),
        half=half,
        background=background,
        config=config,
    )
    rms = background.rms_at(x, y)
    is_measured = boxes.has_centre[: x.size] & np.isfinite(rms)
    columns: dict[str, Any] = {name: np.full(x.size, np.nan) for name in Measurements.columns()}
    columns |= {"x": x, "y": y, "ra": wrap_ra(ra), "dec": dec}
    if is_measured.any():
        n_measured = int(is_measured.sum())
        targets = Gaussians(
            x=x[is_measured], y=y[is_measured], peak=np.zeros(n_measured), form=np.tile(beam, (n_measured, 1))
        )
        correlation = beam_correlation(beam) if background.correlation is None else background.correlation
        measured = _measure(image.wcs, boxes, targets, is_measured, rms[is_measured], found, beam, correlation)
        for name, values in measured.items():
            columns[name][is_measured] = values
    columns |= {
        "ew_sys_err": config.ew_sys_err,
        "ns_sys_err": config.ns_sys_err,
        "extract_type": 0,
        "fit_type": int(FitType.GAUSSIAN),
        "island": 0,
        "flags": boxes.flags[: x.size] | np.where(is_measured, 0, int(Flag.OUTSIDE)),
    }
    return Measurements.of(**columns)


def _found_sources(wcs: WCS, neighbours: Measurements) -> Gaussians:
    """The Gaussians of a table of measurements, in pixels."""
    shapes = (neighbours.x, neighbours.y, neighbours.f_peak, neighbours.semimajor, neighbours.semiminor, neighbours.pa)
    good = neighbours.take(np.logical_and.reduce([np.isfinite(column) for column in shapes]))
    form = pixel_forms(wcs, good.x, good.y, semimajor=good.semimajor, semiminor=good.semiminor, pa=good.pa)
    return Gaussians(x=good.x, y=good.y, peak=good.f_peak, form=form)


def _shining_in(found: Gaussians, x: Array, y: Array, half: int) -> Gaussians:
    """Those found sources that reach into any of the boxes."""
    semimajor, *_ = ellipse_axes(found.form)
    reach = np.sqrt(2) * (half + 1) + REACH_SIGMA / HWHM_PER_SIGMA * semimajor.max(initial=0.0)
    near = is_within(np.column_stack([found.x, found.y]), np.column_stack([x, y]), float(reach))
    return found.take(near)


def _measure(
    wcs: WCS,
    boxes: PixelBoxes,
    targets: Gaussians,
    is_measured: NDArray[np.bool_],
    noise: Array,
    found: Gaussians,
    beam: Array,
    correlation: Array,
) -> dict[str, Array]:
    """Columns of the positions that can be measured."""
    peak, variance, residual = _solve(boxes, targets, found, beam, correlation)
    semimajor, semiminor, _ = (float(value) for value in ellipse_axes(beam))
    errors = forced_fit_errors(peak, rms=noise, variance=variance, beam_axes=(semimajor, semiminor))
    sky = celestial_columns(
        wcs, targets.x, targets.y, form=targets.form, position_cov=errors.turned(targets.form).position
    )
    # The positions are those asked for, to the last bit.
    del sky["ra"], sky["dec"]
    n_boxes = len(boxes.has_centre)
    n = is_measured.size
    squares = np.bincount(boxes.box, weights=residual[boxes.members] ** 2, minlength=n_boxes)[:n][is_measured]
    n_pixels = np.bincount(boxes.box, minlength=n_boxes)[:n][is_measured]
    chisq = squares / noise**2
    return sky | {
        "f_peak": peak,
        "f_peak_err": errors.peak,
        # The shape being the beam's, a Jy/beam at the peak is a Jy in all.
        "f_int": peak,
        "f_int_err": errors.integrated,
        "rms": noise,
        "significance": peak / noise,
        "chisq": chisq,
        "reduced_chisq": chisq * np.pi * semimajor * semiminor / n_pixels,
    }


def _solve(
    boxes: PixelBoxes, targets: Gaussians, found: Gaussians, beam: Array, correlation: Array
) -> tuple[Array, Array, Array]:
    """Peaks of the targets, their variances in units of the noise squared, and the residuals of all pixels."""
    roles = assign_roles(beam_plane(targets.x, targets.y, beam), beam_plane(found.x, found.y, beam))
    leaders, free, core = targets.take(roles.is_leader), found.take(roles.is_free), core_form(beam)
    spring = np.repeat([TARGET_SPRING, FOUND_SPRING], [len(leaders), len(free)])
    residual = without(boxes, boxes.value, found)
    solved = leaders.joined(free)
    solution, solution_variance = solve_peaks(
        boxes, residual, solved, core=core, spring=spring, correlation=correlation
    )
    residual = without(boxes, residual, solved.with_peak(solution))
    peak, variance, found_peak = np.zeros(len(targets)), np.zeros(len(targets)), found.peak.copy()
    peak[roles.is_leader], variance[roles.is_leader] = (a[: len(leaders)] for a in (solution, solution_variance))
    found_peak[roles.is_free] += solution[len(leaders) :]

    followers = np.flatnonzero(~roles.is_leader)
    all_sources = found.with_peak(found_peak).joined(targets.with_peak(peak))
    shared = (np.searchsorted(followers, roles.shared[:, 0]), all_sources.take(roles.shared[:, 1]))
    peak[followers], variance[followers] = solve_each(
        boxes, residual, targets.take(followers), shared, core=core, correlation=correlation
    )
    return peak, variance, residual
