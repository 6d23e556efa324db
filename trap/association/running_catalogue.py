"""Everything known of every source so far: the running catalogue, in memory.

An *entry* is one row: its weighted mean position, how often it was seen, and per band and Stokes
the streamed statistics of its light curve. Updating it costs what the new points cost, however
long the light curves are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trap import angles
from trap.association.blends import Known, resolve_blends
from trap.association.entries import ENTRY, NOT_PART, CatalogueChanges, Descent, Fork, Kin
from trap.association.pairs import Positions, find_pairs
from trap.association.sky_index import SkyIndex
from trap.catalogues import Associations, AssociationType, Measurements
from trap.variability.constancy import compare_with_constant
from trap.variability.metrics import FLUX_STATISTICS, add_points, eta_p_value, modulation_v, weighted_eta

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from trap.association.blends import Resolution
    from trap.association.entries import LightCurveKey
    from trap.association.pairs import CandidatePairs
    from trap.images.skyregion import SkyRegion
    from trap.typing import Ids, Indices
    from trap.variability.constancy import Constancy


__all__ = ["RunningCatalogue"]


class RunningCatalogue:
    """Growing arrays of entries and of their light-curve statistics.

    Attributes
    ----------
    changes
        What was changed since :meth:`begin_timestep`.
    """

    def __init__(self) -> None:
        self._n = 0
        self._entries = np.zeros(0, ENTRY)
        self._fluxes: dict[LightCurveKey, NDArray[Any]] = {}
        self._index = SkyIndex()
        self.changes = CatalogueChanges(n_before=0)

    def __len__(self) -> int:
        return self._n

    @property
    def entries(self) -> NDArray[Any]:
        """(n,) of :data:`ENTRY`, read-only — all rows, including forked ones, which are not ``active``."""
        return _read_only(self._entries[: self._n])

    @property
    def light_curves(self) -> tuple[LightCurveKey, ...]:
        """Bands and Stokes parameters in which anything was measured, in order."""
        return tuple(sorted(self._fluxes))

    def fluxes(self, key: LightCurveKey) -> NDArray[Any]:
        """Return the statistics of all entries' light curves in one band and Stokes parameter.

        Returns
        -------
        (n,) of :data:`~trap.variability.metrics.FLUX_STATISTICS`, read-only; ``n`` is 0 for an entry without points.
        """
        return _read_only(self._curves(key))

    def _curves(self, key: LightCurveKey) -> NDArray[Any]:
        """Return the writable statistics of a band and Stokes parameter, adding them if they are new."""
        if key not in self._fluxes:
            self._fluxes[key] = np.zeros(len(self._entries), FLUX_STATISTICS)
        return self._fluxes[key][: self._n]

    def assign_ids(self, n_before: int, ids: Ids) -> None:
        """Record the row numbers that the database gave to new entries.

        Parameters
        ----------
        n_before
            Number of entries that have row numbers already; they come first.
        ids
            (n - n_before,) — row numbers of the other entries, in order.
        """
        self._entries["id"][n_before : self._n] = ids

    def load_fluxes(self, key: LightCurveKey, rows: Indices, statistics: NDArray[Any]) -> None:
        """Replace the statistics of light curves by stored values.

        Parameters
        ----------
        key
            Band and Stokes parameter.
        rows
            (m,) — entries.
        statistics
            (m,) of :data:`~trap.variability.metrics.FLUX_STATISTICS`.
        """
        self._curves(key)[rows] = statistics

    def positions(self, rows: Indices) -> Positions:
        """Weighted mean positions of some rows, with their errors."""
        picked = self.entries[rows]
        return Positions(
            ra=picked["wm_ra"],
            dec=picked["wm_dec"],
            uncertainty_ew=1 / np.sqrt(picked["weight_ew"]),
            uncertainty_ns=1 / np.sqrt(picked["weight_ns"]),
        )

    def begin_timestep(self) -> None:
        """Forget which rows were changed so far."""
        self.changes = CatalogueChanges(n_before=self._n)

    def extend(self, entries: NDArray[Any]) -> Indices:
        """Append entries as they are, without light curves; returns their rows.

        Parameters
        ----------
        entries
            (m,) of :data:`ENTRY`.
        """
        rows = np.arange(self._n, self._n + len(entries))
        self._n += len(entries)
        if self._n > len(self._entries):
            capacity = max(256, 2 * self._n)
            self._entries = _grown(self._entries, capacity)
            self._fluxes = {key: _grown(curves, capacity) for key, curves in self._fluxes.items()}
        self._entries[rows] = entries
        self._index.add(entries["wm_ra"], entries["wm_dec"])
        return rows

    def associate(
        self,
        measured: Measurements,
        *,
        image: int,
        key: LightCurveKey,
        taustart: np.datetime64,
        search_radius: float,
        max_radius: float,
    ) -> Associations:
        """Join the blind measurements of one image to the entries, making and forking entries.

        Parameters
        ----------
        measured
            All with finite fluxes and errors.
        image
            Number of the image within its timestep.
        key
            Band and Stokes parameter of the image.
        taustart
            Start of the image, UTC.
        search_radius
            deg — farthest distance of a pair.
        max_radius
            Largest de Ruiter radius of a pair.

        Returns
        -------
        One row per new light-curve point; a measurement may appear in several light curves.
        """
        found = self._resolve(measured, key, search_radius, max_radius)
        pairs = found.pairs
        rows, forked = self._fork(pairs, image)
        self._update_positions(rows, measured, pairs)
        is_new = np.ones(len(measured), bool)
        is_new[pairs.measurement] = False
        unmatched = np.flatnonzero(is_new)
        new = self._create(measured.take(unmatched), taustart)
        if new.size:
            self.changes.created.append((new, image, unmatched))
        kinds = self._relate(new, unmatched, found)
        none = np.zeros(len(new))
        return self._add_points(
            np.concatenate([rows, new]),
            measured,
            np.concatenate([pairs.measurement, unmatched]),
            key,
            types=np.concatenate([np.where(forked, AssociationType.FORKED, AssociationType.ONE_TO_ONE), kinds]),
            de_ruiter_radius=np.concatenate([pairs.de_ruiter_radius, none]),
            distance_arcsec=np.concatenate([pairs.distance * 3600.0, none]),
        )

    def within(self, region: SkyRegion) -> tuple[Indices, NDArray[np.float64]]:
        """Find the entries in a region, and their distances from its centre [deg]."""
        _, rows = self._index.near([region.centre_ra], [region.centre_dec], region.xtr_radius)
        entries = self.entries[rows]
        distance = angles.separation(entries["wm_ra"], entries["wm_dec"], region.centre_ra, region.centre_dec)
        inside = entries["active"] & (distance < region.xtr_radius)
        return rows[inside], distance[inside]

    def constancy(self) -> Constancy | None:
        """Compare all light curves with those of constant sources; a blend and its parts each have their own."""
        is_there = self.entries["active"]
        p_values = [eta_p_value(self.fluxes(key)[is_there]) for key in self.light_curves]
        return compare_with_constant(np.concatenate([np.empty(0), *p_values]))

    def null_detections(
        self, region: SkyRegion, *, taustart: np.datetime64, associated: ArrayLike, expiration: int
    ) -> Indices:
        """Find the entries that an image should have shown and did not.

        Parameters
        ----------
        region
            Sky that the image covers.
        taustart
            Start of the image; only entries first seen strictly earlier are missed.
        associated
            Indices that got a point from this image.
        expiration
            Entries with this many forced fits since their last blind detection are let go.
        """
        rows, _ = self.within(region)
        entries = self.entries[rows]
        missed = ~entries["mon_src"] & (entries["forcedfits_count"] < expiration)
        # Marks rather than sets of rows: one byte an entry is sooner cleared than rows are sorted.
        is_seen = np.zeros(self._n, bool)
        is_seen[np.asarray(associated, np.intp)] = True
        # Clones inherited the points of what they replaced; in order of time, so that a clone's own come after it.
        for fork in self.changes.forks:
            is_seen[fork.clone] |= is_seen[fork.parent]
        # Who has seen a blend or its parts has not missed the others.
        blends = self.entries["blend"][is_seen]
        is_seen_in_parts = np.zeros(self._n, bool)
        is_seen_in_parts[blends[blends != NOT_PART]] = True
        blend = entries["blend"]
        missed &= (entries["first_seen"] < taustart) & ~is_seen[rows]
        missed &= ~is_seen_in_parts[rows] & ~((blend != NOT_PART) & is_seen[blend])
        found: Indices = rows[missed]
        return found

    def add_null_detections(
        self, rows: Indices, measured: Measurements, measurements: Indices, key: LightCurveKey
    ) -> Associations:
        """Add forced fits at entries that were not detected: fluxes only, the position stays."""
        return self._add_points(rows, measured, measurements, key, types=AssociationType.NULL_DETECTION)

    def add_backward_fits(
        self, rows: Indices, measured: Measurements, measurements: Indices, key: LightCurveKey
    ) -> Associations:
        """Add forced fits in an earlier image at entries that are new now."""
        return self._add_points(rows, measured, measurements, key, types=AssociationType.BACKWARD)

    def add_monitored(
        self, rows: Indices, measured: Measurements, measurements: Indices, key: LightCurveKey, *, first: bool
    ) -> Associations:
        """Add forced fits at monitored positions to the light curves of their entries."""
        if not first:
            self._entries["datapoints"][rows] += 1
        kind = AssociationType.MONITOR_FIRST if first else AssociationType.MONITOR
        return self._add_points(rows, measured, measurements, key, types=kind)

    def create_monitored(
        self, measured: Measurements, measurements: Indices, *, image: int, taustart: np.datetime64
    ) -> Indices:
        """Make the entries of monitored positions from their first measurements."""
        rows = self._create(measured.take(measurements), taustart)
        self._entries["mon_src"][rows] = True
        self.changes.created.append((rows, image, measurements))
        return rows

    def count_forced_fits(self, missed: Indices, detected: Indices) -> None:
        """Count one more forced fit for entries that were missed in every image of the timestep.

        TraP counts every band, so that N bands use up the expiration N times as fast.
        """
        if missed.size:
            self._entries["forcedfits_count"][np.setdiff1d(missed, detected)] += 1

    def _resolve(
        self, measured: Measurements, key: LightCurveKey, search_radius: float, max_radius: float
    ) -> Resolution:
        measurements, rows = self._index.near(measured.ra, measured.dec, search_radius)
        known = self.entries[rows]
        candidate = known["active"] & ~known["mon_src"]
        near = measurements[candidate], rows[candidate]
        positions = Positions(
            ra=measured.ra,
            dec=measured.dec,
            uncertainty_ew=measured.uncertainty_ew,
            uncertainty_ns=measured.uncertainty_ns,
        )
        pairs = find_pairs(positions, near, self.positions(near[1]), search_radius=search_radius, max_radius=max_radius)
        others = tuple(self.fluxes(other) for other in self.light_curves if other != key)
        return resolve_blends(pairs, near, measured, Known(self.entries, self.fluxes(key), others, max_radius))

    def _relate(self, new: Indices, measurements: Indices, found: Resolution) -> NDArray[np.int64]:
        """Tell new entries which blend they are a part of, or of which parts they are the blend.

        Returns the type of the first point of each.
        """
        kinds = np.full(len(new), int(AssociationType.NEW_SOURCE))
        row_of = dict(zip(measurements.tolist(), range(len(new)), strict=True))
        # Blends that become known are few.
        for part, blend in zip(*found.parts, strict=True):
            kinds[row_of[int(part)]] = AssociationType.PART
            self._make_part(int(new[row_of[int(part)]]), int(blend), Descent.PART)
        for measurement, parts in found.merges:
            kinds[row_of[measurement]] = AssociationType.BLEND
            for part in parts:
                self._make_part(part, int(new[row_of[measurement]]), Descent.BLEND)
        return kinds

    def _make_part(self, part: int, blend: int, kind: Descent) -> None:
        self._entries["blend"][part] = blend
        self._entries["is_blend"][blend] = True
        self.changes.touched.append(np.array([part, blend]))
        self.changes.blends.append(Kin(part, blend, kind) if kind == Descent.PART else Kin(blend, part, kind))

    def _fork(self, pairs: CandidatePairs, image: int) -> tuple[Indices, NDArray[np.bool_]]:
        """Replace each entry that several measurements claim by one clone per measurement.

        A clone inherits every band's light curve, and since when it is known. Returns the row that
        each pair now belongs to, and which pairs were forked.
        """
        _, number, claims = np.unique(pairs.entry, return_inverse=True, return_counts=True)
        forked = claims[number] > 1
        rows = pairs.entry.copy()
        if not forked.any():
            return rows, forked
        parents = pairs.entry[forked]
        clones = self._entries[parents]
        clones["id"] = 0
        rows[forked] = self.extend(clones)
        for curves in self._fluxes.values():
            curves[rows[forked]] = curves[parents]
        self._entries["active"][parents] = False
        generation = {fork.clone: fork.generation for fork in self.changes.forks}
        self.changes.forks += [
            Fork(int(parent), int(clone), generation.get(int(parent), 0) + 1)
            for parent, clone in zip(parents, rows[forked], strict=True)
        ]
        self.changes.created.append((rows[forked], image, pairs.measurement[forked]))
        return rows, forked

    def _create(self, measured: Measurements, taustart: np.datetime64) -> Indices:
        new = np.zeros(len(measured), ENTRY)
        new["wm_ra"], new["wm_dec"] = angles.wrap_ra(measured.ra), measured.dec
        new["weight_ew"], new["weight_ns"] = 1 / measured.uncertainty_ew**2, 1 / measured.uncertainty_ns**2
        new["avg_ra_err"], new["avg_dec_err"] = measured.uncertainty_ew, measured.uncertainty_ns
        new["datapoints"], new["first_seen"], new["active"], new["blend"] = 1, taustart, True, NOT_PART
        return self.extend(new)

    def _update_positions(self, rows: Indices, measured: Measurements, pairs: CandidatePairs) -> None:
        """Move each entry towards its new measurement by their weights, along the sphere."""
        before = self.entries[rows]
        error_ew, error_ns = (error[pairs.measurement] for error in (measured.uncertainty_ew, measured.uncertainty_ns))
        weight_ew, weight_ns = 1 / error_ew**2, 1 / error_ns**2
        ra, dec = measured.ra[pairs.measurement], measured.dec[pairs.measurement]
        # The pairs' offsets have the directions of the middle between the two.
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

    def _add_points(
        self,
        rows: Indices,
        measured: Measurements,
        measurements: Indices,
        key: LightCurveKey,
        *,
        types: ArrayLike,
        de_ruiter_radius: ArrayLike = 0.0,
        distance_arcsec: ArrayLike = 0.0,
    ) -> Associations:
        curves = self._curves(key)
        columns = {"f_peak": (measured.f_peak, measured.f_peak_err), "f_int": (measured.f_int, measured.f_int_err)}
        picked = {name: (values[measurements], errors[measurements]) for name, (values, errors) in columns.items()}
        add_points(curves, rows, picked)
        self.changes.touched.append(rows)
        now = curves[rows]
        return Associations.of(
            entry=rows,
            measurement=measurements,
            type=types,
            de_ruiter_radius=de_ruiter_radius,
            distance_arcsec=distance_arcsec,
            v_int=modulation_v(now),
            eta_int=weighted_eta(now),
            f_datapoints=now["n"],
        )


def _read_only(values: NDArray[Any]) -> NDArray[Any]:
    view = values.view()
    view.flags.writeable = False
    return view


def _grown(values: NDArray[Any], capacity: int) -> NDArray[Any]:
    larger = np.zeros(capacity, values.dtype)
    larger[: len(values)] = values
    return larger
