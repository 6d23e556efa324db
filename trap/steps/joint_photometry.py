"""Joint photometry of crowded groups: positions are decided once, and every image is measured at them.

An image that does not show a group one-to-one is fitted with the beam at the positions of all its members at once. A
component that matches no entry takes part as a trial. It becomes an entry only if its joint flux density reaches the
detection threshold with the known members in the fit: deblending also parts single sources, where noise distorts them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from trap import angles
from trap.association.groups import NO_ROW, GroupLimits
from trap.association.pairs import COINCIDENT
from trap.association.sky_index import chord_of
from trap.catalogues import AssociationType, ExtractType, FitRequests, Measurements
from trap.dataset.state import as_utc64

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trap.association.groups import GroupMembers
    from trap.catalogues import Associations
    from trap.config import PipelineConfig
    from trap.dataset.records import ImageRecord
    from trap.dataset.state import DatasetState
    from trap.images.image import ImageMetadata

__all__ = [
    "add_joint_points",
    "create_confirmed",
    "group_limits",
    "joint_requests",
    "refused_components",
    "scaled_to_extent",
    "without_components",
    "without_members",
]

INSEPARABLE = 0.5
"""Distance, in widths of the beam, below which forced fits do not solve two positions together."""
HIDDEN = 0.6
"""The same distance for a source that is hidden in a measurement: its own is known to a tenth of a width or so."""
EXTENT_ERROR = 0.05
"""Relative error of an integrated flux density that is scaled to the extent of its entry: the peak of a fitted beam is
not the peak of the wider shape."""
MEMBER_REACH = 1.0
"""Distance from a member of a group, in widths of the beam, up to which blind components are components of the group:
members are closer to each other than 1.5 widths, so that the blend of two lies between them."""


def group_limits(metadata: ImageMetadata, config: PipelineConfig) -> GroupLimits | None:
    """Return the limits of groups in an image; None if the settings make no groups, or there are no pixels.

    Parameters
    ----------
    metadata
        Metadata of the image.
    config
        All settings.
    """
    settings = config.association
    # Groups are measured by joint fits, which need pixels.
    if settings.method == "trap" or metadata.beam is None or not settings.joint_beams or not metadata.has_pixels:
        return None
    return GroupLimits(
        distance=settings.joint_beams * metadata.beam.bmaj,
        expiration=config.source_extraction.expiration,
        threshold=config.source_extraction.detection_threshold,
        inseparable=INSEPARABLE * metadata.beam.bmin,
    )


def joint_requests(image: ImageRecord, state: DatasetState) -> FitRequests:
    """List the members of the groups of an image: entries at their mean positions, components at their own.

    An entry wider than the beam may be the blend of two components that the image parts. It is fitted where the image
    shows it then, since its mean position lies between the two.

    Parameters
    ----------
    image
        An associated image.
    state
        State of the dataset.
    """
    members = image.members
    if not len(members):
        return FitRequests.empty()
    blind = image.measurements.take(members.measurement)
    has_new = np.isin(members.group, members.group[members.is_new])
    is_wide = ~members.is_new
    is_wide[is_wide] = state.catalogue.extent(members.entry[is_wide], image.key, min_points=1) > 1
    in_place = has_new & is_wide & (members.measurement != NO_ROW)
    return FitRequests.of(
        ra=np.where(in_place, blind.ra, members.ra),
        dec=np.where(in_place, blind.dec, members.dec),
        kind=int(ExtractType.JOINT),
        target=members.entry,
    )


def without_members(neighbours: Measurements, requests: FitRequests, width: float) -> Measurements:
    """Leave out the blind components of groups that are measured jointly, whose flux belongs to the members.

    Parameters
    ----------
    neighbours
        Blind measurements of an image, as the image shows them.
    requests
        Positions to be fitted in this image.
    width
        deg — full width of the beam along its major axis.
    """
    joint = requests.take(requests.kind == ExtractType.JOINT)
    if not len(joint) or not len(neighbours):
        return neighbours
    vectors = angles.unit_vectors(neighbours.ra, neighbours.dec)
    nearest, _ = cKDTree(angles.unit_vectors(joint.ra, joint.dec)).query(vectors)
    return neighbours.take(nearest >= chord_of(MEMBER_REACH * width))


def refused_components(
    image: ImageRecord, requests: FitRequests, fits: Measurements, threshold: float
) -> NDArray[np.bool_]:
    """Find the components of an image that the joint fit does not confirm.

    A component is confirmed if its peak reaches the threshold, in terms of its error, both in the joint fit and in the
    blind one, and if no other member of its group is closer than half a beam width: the beam cannot part these. Of
    components without a known entry, the brightest is always confirmed.

    Parameters
    ----------
    image
        The image with all members of its groups.
    requests, fits
        Forced fits of the image and their positions, those of the members first.
    threshold
        Lowest ratio of peak to error of a source.

    Returns
    -------
    (n_members,)
    """
    members, beam = image.members, image.result.metadata.beam
    refused = members.is_new.copy()
    if not refused.any() or beam is None:
        return refused
    joint, blind = fits.take(slice(len(members))), image.measurements.take(members.measurement)
    is_certain = joint.is_measured & (np.abs(blind.f_peak) >= threshold * blind.f_peak_err)
    is_certain &= joint.f_peak * np.sign(blind.f_peak) >= threshold * joint.f_peak_err
    stays = ~members.is_new
    # The brightest first: of two that are too close, it stays.
    new = np.flatnonzero(members.is_new)
    for row in new[np.argsort(-np.abs(blind.f_peak[new]), kind="stable")].tolist():
        others = np.flatnonzero(stays & (members.group == members.group[row]))
        if not others.size:  # Blind measurements alone, of one source or more.
            stays[row] = joint.is_measured[row]
            continue
        east, north = angles.offsets(requests.ra[others], requests.dec[others], requests.ra[row], requests.dec[row])
        is_apart = beam.widths(east, north) >= (HIDDEN if members.stretch[row] > 1 else INSEPARABLE)
        stays[row] = is_certain[row] and is_apart.all()
    return ~stays


def scaled_to_extent(image: ImageRecord, fits: Measurements, state: DatasetState) -> Measurements:
    """Scale the integrated flux densities of joint fits, which are beam-shaped, to the extent of their entries.

    Parameters
    ----------
    image
        The image with the entries of its groups.
    fits
        Forced fits of the image, those of the members first.
    state
        State of the dataset.
    """
    entry = image.members.entry[~image.members.is_blind]
    extent = np.ones(len(fits))
    extent[: len(entry)] = state.catalogue.extent(entry, image.key)
    is_wide = extent > 1
    total = fits.f_int * extent
    error = np.where(is_wide, np.hypot(fits.f_int_err * extent, EXTENT_ERROR * total), fits.f_int_err)
    return fits.with_columns(f_int=np.where(is_wide, total, fits.f_int), f_int_err=error) if is_wide.any() else fits


def without_components(image: ImageRecord, refused: NDArray[np.bool_]) -> ImageRecord:
    """Drop components from the groups of an image, and count them.

    Parameters
    ----------
    image
        The image with all members of its groups.
    refused
        (n_members,) — whether a member is dropped.
    """
    members = image.members
    # Without a hidden source, the measurement is that of its entry.
    has_new = np.isin(members.group, members.group[members.is_new & ~refused])
    members = members.with_columns(is_blind=members.is_blind & ~has_new)
    n_dropped = int((refused & (members.stretch == 1)).sum())
    dropped = {**image.dropped, "n_dropped_unconfirmed": n_dropped} if n_dropped else image.dropped
    return replace(image, members=members.take(~refused), dropped=dropped)


def create_confirmed(state: DatasetState, images: Sequence[ImageRecord]) -> tuple[ImageRecord, ...]:
    """Create the entries of the components that joint fits have confirmed, image by image.

    Parameters
    ----------
    state
        State of the dataset; updated.
    images
        Images of one timestep, with their confirmed members.

    Returns
    -------
    The images; every member has an entry, and ``is_new`` is true for entries that this image created.
    """
    return tuple(_create_confirmed(state, image) if image.members.is_new.any() else image for image in images)


def _create_confirmed(state: DatasetState, image: ImageRecord) -> ImageRecord:
    """Create the entries of the confirmed components of one image, where it shows them."""
    members, beam = image.members, image.result.metadata.beam
    new = np.flatnonzero(members.is_new)
    n_before = len(state.catalogue)
    blind, stretch = image.measurements.take(members.measurement[new]), members.stretch[new]
    rows = state.catalogue.create_components(
        blind.with_columns(
            ra=members.ra[new],
            dec=members.dec[new],
            ew_fit_err=blind.ew_fit_err * stretch,
            ns_fit_err=blind.ns_fit_err * stretch,
        ),
        as_utc64(image.result.metadata.taustart_ts),
        distance=0.0 if beam is None else COINCIDENT * beam.bmin,
        shown=np.concatenate([image.associations.entry, members.entry]),
    )
    entry, is_new = members.entry.copy(), members.is_new.copy()
    entry[new], is_new[new] = rows, rows >= n_before
    created = np.flatnonzero(is_new & np.isin(members.group, members.group[~members.is_new]))
    state.catalogue.relate_neighbours(entry[created], entry[[_nearest_known(members, row) for row in created.tolist()]])
    return replace(image, members=members.with_columns(entry=entry, is_new=is_new))


def _nearest_known(members: GroupMembers, row: int) -> int:
    """Return the known member of a group that is nearest to a new one."""
    known = np.flatnonzero((members.group == members.group[row]) & ~members.is_new)
    distance = angles.separation(members.ra[known], members.dec[known], members.ra[row], members.dec[row])
    return int(known[np.argmin(distance)])


def add_joint_points(
    state: DatasetState, number: int, image: ImageRecord, measurements: Measurements
) -> list[Associations]:
    """Add the points of the members of groups to their light curves.

    Parameters
    ----------
    state
        State of the dataset; updated.
    number
        Number of the image within its timestep.
    image
        The image, with its blind measurements.
    measurements
        Its measurements: the blind ones, followed by the fits of the members whose point is no blind measurement.
    """
    members, key, catalogue = image.members, image.key, state.catalogue
    row = members.measurement.copy()
    is_fit = ~members.is_blind
    row[is_fit] = len(image.measurements) + np.arange(int(is_fit.sum()))
    usable = measurements.is_measured[row]
    kinds = (is_fit & ~members.is_new, is_fit & members.is_new, ~is_fit & members.is_new, ~is_fit & ~members.is_new)
    known, new, parts, same = (np.flatnonzero(usable & kind) for kind in kinds)
    return [
        catalogue.add_joint(members.entry[known], measurements, row[known], key, AssociationType.JOINT),
        catalogue.add_joint(members.entry[same], measurements, row[same], key, AssociationType.ONE_TO_ONE),
        catalogue.add_first(
            members.entry[new], measurements, row[new], key, image=number, kind=AssociationType.NEW_SOURCE
        ),
        catalogue.add_first(
            members.entry[parts], measurements, row[parts], key, image=number, kind=AssociationType.PART
        ),
    ]
