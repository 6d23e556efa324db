"""Forced fits: the flux density of an image at given positions, with or without a visible source.

The beam is fitted at the exact position with a free peak. The model includes all other sources whose
flux reaches the fitted pixels: the sources of the blind extraction, and the other given positions.

Distances are in units of the beam's σ in their direction, as in a plane where the beam is round. The
beam cannot separate positions that nearly coincide, so these are not solved together: a position that
coincides with a source, or with an earlier position, follows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from trap.angles import wrap_ra
from trap.catalogues import FitType, Flag, Measurements
from trap.extraction.boxes import PixelBoxes, read_boxes
from trap.extraction.celestial import (
    HWHM_PER_SIGMA,
    beam_form,
    celestial_columns,
    ellipse_axes,
    local_beams,
    pixel_forms,
)
from trap.extraction.correlation import beam_correlation, valid_correlation
from trap.extraction.gaussian import REACH_SIGMA, Gaussians
from trap.extraction.joint import core_form
from trap.extraction.linear import solve_each, solve_peaks, subtract_sources
from trap.extraction.uncertainties import forced_fit_errors, systematic_errors
from trap.kernels.peaks import first_of_close

if TYPE_CHECKING:
    from astropy.wcs import WCS
    from numpy.typing import ArrayLike, NDArray

    from trap.config import SourceExtractionConfig
    from trap.extraction.mesh import Background
    from trap.images.image import Image
    from trap.typing import Array, Indices


__all__ = ["Roles", "assign_roles", "beam_plane", "fit_positions", "is_within"]

MIN_HALF_BOX = 2
"""Minimum half side of a box, in pixels."""
SOURCE_SPRING, TARGET_SPRING = 1e-3, 1e-9
"""Weights, relative to the pixels, of the blind measurement of a source, and of a peak of zero at a position. They keep
the system regular."""
COINCIDENT = HWHM_PER_SIGMA
"""Distance, in σ of the beam, below which two positions are one source to the beam: half a beam width."""
FREE_NEIGHBOUR = 4.0
"""Distance, in σ of the beam, below which a source is fitted again with a position: 1.7 beam widths."""
SAME_PLACE = COINCIDENT / 2
"""Distance, in σ of the beam, below which a position is that of a source: a quarter of a beam width."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Roles:
    """Roles of the positions (targets) and the detected sources in a fit.

    Parameters
    ----------
    is_leader
        (n_targets,) — whether a target has its own Gaussian in the joint solution. The other targets
        coincide with a source or a leader, and are measured after it.
    is_free
        (n_sources,) — whether a source is fitted again, since it is close to a leader.
    shared
        (n_pairs, 2) — pairs of a target that is not a leader, and a source or leader that it coincides
        with: index of the target, and index among all sources followed by all targets; in the order of both.
    """

    is_leader: NDArray[np.bool_]
    is_free: NDArray[np.bool_]
    shared: Indices


