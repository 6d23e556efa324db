"""The running catalogue in the database: entries, flux statistics, light curves and forks.

The state in memory is authoritative. It is stored to the last bit, together with the averages that TraP's users query.
Only forks are executed in SQL, since clones inherit points that are in the database alone.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import delete, insert, literal, select

from trap import angles
from trap.association.entries import NOT_PART
from trap.catalogues import AssociationType
from trap.db.bulk import given_pairs, insert_columns, is_among, nullable, reserve_ids, update_columns, upsert_columns
from trap.db.models import (
    AssocSkyRegion,
    AssocXtrSource,
    Lineage,
    Monitor,
    NewSource,
    RunningCatalog,
    RunningCatalogFlux,
)
from trap.db.models.base import stored_names
from trap.flux_statistics import FLUX_COLUMNS, FLUX_STATISTICS
from trap.signs import Signs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from trap.association.entries import CatalogueChanges, Fork
    from trap.catalogues import Associations, NewSources, RegionLinks
    from trap.dataset.records import TimestepRecord
    from trap.dataset.state import DatasetState
    from trap.typing import Ids


__all__ = [
    "fork_entries",
    "insert_associations",
    "insert_entries",
    "insert_lineage",
    "insert_new_sources",
    "link_monitors",
    "link_regions",
    "save_fluxes",
    "update_entries",
]


def insert_entries(
    connection: Connection, dataset_id: int, state: DatasetState, changes: CatalogueChanges, references: Ids
) -> Ids:
    """Insert all entries created in a timestep, including any that were forked again within it.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    state
        State of the dataset after the timestep.
    changes
        Changes of the running catalogue in the timestep.
    references
        (n_created,) — row number of the measurement that created each entry, in order of catalogue rows.

    Returns
    -------
    (n_all,) — row number of every entry of the catalogue in memory, old and new.
    """
    entries = state.catalogue.entries
    ids: Ids = entries["id"].copy()
    new = slice(changes.n_before, None)
    ids[new] = reserve_ids(connection, RunningCatalog, len(entries) - changes.n_before)
    parents = {fork.clone - changes.n_before: int(ids[fork.parent]) for fork in changes.forks}
    columns = {
        "id": ids[new],
        "xtrsrc": references,
        "dataset": dataset_id,
        "parent": [parents.get(row) for row in range(len(entries) - changes.n_before)],
        "first_seen": entries["first_seen"][new],
        "mon_src": entries["mon_src"][new],
        **_entry_columns(entries[new], ids),
    }
    insert_columns(connection, RunningCatalog, columns)
    return ids


def update_entries(connection: Connection, state: DatasetState, changes: CatalogueChanges, ids: Ids) -> None:
    """Store the new values of entries that existed before the timestep.

    Parameters
    ----------
    connection, state
        Connection in a transaction of the caller, and state of the dataset after the timestep.
    changes
        Changes of the running catalogue in the timestep.
    ids
        (n_all,) — row number of every entry, as :func:`insert_entries` returns them.
    """
    rows = changes.updated
    columns = {"id": ids[rows], **_entry_columns(state.catalogue.entries[rows], ids)}
    update_columns(connection, RunningCatalog, columns)


def save_fluxes(
    connection: Connection, state: DatasetState, record: TimestepRecord, ids: Ids, bands: Sequence[int]
) -> None:
    """Store the changed flux statistics: of new entries in every band, of older entries in the bands of the timestep.

    Parameters
    ----------
    connection, state
        Connection in a transaction of the caller, and state of the dataset after the timestep.
    record
        The timestep.
    ids
        (n_all,) — row number of every entry, as :func:`insert_entries` returns them.
    bands
        Row number of every band of the dataset.
    """
    changes = record.changes
    created = np.setdiff1d(np.arange(changes.n_before, len(ids)), changes.removed)
    measured = {image.key for image in record.images}
    parts: list[tuple[NDArray[Any], Ids, int, int]] = []
    for key in state.catalogue.light_curves:
        rows = np.concatenate([created, changes.updated]) if key in measured else created
        curves = state.catalogue.fluxes(key)[rows]
        filled = curves["n"] > 0
        parts.append((curves[filled], ids[rows[filled]], bands[key.band], key.stokes))
    lengths = [len(curves) for curves, _, _, _ in parts]
    statistics = np.concatenate([np.empty(0, FLUX_STATISTICS), *(curves for curves, _, _, _ in parts)])
    columns = {
        "runcat": np.concatenate([np.empty(0, np.int64), *(runcat for _, runcat, _, _ in parts)]),
        "band": np.repeat(np.array([band for _, _, band, _ in parts], np.int64), lengths),
        "stokes": np.repeat(np.array([stokes for _, _, _, stokes in parts], np.int64), lengths),
        **_flux_columns(statistics),
    }
    upsert_columns(connection, RunningCatalogFlux, columns, key=("runcat", "band", "stokes"))


def insert_associations(connection: Connection, associations: Associations, ids: Ids, measurement_ids: Ids) -> None:
    """Insert points of light curves.

    Parameters
    ----------
    connection
        Open connection; the caller owns the transaction.
    associations
        Points of a whole timestep; ``measurement`` is a position in ``measurement_ids``.
    ids
        (n_all,) — row number of every entry, as :func:`insert_entries` returns them.
    measurement_ids
        Row numbers of the measurements of the timestep.
    """
    columns = {
        "runcat": ids[associations.entry],
        "xtrsrc": measurement_ids[associations.measurement],
        "type": associations.type,
        "distance_arcsec": associations.distance_arcsec,
        "r": associations.de_ruiter_radius,
        "v_int": associations.v_int,
        "eta_int": associations.eta_int,
        "f_datapoints": associations.f_datapoints,
    }
    insert_columns(connection, AssocXtrSource, columns)


def insert_new_sources(connection: Connection, new_sources: NewSources, ids: Ids, measurement_ids: Ids) -> None:
    """Insert transient candidates.

    Parameters
    ----------
    connection, ids, measurement_ids
        As for :func:`insert_associations`.
    new_sources
        Candidates of a whole timestep; ``measurement`` is a position in ``measurement_ids``.
    """
    columns = {
        "runcat": ids[new_sources.entry],
        "trigger_xtrsrc": measurement_ids[new_sources.measurement],
        "previous_limits_image": new_sources.previous_limits_image,
        "newsource_type": new_sources.newsource_type,
        "n_looks": new_sources.n_looks,
        "n_measured": new_sources.n_measured,
        "grade": new_sources.grade,
        **{
            name: nullable(getattr(new_sources, name))
            for name in ("sigma_local", "newness", "upper_limit", "noise_peaks", *Signs.columns())
        },
    }
    insert_columns(connection, NewSource, columns)


def fork_entries(connection: Connection, forks: Sequence[Fork], ids: Ids) -> None:
    """Copy the points and candidates of forked entries to their clones, and delete the forked entries.

    A clone may be forked by a later image of the same timestep, so that forks are executed generation by generation.

    Parameters
    ----------
    connection, forks
        Connection in a transaction of the caller, and forks of the timestep.
    ids
        (n_all,) — row number of every entry, as :func:`insert_entries` returns them.
    """
    generations: dict[int, list[Fork]] = defaultdict(list)
    for fork in forks:
        generations[fork.generation].append(fork)
    for _, generation in sorted(generations.items()):
        _inherit(connection, ids[[fork.parent for fork in generation]], ids[[fork.clone for fork in generation]])
    if forks:
        parents = np.unique(ids[[fork.parent for fork in forks]])
        connection.execute(delete(RunningCatalog).where(is_among(connection, RunningCatalog.id, parents)))


def insert_lineage(connection: Connection, timestep: int, changes: CatalogueChanges, ids: Ids) -> None:
    """Record the origin of entries: forks, blends, parts of blends and neighbours.

    Parameters
    ----------
    connection, timestep
        Connection in a transaction of the caller, and row number of the timestep.
    changes
        Changes of the running catalogue in the timestep.
    ids
        (n_all,) — row number of every entry, as :func:`insert_entries` returns them.
    """
    kin = np.array(changes.lineage, np.int64).reshape(-1, 3)
    columns = {"timestep": timestep, "runcat": ids[kin[:, 0]], "origin": ids[kin[:, 1]], "kind": kin[:, 2]}
    insert_columns(connection, Lineage, columns)


def link_regions(connection: Connection, links: RegionLinks, ids: Ids, regions: Sequence[int]) -> None:
    """Record the sky regions that cover entries.

    Parameters
    ----------
    connection, links
        Connection in a transaction of the caller, and new links.
    ids
        (n_all,) — row number of every entry, as :func:`insert_entries` returns them.
    regions
        Row number of every region of the dataset.
    """
    columns = {
        "runcat": ids[links.entry],
        "skyrgn": np.array(regions, np.int64)[links.region],
        "distance_deg": nullable(links.distance),
    }
    insert_columns(connection, AssocSkyRegion, columns)


def link_monitors(connection: Connection, state: DatasetState, changes: CatalogueChanges, ids: Ids) -> None:
    """Record the entries of monitored positions that were first measured in this timestep.

    Parameters
    ----------
    connection, state, changes, ids
        As for :func:`update_entries`.
    """
    fresh = state.monitor_entries >= changes.n_before
    columns = {"id": state.monitors.id[fresh], "runcat": ids[state.monitor_entries[fresh]]}
    update_columns(connection, Monitor, columns)


def _inherit(connection: Connection, parents: Ids, clones: Ids) -> None:
    """Copy the points and candidates of parents to their clones."""
    pairs = given_pairs(connection, parents, clones)
    point, candidate = AssocXtrSource, NewSource
    # Sorted, so that databases with the same history have their rows in the same order.
    points = (
        select(
            pairs.c.second,
            point.xtrsrc,
            literal(int(AssociationType.INHERITED)),
            *(point.distance_arcsec, point.r, point.v_int, point.eta_int, point.f_datapoints),
        )
        .join(pairs, pairs.c.first == point.runcat)
        .order_by(pairs.c.second, point.id)
    )
    names = ["runcat", "xtrsrc", "type", "distance_arcsec", "r", "v_int", "eta_int", "f_datapoints"]
    connection.execute(insert(point).from_select(names, points))
    names = ["trigger_xtrsrc", "previous_limits_image", "newsource_type"]
    names += [
        "sigma_local",
        "n_looks",
        "n_measured",
        "newness",
        "upper_limit",
        "noise_peaks",
        "grade",
        *Signs.columns(),
    ]
    candidates = (
        select(pairs.c.second, *(getattr(candidate, name) for name in names))
        .join(pairs, pairs.c.first == candidate.runcat)
        .order_by(pairs.c.second, candidate.id)
    )
    connection.execute(insert(candidate).from_select(["runcat", *names], candidates))


def _entry_columns(entries: NDArray[Any], ids: Ids) -> dict[str, Any]:
    """Return the columns of entries that change with each point: the state itself, and TraP's averages of it.

    ``ids`` are the row numbers of all entries, since a blend is named by its catalogue row.
    """
    n = np.maximum(entries["datapoints"], 1)
    ra, dec, weight_ew, weight_ns = (entries[name] for name in ("wm_ra", "wm_dec", "weight_ew", "weight_ns"))
    x, y, z = angles.unit_vectors(ra, dec).T
    return {
        "datapoints": entries["datapoints"],
        "forcedfits_count": entries["forcedfits_count"],
        "zone": np.floor(dec).astype(int),
        "wm_ra": ra,
        "wm_decl": dec,
        "wm_uncertainty_ew": weight_ew**-0.5,
        "wm_uncertainty_ns": weight_ns**-0.5,
        "avg_ra_err": entries["avg_ra_err"],
        "avg_decl_err": entries["avg_dec_err"],
        "avg_wra": ra * weight_ew / n,
        "avg_wdecl": dec * weight_ns / n,
        "avg_weight_ra": weight_ew / n,
        "avg_weight_decl": weight_ns / n,
        "x": x,
        "y": y,
        "z": z,
        "weight_ew": weight_ew,
        "weight_ns": weight_ns,
        "blend": [None if row == NOT_PART else ids[row] for row in entries["blend"].tolist()],
        "is_blend": entries["is_blend"],
    }


def _flux_columns(statistics: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Return the columns of flux statistics: the state itself, and TraP's averages of it."""
    n = statistics["n"]
    columns = {stored: statistics[name] for name, stored in stored_names(RunningCatalogFlux, FLUX_COLUMNS).items()}
    for q in ("f_peak", "f_int"):
        mean, m2, wsum, wmean, wm2 = (statistics[f"{name}_{q}"] for name in ("mean", "m2", "wsum", "wmean", "wm2"))
        columns |= {
            f"avg_{q}_sq": m2 / n + mean**2,
            f"avg_{q}_weight": wsum / n,
            f"avg_weighted_{q}": wsum * wmean / n,
            f"avg_weighted_{q}_sq": (wm2 + wsum * wmean**2) / n,
        }
    return columns
