"""The facts on the page of a source: its header, its points, its relations and its neighbours, ready to be written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trap import angles
from trap.codes import AssociationType, ExtractType, stokes_letter
from trap.db.lightcurves import light_curve, transients
from trap.db.result_tables import RESULT_TABLES, read_rows
from trap.db.source_records import association_types, calibrations_of, mean_fluxes, relations
from trap.errors import NotFoundError
from trap.report.plots import LIMIT_SIGMA, LightCurve, is_limit, upper_limit
from trap.report.text import flag_names, flux_text, megahertz, moment, number
from trap.selection import Cone, Selection

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from trap.db.engine import Connection
    from trap.typing import Columns, Indices

__all__ = ["KINDS", "SourceFacts", "point_rows", "read_source"]

KINDS = {
    ExtractType.BLIND: "blind",
    ExtractType.NULL_DETECTION: "forced",
    ExtractType.MONITORED: "monitored",
    ExtractType.JOINT: "joint",
}
"""Words of ``transients lightcurve`` for the kinds of points."""
NEIGHBOUR_ARCSEC = 300.0
"""arcsec — radius of the neighbours on the page."""
MAX_NEIGHBOURS = 50
METRICS = (
    *("v_int", "eta_int", "eta_p_value", "modulation", "modulation_err", "v_peak", "eta_peak", "vs_max", "m_max"),
    *("f_datapoints", "lightcurve_max", "lightcurve_avg", "lightcurve_wavg", "lightcurve_median"),
    *("spectral_index", "spectral_index_err", "sigma_rms_min", "sigma_rms_max"),
)
"""Columns of the variability of a source."""
RELATIONS = {
    0: ("forked from entry {}", "entry {} was forked from it"),
    1: ("part of the blend {}", "blend of which entry {} is a part"),
    2: ("blend of entry {} and others", "merged into the blend {}"),
    3: ("neighbour of entry {} when it appeared", "entry {} appeared as its neighbour"),
}
"""Sentences of table ``lineage`` by kind: seen from the entry that came from another one, and from the other one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourceFacts:
    """Records of one source.

    Parameters
    ----------
    entry
        Row of the result table ``sources``.
    points
        Columns of :func:`trap.db.lightcurves.light_curve`, and ``is_limit`` with ``upper_limit`` [Jy].
    candidate
        Row of :func:`trap.db.lightcurves.transients`; None if it is no candidate.
    means
        Columns of :func:`trap.db.source_records.mean_fluxes`.
    relations
        Columns of :func:`trap.db.source_records.relations`.
    calibrations
        Calibrations by image.
    neighbours
        Columns of the result table ``sources``, and ``distance_arcsec``, nearest first.
    types
        Codes of :class:`~trap.codes.AssociationType` of its points.
    ratings
        Rows of the result table ``ratings``: the latest rating by each person.
    """

    entry: Mapping[str, Any]
    points: Columns
    candidate: Mapping[str, Any] | None
    means: Columns
    relations: Columns
    calibrations: Mapping[int, Mapping[str, Any]]
    neighbours: Columns
    types: set[int]
    ratings: Columns

    @property
    def position(self) -> tuple[float, float]:
        """deg, ICRS — mean position."""
        return float(self.entry["wm_ra"]), float(self.entry["wm_decl"])

    def detected(self) -> tuple[str, str]:
        """Return the times of the first and of the last blind detection."""
        is_blind = self.points["extract_type"] == ExtractType.BLIND
        times = self.points["taustart_ts"][is_blind]
        return (moment(times.min()), moment(times.max())) if times.size else (moment(None), moment(None))

    def header(self) -> list[tuple[str, str]]:
        """Return the facts at the top of the page: labels and values."""
        kinds = self.points["extract_type"]
        n_blind, n_limits = int((kinds == ExtractType.BLIND).sum()), int(self.points["is_limit"].sum())
        first, last = self.detected()
        errors = (1e3 * 3.6 * float(self.entry[f"wm_uncertainty_{axis}"]) for axis in ("ew", "ns"))
        east, north = (number(each, 2) for each in errors)
        named = [("name", str(self.entry["name"]))] if self.entry["name"] else []
        return [
            *named,
            ("position error, east × north", f"{east}″ × {north}″"),
            ("first detection", f"{first} UTC"),
            ("last detection", f"{last} UTC"),
            ("points", f"{len(kinds)}: {n_blind} blind, {len(kinds) - n_blind} forced"),
            (f"limits, forced fits below {LIMIT_SIGMA:g} σ", str(n_limits)),
            ("V, η in the brightest band", f"{number(self.entry['v_int'], 3)}, {number(self.entry['eta_int'])}"),
            ("probability if constant", _probability(self.entry["eta_p_value"])),
        ]

    def bands(self) -> Iterator[dict[str, str]]:
        """Yield the mean flux densities of each band and Stokes parameter, with its limits."""
        curve_band, curve_stokes = self.points["band"], self.points["stokes"]
        for row in _rows(self.means):
            inside = (curve_band == row["band"]) & (curve_stokes == row["stokes"])
            limits = self.points["upper_limit"][inside & self.points["is_limit"]]
            yield {
                "MHz": megahertz(row["freq_central"]),
                "Stokes": stokes_letter(row["stokes"]),
                "points": str(row["f_datapoints"]),
                "mean mJy": " ± ".join(flux_text(row["f_int"], row["f_int_err"])),
                "mean peak mJy/beam": " ± ".join(flux_text(row["f_peak"], row["f_peak_err"])),
                "highest mJy": number(1e3 * row["max_f_int"]),
                f"limits ({LIMIT_SIGMA:g} σ)": str(len(limits)),
                f"lowest limit mJy ({LIMIT_SIGMA:g} σ)": number(1e3 * limits.min(), 3) if len(limits) else "–",
            }

    def metrics(self) -> list[tuple[str, str, str, str]]:
        """Return names, values, units and meanings of the variability, under the names of the columns of exports."""
        columns = RESULT_TABLES["sources"].columns
        return [(name, number(_plain(self.entry[name]), 5), columns[name].unit, columns[name].doc) for name in METRICS]

    def rated(self) -> list[dict[str, str]]:
        """Return the ratings as texts."""
        return [
            {name: str(row[name]) for name in ("rating", "rater", "tags", "note")} | {"time": moment(row["rated_ts"])}
            for row in _rows(self.ratings)
        ]

    def lineage(self) -> Iterator[tuple[str, int | None, str]]:
        """Yield sentences about other entries, the number of the other one if it still exists, and the time."""
        mine = int(self.entry["runcat"])
        for row in _rows(self.relations):
            is_later = row["runcat"] == mine
            other = int(row["origin"] if is_later else row["runcat"])
            texts = RELATIONS.get(row["kind"], ("related to entry {}",) * 2)
            gone = "" if row["exists"] else ", which is gone"
            yield texts[not is_later].format(other) + gone, other if row["exists"] else None, moment(row["taustart_ts"])
        blend = _plain(self.entry["blend"])
        if blend is not None:
            yield f"now a part of the blend {int(blend)}", int(blend), ""
        if self.entry["is_blend"]:
            yield "a blend: images of lower resolution show several sources as this one", None, ""
        if AssociationType.REVEALED in self.types:
            yield "revealed: earlier images show it too, where they were measured at its position", None, ""


