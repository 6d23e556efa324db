"""Points of light curves: the entries that an image does not show, and forced fits at known positions.

The catalogue grows by points of four kinds: blind measurements, which :mod:`trap.association.running_catalogue`
matches, and forced fits at entries that an image does not show, at members of crowded groups, and at monitored
positions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap import angles
from trap.association.entries import ENTRY, NOT_PART, CatalogueChanges, Descent, Kin
from trap.association.entry_arrays import EntryArrays
from trap.catalogues import Associations, AssociationType, Measurements

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from trap.association.entries import LightCurveKey
    from trap.images.skyregion import SkyRegion
    from trap.typing import Indices


__all__ = ["LightCurvePoints"]


class LightCurvePoints(EntryArrays):
    """Entries whose light curves grow timestep by timestep.

    Attributes
    ----------
    changes
        Changes since :meth:`begin_timestep`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.changes = CatalogueChanges(n_before=0)

    def begin_timestep(self) -> None:
        """Start a new record of changes."""
        self.changes = CatalogueChanges(n_before=self._n)

    def null_detections(
        self, region: SkyRegion, *, taustart: np.datetime64, associated: ArrayLike, expiration: int
    ) -> Indices:
        """Find the entries that an image covers but does not show.

        Parameters
        ----------
        region
            Sky region that the image covers.
        taustart
            Start of the image; only entries first seen strictly earlier count.
        associated
            Rows of the entries with a point from this image.
        expiration
            Number of forced fits since the last blind detection at which an entry is no longer measured.

        Returns
        -------
        (n,) — rows of the entries.
        """
        rows, _ = self.within(region)
        entries = self.entries[rows]
        is_missed = ~entries["mon_src"] & (entries["forcedfits_count"] < expiration) & ~self._is_ended(entries)
        # Marks for all entries instead of sets of rows: clearing a byte per entry is faster than sorting rows.
        is_seen = np.zeros(self._n, bool)
        is_seen[np.asarray(associated, np.intp)] = True
        # Clones inherited the points of their parents. Forks are in order of time, so a clone of a clone is marked too.
        for fork in self.changes.forks:
            is_seen[fork.clone] |= is_seen[fork.parent]
        # An image that shows a blend does not miss its parts, and vice versa.
        blends = self.entries["blend"][is_seen]
        is_seen_in_parts = np.zeros(self._n, bool)
        is_seen_in_parts[blends[blends != NOT_PART]] = True
        blend = entries["blend"]
        is_missed &= (entries["first_seen"] < taustart) & ~is_seen[rows]
        is_missed &= ~is_seen_in_parts[rows] & ~((blend != NOT_PART) & is_seen[blend])
        missed: Indices = rows[is_missed]
        return missed

    def add_null_detections(
        self, entry_rows: Indices, measured: Measurements, measurement_rows: Indices, key: LightCurveKey
    ) -> Associations:
        """Add forced fits at entries that the image does not show. They update flux densities, not positions.

        Parameters
        ----------
        entry_rows
            (m,) — rows of the entries.
        measured
            All forced fits of the image.
        measurement_rows
            (m,) — rows of ``measured``: the fit of row i is a point of entry i.
        key
            Band and Stokes parameter of the image.
        """
        return self._add_points(entry_rows, measured, measurement_rows, key, types=AssociationType.NULL_DETECTION)

    def add_joint(
        self,
        entry_rows: Indices,
        measured: Measurements,
        measurement_rows: Indices,
        key: LightCurveKey,
        kind: AssociationType,
    ) -> Associations:
        """Add the points of members of crowded groups to their light curves; positions stay.

        Parameters
        ----------
        entry_rows, measured, measurement_rows, key
            As for :meth:`add_null_detections`.
        kind
            Type of the points.
        """
        return self._add_points(entry_rows, measured, measurement_rows, key, types=kind)

    def add_first(
        self,
        entry_rows: Indices,
        measured: Measurements,
        measurement_rows: Indices,
        key: LightCurveKey,
        *,
        image: int,
        kind: AssociationType,
    ) -> Associations:
        """Add the first points of entries that :meth:`create_components` made.

        Parameters
        ----------
        entry_rows, measured, measurement_rows, key
            As for :meth:`add_null_detections`.
        image
            Number of the image within its timestep.
        kind
            Type of the points.
        """
        if entry_rows.size:
            self.changes.created.append((entry_rows, image, measurement_rows))
        return self._add_points(entry_rows, measured, measurement_rows, key, types=kind)

    def create_components(
        self, components: Measurements, taustart: np.datetime64, *, distance: float, shown: Indices
    ) -> Indices:
        """Create the entries of components that a joint fit has confirmed, unless another image has just done so.

        Parameters
        ----------
        components
            (m,) — blind measurements of the components.
        taustart
            Start of the image, UTC.
        distance
            deg — distance below which a component is the entry that another image of the timestep has added.
        shown
            Rows of the entries that the image shows otherwise; no component is one of these.

        Returns
        -------
        (m,) — rows of the entries; rows of earlier images are not first points.
        """
        places, rows = self.near(components.ra, components.dec, distance)
        fresh = (rows >= self.changes.n_before) & ~np.isin(rows, shown)
        entries, first = np.unique(rows[fresh], return_index=True)
        found = np.full(len(components), -1)
        # Each entry once, and each component once: two entries of one timestep are never both as close as this.
        found[places[fresh][first]] = entries
        missing = found < 0
        found[missing] = self.create(components.take(missing), taustart)
        return found

    def end_blend(self, blend: int, parts: Indices) -> None:
        """End the light curve of an entry that turned out to be several sources, and relate these to it.

        Parameters
        ----------
        blend
            Row of the entry.
        parts
            Rows of its parts, which are new in this timestep.
        """
        self._entries["blend"][parts] = blend
        self._entries["is_blend"][blend] = True
        self.changes.touched.append(np.array([blend, *parts]))
        # They were related to it as neighbours when they were created.
        self.changes.blends = [kin for kin in self.changes.blends if kin.entry not in set(parts.tolist())]
        self.changes.blends += [Kin(int(part), blend, Descent.PART) for part in parts]

    def relate_neighbours(self, entries: Indices, neighbours: Indices) -> None:
        """Record that entries appeared next to known ones.

        Parameters
        ----------
        entries, neighbours
            (n,) — rows of the new entries, and of the nearest known one of each.
        """
        self.changes.blends += [
            Kin(entry, neighbour, Descent.NEIGHBOUR)
            for entry, neighbour in zip(entries.tolist(), neighbours.tolist(), strict=True)
        ]

    def add_monitored(
        self, entry_rows: Indices, measured: Measurements, measurement_rows: Indices, key: LightCurveKey, *, first: bool
    ) -> Associations:
        """Add forced fits at monitored positions to the light curves of their entries.

        Parameters
        ----------
        entry_rows, measured, measurement_rows, key
            As for :meth:`add_null_detections`.
        first
            Whether these measurements created the entries. If so, ``datapoints`` includes them already.
        """
        if not first:
            self._entries["datapoints"][entry_rows] += 1
        kind = AssociationType.MONITOR_FIRST if first else AssociationType.MONITOR
        return self._add_points(entry_rows, measured, measurement_rows, key, types=kind)

    def create_monitored(
        self, measured: Measurements, measurement_rows: Indices, *, image: int, taustart: np.datetime64
    ) -> Indices:
        """Create the entries of monitored positions from their first measurements.

        Parameters
        ----------
        measured
            All forced fits of the image.
        measurement_rows
            (m,) — rows of ``measured`` that are first measurements.
        image
            Number of the image within its timestep.
        taustart
            Start of the image, UTC.

        Returns
        -------
        (m,) — rows of the entries.
        """
        rows = self.create(measured.take(measurement_rows), taustart)
        self._entries["mon_src"][rows] = True
        self.changes.created.append((rows, image, measurement_rows))
        return rows

    def count_forced_fits(self, missed: Indices, detected: Indices) -> None:
        """Count one more forced fit for entries that no image of the timestep shows.

        TraP counts every band, so that with N bands the expiration is reached N times as fast.

        Parameters
        ----------
        missed, detected
            Rows of entries with a null detection and with a blind detection, in any image of the timestep.
        """
        self._entries["forcedfits_count"][detected] = 0
        if missed.size:
            self._entries["forcedfits_count"][np.setdiff1d(missed, detected)] += 1

    def create(self, measured: Measurements, taustart: np.datetime64) -> Indices:
        """Append one entry per measurement, at its position, without a point.

        Parameters
        ----------
        measured
            (m,) — measurements.
        taustart
            Start of their image, UTC.

        Returns
        -------
        (m,) — rows of the entries.
        """
        new = np.zeros(len(measured), ENTRY)
        new["wm_ra"], new["wm_dec"] = angles.wrap_ra(measured.ra), measured.dec
        new["weight_ew"], new["weight_ns"] = 1 / measured.uncertainty_ew**2, 1 / measured.uncertainty_ns**2
        new["avg_ra_err"], new["avg_dec_err"] = measured.uncertainty_ew, measured.uncertainty_ns
        new["datapoints"], new["first_seen"], new["active"], new["blend"] = 1, taustart, True, NOT_PART
        return self.extend(new)

    def _add_points(
        self,
        entry_rows: Indices,
        measured: Measurements,
        measurement_rows: Indices,
        key: LightCurveKey,
        *,
        types: ArrayLike,
        de_ruiter_radius: ArrayLike = 0.0,
        distance_arcsec: ArrayLike = 0.0,
    ) -> Associations:
        """Add one point to the light curve of each entry; parameters as for :meth:`add_null_detections`."""
        added = self._add_to_curves(key, entry_rows, measured, measurement_rows)
        self.changes.touched.append(entry_rows)
        return Associations.of(
            entry=entry_rows,
            measurement=measurement_rows,
            type=types,
            de_ruiter_radius=de_ruiter_radius,
            distance_arcsec=distance_arcsec,
            **added,
        )
