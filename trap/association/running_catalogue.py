"""The running catalogue in memory: all sources so far, with their positions and light curves.

An *entry* is one row: its weighted mean position, its number of detections, and for each band and
Stokes parameter the streamed statistics of its light curve. The cost of an update depends on the
number of new points, not on the length of the light curves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from trap import angles
from trap.association.assignment import assign
from trap.association.blends import Resolution, resolve_blends
from trap.association.entries import NOT_PART, Descent, Fork, Kin
from trap.association.groups import GroupMembers, find_groups
from trap.association.hypotheses import KnownEntries
from trap.association.light_curve_points import LightCurvePoints
from trap.association.pairs import Positions, find_pairs
from trap.catalogues import Associations, AssociationType, Measurements
from trap.variability.constancy import compare_with_constant
from trap.variability.metrics import eta_p_value, modulation_index
from trap.variability.shared_errors import INDEPENDENT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.association.entries import LightCurveKey
    from trap.association.hypotheses import ImageLimits
    from trap.association.pairs import CandidatePairs
    from trap.config.sections import AssociationMethod
    from trap.typing import Indices
    from trap.variability.constancy import Constancy
    from trap.variability.shared_errors import SharedErrors


__all__ = ["ImageAssociation", "RunningCatalogue"]


class ImageAssociation(NamedTuple):
    """Blind measurements of one image joined to entries.

    Parameters
    ----------
    points
        One row per new point of a light curve.
    members
        Members of the groups that the image does not show one-to-one; their points wait for a joint fit.
    """

    points: Associations
    members: GroupMembers


class RunningCatalogue(LightCurvePoints):
    """Catalogue entries and their light curves, updated image by image.

    Attributes
    ----------
    shared_errors
        Errors that neighbouring epochs share, as the latest complete run of the dataset has measured them; bands and
        Stokes parameters that are not among them have independent errors.
    """

    def __init__(self) -> None:
        super().__init__()
        self.shared_errors: dict[tuple[int, int], SharedErrors] = {}

    def associate(
        self,
        measured: Measurements,
        *,
        image: int,
        key: LightCurveKey,
        taustart: np.datetime64,
        search_radius: float,
        max_radius: float,
        limits: ImageLimits,
        method: AssociationMethod,
    ) -> ImageAssociation:
        """Join the blind measurements of one image to the entries, creating and perhaps forking entries.

        Parameters
        ----------
        measured
            Blind measurements of the image; all flux densities and errors are finite.
        image
            Number of the image within its timestep.
        key
            Band and Stokes parameter of the image.
        taustart
            Start of the image, UTC.
        search_radius
            deg — largest distance of a pair.
        max_radius
            Largest de Ruiter radius of a pair.
        limits
            Sources that the image cannot show apart, or at all.
        method
            One-to-one assignment, or TraP's forks: with these, a measurement may appear in several light curves.
        """
        resolution = self._resolve(measured, key, (search_radius, max_radius), limits, method)
        pairs = resolution.pairs
        members = GroupMembers.empty()
        if limits.groups is not None:
            members = find_groups(pairs, measured, self, key, limits.groups)
        waits = np.isin(np.arange(len(measured)), members.measurement)
        pairs = pairs.take(~waits[pairs.measurement])
        matched_rows, is_forked = self._fork(pairs, image)
        self._update_positions(matched_rows, measured, pairs)
        is_unmatched = np.ones(len(measured), bool)
        is_unmatched[pairs.measurement] = False
        is_unmatched &= ~waits
        unmatched = np.flatnonzero(is_unmatched)
        new_rows = self.create(measured.take(unmatched), taustart)
        if new_rows.size:
            self.changes.created.append((new_rows, image, unmatched))
        new_types = self._relate(new_rows, unmatched, resolution)
        matched_types = np.where(is_forked, AssociationType.FORKED, AssociationType.ONE_TO_ONE)
        no_distance = np.zeros(len(new_rows))
        points = self._add_points(
            np.concatenate([matched_rows, new_rows]),
            measured,
            np.concatenate([pairs.measurement, unmatched]),
            key,
            types=np.concatenate([matched_types, new_types]),
            de_ruiter_radius=np.concatenate([pairs.de_ruiter_radius, no_distance]),
            distance_arcsec=np.concatenate([pairs.distance * 3600.0, no_distance]),
        )
        return ImageAssociation(points, members)

    def constancy(self) -> Constancy | None:
        """Compare all light curves with constant sources; a blend and each of its parts count separately."""
        is_active = self.entries["active"]
        p_values, scatter = [np.empty(0)], [np.empty(0)]
        for key in self.light_curves:
            curves = self.fluxes(key)[is_active]
            freedom = self.shared_errors.get(key, INDEPENDENT).freedom(curves["n"])
            p_values.append(eta_p_value(curves, freedom=freedom))
            scatter.append(modulation_index(curves)[0])
        return compare_with_constant(np.concatenate(p_values), np.concatenate(scatter))

    def _resolve(
        self, measured: Measurements, key: LightCurveKey, radii: tuple[float, float], limits: ImageLimits, method: str
    ) -> Resolution:
        """Identify the measurements of an image: pairs with entries, and the relations of new entries to known ones."""
        search_radius, max_radius = radii
        near = self.near(measured.ra, measured.dec, search_radius)
        pairs = find_pairs(
            Positions.of_measurements(measured),
            near,
            self.positions(near[1]),
            search_radius=search_radius,
            max_radius=max_radius,
            coincidence=limits.coincidence,
        )
        others = tuple(self.fluxes(other) for other in self.light_curves if other != key)
        known = KnownEntries(self.entries, self.fluxes(key), others, max_radius, limits)
        if method == "trap":
            return resolve_blends(pairs, near, measured, known)
        assigned = assign(pairs, measured, known)
        return Resolution(assigned.pairs, neighbours=(assigned.measurements, assigned.neighbours))

    def _relate(self, new_rows: Indices, measurement_rows: Indices, resolution: Resolution) -> NDArray[np.int64]:
        """Record the relations (part of, blend of, or neighbour of) of new entries.

        Returns the type of the first point of each new entry, (n,).
        """
        types = np.full(len(new_rows), int(AssociationType.NEW_SOURCE))
        place_of = {measurement: place for place, measurement in enumerate(measurement_rows.tolist())}
        # A loop is affordable: new blends are few.
        for measurement, blend in zip(*resolution.parts, strict=True):
            place = place_of[int(measurement)]
            types[place] = AssociationType.PART
            self._make_part(int(new_rows[place]), int(blend), Descent.PART)
        for measurement, parts in resolution.merges:
            place = place_of[measurement]
            types[place] = AssociationType.BLEND
            for part in parts:
                self._make_part(part, int(new_rows[place]), Descent.BLEND)
        for measurement, entry in zip(*resolution.neighbours, strict=True):
            # A component of a group that waits for its joint fit has no entry yet.
            if int(measurement) in place_of:
                self.changes.blends.append(
                    Kin(int(new_rows[place_of[int(measurement)]]), int(entry), Descent.NEIGHBOUR)
                )
        return types

    def _make_part(self, part: int, blend: int, kind: Descent) -> None:
        """Record that one entry is a part of another; ``kind`` names the newer of the two."""
        self._entries["blend"][part] = blend
        self._entries["is_blend"][blend] = True
        self.changes.touched.append(np.array([part, blend]))
        self.changes.blends.append(Kin(part, blend, kind) if kind == Descent.PART else Kin(blend, part, kind))

    def _fork(self, pairs: CandidatePairs, image: int) -> tuple[Indices, NDArray[np.bool_]]:
        """Replace each entry that several measurements match by one clone per measurement.

        A clone inherits the light curves of all bands, and the time of the first detection.

        Returns
        -------
        rows
            (n_pairs,) — row of the entry that each pair now belongs to.
        is_forked
            (n_pairs,) — whether that entry is a clone.
        """
        _, number, n_matches = np.unique(pairs.entry, return_inverse=True, return_counts=True)
        is_forked = n_matches[number] > 1
        rows = pairs.entry.copy()
        if not is_forked.any():
            return rows, is_forked
        parent_rows = pairs.entry[is_forked]
        clones = self._entries[parent_rows]
        clones["id"], clones["is_blend"] = 0, False
        self._dissolve(parent_rows[self._entries["is_blend"][parent_rows]])
        clone_rows = rows[is_forked] = self.extend(clones)
        for curves in self._fluxes.values():
            curves[clone_rows] = curves[parent_rows]
        self._entries["active"][parent_rows] = False
        generation = {fork.clone: fork.generation for fork in self.changes.forks}
        self.changes.forks += [
            Fork(int(parent), int(clone), generation.get(int(parent), 0) + 1)
            for parent, clone in zip(parent_rows, clone_rows, strict=True)
        ]
        self.changes.created.append((clone_rows, image, pairs.measurement[is_forked]))
        return rows, is_forked

    def _dissolve(self, blends: Indices) -> None:
        """Make the parts of forked blends single sources: the clones of a blend are several, and none has their sum."""
        if blends.size:
            parts = np.flatnonzero(self.entries["active"] & np.isin(self.entries["blend"], blends))
            self._entries["blend"][parts] = NOT_PART
            self.changes.touched.append(parts)

    def _update_positions(self, rows: Indices, measured: Measurements, pairs: CandidatePairs) -> None:
        """Update the weighted mean position of each entry with its new measurement, along the sphere.

        Parameters
        ----------
        rows
            (n_pairs,) — rows of the entries.
        measured
            Measurements of the image.
        pairs
            (n_pairs,) — pairs of these entries and measurements.
        """
        before = self.entries[rows]
        error_ew, error_ns = (error[pairs.measurement] for error in (measured.uncertainty_ew, measured.uncertainty_ns))
        weight_ew, weight_ns = 1 / error_ew**2, 1 / error_ns**2
        ra, dec = measured.ra[pairs.measurement], measured.dec[pairs.measurement]
        # The offsets of the pairs are not used: they refer to the point midway between entry and measurement.
        east, north = angles.displacement(ra, dec, before["wm_ra"], before["wm_dec"])
        after = before.copy()
        after["weight_ew"] += weight_ew
        after["weight_ns"] += weight_ns
        after["datapoints"] += 1
        after["wm_ra"], after["wm_dec"] = angles.move(
            before["wm_ra"],
            before["wm_dec"],
            east * weight_ew / after["weight_ew"],
            north * weight_ns / after["weight_ns"],
        )
        for name, error in (("avg_ra_err", error_ew), ("avg_dec_err", error_ns)):
            after[name] += (error - before[name]) / after["datapoints"]
        after["forcedfits_count"] = 0
        self._entries[rows] = after
        self._index.move(rows, after["wm_ra"], after["wm_dec"])