def read_source(connection: Connection, dataset: int, runcat: int) -> SourceFacts:
    """Read the records of a source.

    Parameters
    ----------
    connection
        Connection in a transaction of the caller.
    dataset, runcat
        Number of the dataset, and row number of the running catalogue.

    Raises
    ------
    NotFoundError
        If the dataset has no such source.
    """
    found = read_rows(connection, "sources", [dataset], Selection.of(entries=runcat))
    if not len(found["runcat"]):
        msg = f"dataset {dataset} has no source {runcat}"
        raise NotFoundError(msg)
    entry = next(_rows(found))
    points = light_curve(connection, runcat)
    curve = LightCurve.of_points("", points)
    points |= {"is_limit": is_limit(curve), "upper_limit": upper_limit(curve)}
    candidate = None
    if _plain(entry["newsource"]) is not None:
        candidate = next(_rows(transients(connection, dataset, entries=[runcat])), None)
    images = np.unique(points["image"]).tolist()
    return SourceFacts(
        entry=entry,
        points=points,
        candidate=candidate,
        means=mean_fluxes(connection, runcat),
        relations=relations(connection, runcat),
        calibrations=calibrations_of(connection, images),
        neighbours=_neighbours(connection, dataset, runcat, (entry["wm_ra"], entry["wm_decl"])),
        types=association_types(connection, runcat),
        ratings=_ratings(connection, dataset, runcat, is_candidate=candidate is not None),
    )


