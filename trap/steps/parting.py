"""Known sources that turn out to be blends: the end of their light curves, and the beginning of those of their parts.

If an image parts a known source, and the earlier images show the new part too when both are fitted, the known source
was a blend all along. Its light curve would jump on the day of the first parting, so that it ends there instead. The
parts get light curves of their own, which begin in the earlier images. The blend keeps its points, and stays.

A faint part far out hardly changes the flux density of the known source; then that source goes on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from trap import angles
from trap.association.groups import NO_ROW
from trap.association.pairs import Positions, de_ruiter_radius
from trap.dataset.state import as_utc64
from trap.steps.backward_fitting import REVEALED_SIGMA, mean_fluxes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from trap.association.groups import GroupMembers
    from trap.dataset.records import ImageRecord
    from trap.dataset.state import DatasetState
    from trap.steps.backward_fitting import EarlierFits
    from trap.typing import Indices

    Places = Mapping[int, tuple[float, float]]

__all__ = ["blended_members", "displaced_members", "end_blends"]

DISPLACED = 3.0
"""De Ruiter radius of a measurement beyond which the mean position of its entry is not its own: that of a blend."""
MAX_LEAK = 1.0
"""Flux density of a part that a fit of the blend alone includes, in σ, above which the blend ends."""


MIN_SHARE = 1 / 3
"""Flux density of a part in earlier images, over that now, below which it was no part but is a new source: fits at
slightly wrong positions leave some flux of a bright neighbour."""


def displaced_members(state: DatasetState, images: Sequence[ImageRecord]) -> dict[int, tuple[float, float]]:
    """Find known members of groups with a new one that lie elsewhere than their mean positions.

    Parameters
    ----------
    state
        State of the dataset.
    images
        Images of a timestep, with the members of their groups.

    Returns
    -------
    Right ascension and declination [deg] by row of the running catalogue.
    """
    places: dict[int, tuple[float, float]] = {}
    for image in images:
        rows = _known(image.members)
        entries, measured = image.members.entry[rows], image.measurements.take(image.members.measurement[rows])
        radius = de_ruiter_radius(Positions.of_measurements(measured), state.catalogue.positions(entries))
        for row in np.flatnonzero(radius > DISPLACED).tolist():
            places[int(entries[row])] = float(measured.ra[row]), float(measured.dec[row])
    return places


def blended_members(
    images: Sequence[ImageRecord], earlier: Sequence[EarlierFits], places: Places
) -> dict[int, tuple[float, float]]:
    """Find known members that are blends although they are not displaced, and the places where the images show them.

    Parameters
    ----------
    images, earlier, places
        As for :func:`end_blends`.

    Returns
    -------
    Right ascension and declination [deg] by row of the running catalogue, without those of ``places``.
    """
    found: dict[int, tuple[float, float]] = {}
    for image in images:
        members = image.members
        for row in _known(members).tolist():
            blind = image.measurements.take(members.measurement[[row]])
            if int(members.entry[row]) not in places and _parts(image, row, earlier, places).size:
                found[int(members.entry[row])] = float(blind.ra[0]), float(blind.dec[0])
    return found


def _known(members: GroupMembers) -> Indices:
    """Return the known members that an image shows, in groups with a new one that it shows apart from them."""
    has_new = np.isin(members.group, members.group[members.is_new])
    has_hidden = np.isin(members.group, members.group[members.stretch > 1])
    return np.flatnonzero(has_new & ~has_hidden & ~members.is_new & (members.measurement != NO_ROW))


def end_blends(
    state: DatasetState, images: Sequence[ImageRecord], earlier: Sequence[EarlierFits], places: Places
) -> tuple[tuple[ImageRecord, ...], list[EarlierFits]]:
    """End the light curves of blends, and let those of their parts begin.

    Parameters
    ----------
    state
        State of the dataset; updated.
    images
        Images of a timestep, with the members of their groups.
    earlier
        Fits of new sources and of their neighbours in earlier images.
    places
        Known members that :func:`displaced_members` found.

    Returns
    -------
    images
        The images. A part has the blind measurement as its point, and an entry of its own.
    earlier
        The fits; those of a blend are now those of the entry that follows it.
    """
    ended: list[ImageRecord] = []
    for image in images:
        here = image
        for blend in _known(image.members).tolist():
            parts = _parts(here, blend, earlier, places)
            if parts.size and not state.catalogue.entries["is_blend"][here.members.entry[blend]]:
                here, heir = _end(state, here, blend, parts)
                earlier = [_renamed(fit, int(image.members.entry[blend]), heir) for fit in earlier]
        ended.append(here)
    return tuple(ended), list(earlier)


def _parts(image: ImageRecord, blend: int, earlier: Sequence[EarlierFits], places: Places) -> Indices:
    """Return the new members that were parts of a known one all along, if its light curve includes their flux."""
    members, beam = image.members, image.result.metadata.beam
    new = np.flatnonzero(members.is_new & (members.group == members.group[blend]))
    fluxes = mean_fluxes(members.entry[new], [fit for fit in earlier if fit.key == image.key])
    peak = image.measurements.f_peak[members.measurement[new]]
    earlier_mean = np.sign(peak) * fluxes.mean
    is_shown = (fluxes.n > 0) & (earlier_mean > np.maximum(REVEALED_SIGMA * fluxes.error, MIN_SHARE * np.abs(peak)))
    new, fluxes = new[is_shown], fluxes.take(is_shown)
    if not new.size or beam is None:
        return new[:0]
    own, others = (image.measurements.take(members.measurement[rows]) for rows in (np.array([blend]), new))
    widths = beam.widths(*angles.offsets(others.ra, others.dec, own.ra, own.dec))
    # The normalised product of two beams: the share of the peak of a source in a fit at the position of the other one.
    leak = np.abs(fluxes.mean * np.exp2(-2 * widths**2)).sum()
    is_blend = int(members.entry[blend]) in places or leak > MAX_LEAK * own.f_peak_err[0]
    return new if is_blend else new[:0]


def _end(state: DatasetState, image: ImageRecord, blend: int, parts: Indices) -> tuple[ImageRecord, int]:
    """End a blend: its measurement of this image is the first point of a new entry, as are those of its parts."""
    members, catalogue = image.members, state.catalogue
    own = image.measurements.take(members.measurement[[blend]])
    heir = int(catalogue.create(own, as_utc64(image.result.metadata.taustart_ts))[0])
    entry, is_new, is_blind = members.entry.copy(), members.is_new.copy(), members.is_blind.copy()
    entry[blend], is_new[blend] = heir, True
    is_blind[[blend, *parts]] = True
    catalogue.end_blend(int(members.entry[blend]), entry[[blend, *parts]])
    return replace(image, members=members.with_columns(entry=entry, is_new=is_new, is_blind=is_blind)), heir


def _renamed(earlier: EarlierFits, blend: int, heir: int) -> EarlierFits:
    """Give the fits of a blend to the entry that follows it."""
    is_blend: NDArray[np.bool_] = earlier.target == blend
    return replace(earlier, target=np.where(is_blend, heir, earlier.target), is_new=earlier.is_new | is_blend)