class _Solution(NamedTuple):
    """Fitted peaks of the targets, their variances in units of the noise squared, and the residuals of all pixels."""

    peak: Array
    variance: Array
    residual: Array

    def take(self, rows: NDArray[np.bool_]) -> _Solution:
        """Return the peaks and variances of some targets."""
        return self._replace(peak=self.peak[rows], variance=self.variance[rows])


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

    Positions and the detected sources around them are solved together, by linear least squares, on the pixels that a
    beam-shaped blind fit uses, within boxes of side ``box_in_beampix`` beam semi-major axes. Sources that the beam
    cannot separate are not solved together: a position within half a beam width of a detected source measures that
    source, and a position as close to an earlier position measures the same again. All other sources are subtracted.

    A position up to 1.7 beam widths from a detected source, but not on it, is flagged ``Flag.BLENDED``: its flux
    density depends on the shape of the source. If the residuals around it exceed the noise, its error is larger.

    Parameters
    ----------
    image
        Image, which is read in small cut-outs.
    ra, dec
        (n,) deg — positions, ICRS.
    background
        Background of this image. Without a measured autocorrelation of the noise, the beam's is used.
    neighbours
        Blind measurements of this image.
    config
        Extraction settings.

    Returns
    -------
    Measurements
        (n,) — row i is position i, with the beam's shape; ``significance`` is the peak over the
        noise. NaN and ``Flag.OUTSIDE`` if the position is off the image, outside the searched
        area, or on a pixel without a value. The caller sets ``extract_type``.

    Raises
    ------
    ImageError
        If the image has no restoring beam, or cannot be read.
    """
    ra, dec = np.atleast_1d(np.asarray(ra, float)), np.atleast_1d(np.asarray(dec, float))
    # NaN beyond the horizon of the projection. Quiet, as a distortion far off the image need not converge.
    x, y = image.wcs.all_world2pix(ra, dec, 0, quiet=True)
    shape = image.metadata.ny, image.metadata.nx
    beam, beams = beam_form(image.require_beam(), image.wcs, shape), local_beams(image.require_beam(), image.wcs, shape)
    half = max(MIN_HALF_BOX, int(config.box_in_beampix * float(ellipse_axes(beam)[0]) / 2))
    sources = _reaching(_gaussians(image.wcs, neighbours), x, y, half)
    # Close sources are fitted again, so their boxes are needed too.
    is_close = is_within(beam_plane(sources.x, sources.y, beam), beam_plane(x, y, beam), FREE_NEIGHBOUR)
    box_x, box_y = np.concatenate([x, sources.x[is_close]]), np.concatenate([y, sources.y[is_close]])
    boxes = read_boxes(image, box_x, box_y, half=half, background=background, config=config)
    rms = background.rms_at(x, y)
    is_measured = boxes.has_centre[: x.size] & np.isfinite(rms)
    columns: dict[str, Any] = {name: np.full(x.size, np.nan) for name in Measurements.columns()}
    columns |= {"x": x, "y": y, "ra": wrap_ra(ra), "dec": dec}
    flags = boxes.flags[: x.size] | np.where(is_measured, 0, int(Flag.OUTSIDE))
    if is_measured.any():
        is_modelled = is_measured | _is_hidden_beside(x, y, is_measured, sources, beam)
        target_x, target_y = x[is_modelled], y[is_modelled]
        form = np.tile(beam, (target_x.size, 1)) if beams is None else beams.at(target_x, target_y)
        targets = Gaussians(x=target_x, y=target_y, peak=np.zeros(target_x.size), form=form)
        correlation = background.correlation
        if correlation is None:
            correlation = valid_correlation(beam_correlation(beam))
        is_own = is_measured[is_modelled]
        is_beside = _is_beside(targets, sources, beam)[is_own]
        solution, targets = _solve(boxes, targets, sources, beam, correlation).take(is_own), targets.take(is_own)
        squares, n_pixels = _sums_of_boxes(boxes, solution.residual, is_measured)
        misfit = np.where(is_beside, _misfit(squares / rms[is_measured] ** 2, n_pixels, beam), 1.0)
        solution = solution._replace(variance=solution.variance * misfit)
        fitted = _fit_columns(image.wcs, targets, solution, rms[is_measured])
        fitted |= _chi_squared_columns(squares, n_pixels, beam, rms[is_measured])
        flags[is_measured] |= np.where(is_beside, int(Flag.BLENDED), 0)
        for name, values in fitted.items():
            columns[name][is_measured] = values
    columns |= {
        **systematic_errors(image.require_beam(), config),
        "extract_type": 0,
        "fit_type": int(FitType.GAUSSIAN),
        "island": 0,
        "gain_err": 0.0,
        "flags": flags,
    }
    return Measurements.of(**columns)


def beam_plane(x: Array, y: Array, beam: Array) -> Array:
    """Transform positions to a plane where the beam is round with σ = 1.

    Parameters
    ----------
    x, y
        (n,) pix — positions.
    beam
        (3,) pix⁻² — coefficients of the beam's exponent.

    Returns
    -------
    (n, 2)
    """
    root = np.linalg.cholesky(np.array([[beam[0], beam[1]], [beam[1], beam[2]]]))
    places: Array = np.column_stack([x, y]) @ root
    return places


def is_within(points: Array, others: Array, distance: float) -> NDArray[np.bool_]:
    """Return whether any other point is near a point. NaN is near nothing.

    Parameters
    ----------
    points
        (n, 2) — points in a plane.
    others
        (m, 2) — other points.
    distance
        Distance, exclusive, up to which two points are near each other.

    Returns
    -------
    (n,)
    """
    # A tree of coinciding points is as slow as a list of them.
    others = np.unique(others[np.isfinite(others).all(axis=1)], axis=0)
    is_near: NDArray[np.bool_] = np.asarray(np.isfinite(points).all(axis=1))
    if not others.size:
        return np.zeros(len(points), bool)
    is_near[is_near] = cKDTree(others).query(points[is_near])[0] < distance
    return is_near


def assign_roles(targets: Array, sources: Array) -> Roles:
    """Assign the roles of positions and detected sources from their distances.

    Parameters
    ----------
    targets
        (n_targets, 2) — positions, from :func:`beam_plane`. The earlier one of two coinciding positions
        leads.
    sources
        (n_sources, 2) — detected sources, from :func:`beam_plane`.
    """
    is_leader = first_of_close(targets, ~is_within(targets, sources, COINCIDENT), COINCIDENT)
    followers = np.flatnonzero(~is_leader)
    # Followers keep their place among the targets, but far off: no target follows them.
    possible = np.concatenate([sources, np.where(is_leader[:, np.newaxis], targets, 1e9)])
    near = cKDTree(targets[followers]).sparse_distance_matrix(cKDTree(possible), COINCIDENT, output_type="ndarray")
    # The tree lists its pairs in any order; :func:`~trap.extraction.linear.solve_each` needs the order of the targets.
    near = near[np.lexsort((near["j"], near["i"]))]
    return Roles(
        is_leader=is_leader,
        is_free=is_within(sources, targets[is_leader], FREE_NEIGHBOUR),
        shared=np.column_stack([followers[near["i"]], near["j"]]),
    )


def _gaussians(wcs: WCS, measurements: Measurements) -> Gaussians:
    """Express measurements as Gaussians in pixels. Rows without a shape or flux density are skipped."""
    m = measurements
    is_complete = np.logical_and.reduce([np.isfinite(v) for v in (m.x, m.y, m.f_peak, m.semimajor, m.semiminor, m.pa)])
    m = m.take(is_complete)
    form = pixel_forms(wcs, m.x, m.y, semimajor=m.semimajor, semiminor=m.semiminor, pa=m.pa)
    return Gaussians(x=m.x, y=m.y, peak=m.f_peak, form=form)


def _reaching(sources: Gaussians, x: Array, y: Array, half: int) -> Gaussians:
    """Select the sources that reach into any of the boxes around positions."""
    semimajor, *_ = ellipse_axes(sources.form)
    reach = np.sqrt(2) * (half + 1) + REACH_SIGMA / HWHM_PER_SIGMA * semimajor.max(initial=0.0)
    is_near = is_within(np.column_stack([sources.x, sources.y]), np.column_stack([x, y]), float(reach))
    return sources.take(is_near)


def _is_beside(targets: Gaussians, sources: Gaussians, beam: Array) -> NDArray[np.bool_]:
    """Return which positions are close to a source, but not on it, or to another position: (n_targets,)."""
    places, others = beam_plane(targets.x, targets.y, beam), beam_plane(sources.x, sources.y, beam)
    is_beside: NDArray[np.bool_] = is_within(places, others, FREE_NEIGHBOUR) & ~is_within(places, others, SAME_PLACE)
    distinct, index, n_equal = np.unique(places, axis=0, return_inverse=True, return_counts=True)
    # The nearest position is the position itself; without another one, the distance is infinite.
    has_near = (n_equal > 1) | (cKDTree(distinct).query(distinct, k=2)[0][:, 1] < FREE_NEIGHBOUR)
    is_beside |= has_near[index]
    return is_beside


def _is_hidden_beside(
    x: Array, y: Array, is_measured: NDArray[np.bool_], sources: Gaussians, beam: Array
) -> NDArray[np.bool_]:
    """Return which positions have no pixel at their centre, but flux on the pixels of a measured position: (n,).

    They are parts of the model. One that the beam cannot separate from a source or position in the model adds nothing.
    """
    places = beam_plane(x, y, beam)
    own, others = places[is_measured], beam_plane(sources.x, sources.y, beam)
    is_near = ~is_measured & is_within(places, own, FREE_NEIGHBOUR)
    return is_near & ~is_within(places, np.concatenate([own, others]), COINCIDENT)


def _misfit(chisq: Array, n_pixels: Indices, beam: Array) -> Array:
    """Compute the ratio of the residuals of boxes to the noise, in variance; 1 within three times its scatter.

    Parameters
    ----------
    chisq, n_pixels
        (n,) — sum of (residual / noise)² over the pixels of each box, and number of the pixels.
    beam
        (3,) pix⁻² — coefficients of the beam's exponent.
    """
    semimajor, semiminor, _ = ellipse_axes(beam)
    n_beams = np.maximum(n_pixels / (np.pi * semimajor * semiminor), 1.0)
    per_pixel = chisq / n_pixels
    return np.where(per_pixel > 1 + 3 * np.sqrt(2 / n_beams), per_pixel, 1.0)


def _solve(boxes: PixelBoxes, targets: Gaussians, sources: Gaussians, beam: Array, correlation: Array) -> _Solution:
    """Fit the leaders together with the free sources, then each follower with its own sources added back."""
    roles = assign_roles(beam_plane(targets.x, targets.y, beam), beam_plane(sources.x, sources.y, beam))
    leaders, free, core = targets.take(roles.is_leader), sources.take(roles.is_free), core_form(beam)
    n_leaders = len(leaders)

    # Free sources are subtracted as measured blindly, so their solution is a correction of that measurement.
    residual = subtract_sources(boxes, boxes.value, sources)
    solved = Gaussians.concatenate([leaders, free])
    spring = np.repeat([TARGET_SPRING, SOURCE_SPRING], [n_leaders, len(free)])
    solved_peak, solved_variance = solve_peaks(
        boxes, residual, solved, core=core, spring=spring, correlation=correlation
    )
    residual = subtract_sources(boxes, residual, solved.with_columns(peak=solved_peak))
    peak, variance, source_peak = np.zeros(len(targets)), np.zeros(len(targets)), sources.peak.copy()
    peak[roles.is_leader], variance[roles.is_leader] = solved_peak[:n_leaders], solved_variance[:n_leaders]
    source_peak[roles.is_free] += solved_peak[n_leaders:]

    followers = np.flatnonzero(~roles.is_leader)
    # In the order of the second index of `shared`.
    model = Gaussians.concatenate([sources.with_columns(peak=source_peak), targets.with_columns(peak=peak)])
    shared = (np.searchsorted(followers, roles.shared[:, 0]), model.take(roles.shared[:, 1]))
    peak[followers], variance[followers] = solve_each(
        boxes, residual, targets.take(followers), shared, core=core, correlation=correlation
    )
    return _Solution(peak, variance, residual)


def _sums_of_boxes(boxes: PixelBoxes, residual: Array, is_measured: NDArray[np.bool_]) -> tuple[Array, Indices]:
    """Sum the squared residuals (Jy/beam)², and count the pixels, in the box of each measured position."""
    squares, n_pixels = boxes.sums(residual**2)
    # The boxes of the positions come first, then the boxes of sources.
    return squares[: is_measured.size][is_measured], n_pixels[: is_measured.size][is_measured]


def _fit_columns(wcs: WCS, targets: Gaussians, solution: _Solution, rms: Array) -> dict[str, Array]:
    """Make the columns of shapes, flux densities and errors of the measured positions."""
    semimajor, semiminor, _ = ellipse_axes(targets.form)
    peak = solution.peak
    errors = forced_fit_errors(peak, rms=rms, variance=solution.variance, beam_axes=(semimajor, semiminor))
    position_cov = errors.turned(targets.form).position
    columns = celestial_columns(wcs, targets.x, targets.y, form=targets.form, position_cov=position_cov)
    # The given positions are kept to the last bit.
    del columns["ra"], columns["dec"]
    return columns | {
        "f_peak": peak,
        "f_peak_err": errors.peak,
        # For the beam's shape, peak (Jy/beam) and integrated flux density (Jy) are one number.
        "f_int": peak,
        "f_int_err": errors.integrated,
        "rms": rms,
        "significance": peak / rms,
    }


def _chi_squared_columns(squares: Array, n_pixels: Indices, beam: Array, rms: Array) -> dict[str, Array]:
    """Make the columns of χ², and of χ² per beam area, of the measured positions."""
    semimajor, semiminor, _ = (float(value) for value in ellipse_axes(beam))
    chisq = squares / rms**2
    return {"chisq": chisq, "reduced_chisq": chisq * np.pi * semimajor * semiminor / n_pixels}