def point_rows(facts: SourceFacts, rows: Indices | Sequence[int]) -> list[dict[str, Any]]:
    """Return points of a light curve as texts, with the calibration of their images.

    Parameters
    ----------
    facts
        Records of the source.
    rows
        (n,) — numbers of the points.
    """
    return [_point(facts, int(row)) for row in rows]


def _point(facts: SourceFacts, i: int) -> dict[str, Any]:
    """Return a point as texts."""
    point = {name: values[i] for name, values in facts.points.items()}
    calibration = facts.calibrations.get(int(point["image"]), {})
    value, error = flux_text(point["f_int"], point["f_int_err"])
    peak, peak_error = flux_text(point["f_peak"], point["f_peak_err"])
    raw = "" if not np.isfinite(point["f_int_raw"]) else number(1e3 * point["f_int_raw"])
    shift = [
        f"{number(calibration[name], 2)} ± {number(calibration[f'{name}_err'], 2)}"
        if calibration.get(name) is not None
        else ""
        for name in ("shift_ew", "shift_ns")
    ]
    gain = calibration.get("gain")
    applied = calibration.get("flux_applied")
    return {
        "image": int(point["image"]),
        "time": moment(point["taustart_ts"]),
        "url": str(point["url"]),
        "frequency": megahertz(point["freq_eff"]),
        "stokes": stokes_letter(point["stokes"]),
        "flux": f"{value} ± {error}",
        "limit": f"< {number(1e3 * point['upper_limit'], 3)}" if point["is_limit"] else "",
        "peak": f"{peak} ± {peak_error}",
        "rms": number(1e3 * point["rms"], 3),
        "snr": number(point["det_sigma"], 3),
        "kind": KINDS.get(ExtractType(int(point["extract_type"])), "forced"),
        "v": number(point["v_int"], 3),
        "eta": number(point["eta_int"], 3),
        "flags": flag_names(int(point["flags"])),
        "raw": raw,
        "gain": "" if gain is None else f"{number(gain)} ± {number(calibration['gain_err'], 2)}",
        "applied": "" if gain is None else ("divided by it" if applied else "not applied"),
        "shift_ew": shift[0],
        "shift_ns": shift[1],
    }


def _neighbours(connection: Connection, dataset: int, runcat: int, position: tuple[float, float]) -> Columns:
    """Return the sources around a source, nearest first."""
    ra, dec = (float(each) for each in position)
    columns = ["runcat", "wm_ra", "wm_decl", "datapoints", "lightcurve_wavg", "v_int", "eta_int", "newsource"]
    near = Selection.of(near=Cone(ra=ra, dec=dec, radius=NEIGHBOUR_ARCSEC / 3600))
    found = read_rows(connection, "sources", [dataset], near, columns=columns)
    distance = 3600 * angles.separation(found["wm_ra"], found["wm_decl"], ra, dec)
    order = np.argsort(distance, kind="stable")
    order = order[found["runcat"][order] != runcat][:MAX_NEIGHBOURS]
    return {**{name: values[order] for name, values in found.items()}, "distance_arcsec": distance[order]}


def _ratings(connection: Connection, dataset: int, runcat: int, *, is_candidate: bool) -> Columns:
    """Return the ratings of a source; nothing is read for one that is no candidate."""
    columns = ("rating", "rater", "rated_ts", "tags", "note")
    if not is_candidate:
        return {name: np.empty(0) for name in columns}
    return read_rows(connection, "ratings", [dataset], Selection.of(entries=runcat), columns=columns)


def _rows(columns: Columns) -> Iterator[dict[str, Any]]:
    """Yield columns as rows of values."""
    for i in range(len(next(iter(columns.values())))):
        yield {name: values[i] for name, values in columns.items()}


def _probability(value: float) -> str:
    return "under 1e-300" if value == 0 else number(value, 2)


def _plain(value: Any) -> Any:  # noqa: ANN401 (a number of numpy, or a masked one)
    """Return None for a masked value."""
    return None if value is np.ma.masked else value
