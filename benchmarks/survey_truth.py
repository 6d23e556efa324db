"""Comparison of the light curves of a made-up survey with its true sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree
from sqlalchemy import select
from survey_sky import NOISE_PEAK

from trap import angles
from trap.catalogues import VARIABLE_P
from trap.db.bulk import read_columns
from trap.db.engine import make_engine, reading
from trap.db.models import AssocXtrSource, ExtractedSource, Image, NewSource, VarMetric

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sqlalchemy import Connection
    from survey_sky import Survey

    from trap.typing import Columns

__all__ = ["print_truth"]

MIN_POINTS = 3
"""Number of measurements from which a source counts as recovered or not."""
SAME_ARCSEC = 0.05
"""Largest distance of a stored measurement, before calibration, from the one in the list."""


def print_truth(database: str, survey: Survey) -> None:
    """Print how well entries stand for sources, and which variables and transients were found."""
    with reading(make_engine(database)) as connection:
        images = read_columns(connection, select(Image.id, Image.url))
        points = _points(connection, survey, images)
        metrics = read_columns(connection, select(VarMetric.runcat, VarMetric.eta_p_value, VarMetric.v_int))
        candidates = read_columns(connection, select(NewSource.runcat, NewSource.grade))
    runcat, source = points["runcat"], points["source"]
    print(
        f"{len(np.unique(runcat))} entries, {len(runcat)} points, {np.count_nonzero(source == NOISE_PEAK)} of artefacts"
    )
    main_entry = _print_wholeness(runcat, source, survey)
    entry_kind = _kinds_of_entries(runcat, source, survey)
    p_value = dict(zip(metrics["runcat"].tolist(), metrics["eta_p_value"].tolist(), strict=True))
    for kind in ("variable", "steady", "pair"):
        entries = [main_entry[row] for row in np.flatnonzero(survey.kind == kind).tolist() if row in main_entry]
        found = sum(p_value.get(entry, 1.0) < VARIABLE_P for entry in entries)
        print(f"{kind} sources with p < {VARIABLE_P:g}: {found} of {len(entries)}")
    new = {"transient": 0}
    for entry in candidates["runcat"].tolist():
        kind = entry_kind.get(entry, "artefact")
        new[kind] = new.get(kind, 0) + 1
    seen = {row for row in np.unique(source).tolist() if row >= 0 and survey.kind[row] == "transient"}
    likely = np.count_nonzero(candidates["grade"].astype(float) == 1)
    print(
        f"candidates: {len(candidates['runcat'])}, {likely} likely; by kind: {new}; {len(seen)} transients in the lists"
    )


def _points(connection: Connection, survey: Survey, images: Columns) -> Columns:
    """Return the points of all light curves: entry, and row of the true source of each."""
    by_name = {image.name: image for image in survey.images}
    parts = []
    for number, url in zip(images["id"].tolist(), images["url"].tolist(), strict=True):
        x = ExtractedSource
        rows = (
            select(AssocXtrSource.runcat, x.ra, x.decl, x.ra_raw, x.decl_raw)
            .join(x, x.id == AssocXtrSource.xtrsrc)
            .where(x.image == number)
        )
        here = read_columns(connection, rows)
        listed, origin = survey.measure(by_name[url.rsplit("/", 1)[-1].split(".")[0]])
        ra, dec = (np.where(np.isfinite(here[f"{one}_raw"]), here[f"{one}_raw"], here[one]) for one in ("ra", "decl"))
        distance, row = cKDTree(angles.unit_vectors(listed["ra"], listed["dec"])).query(angles.unit_vectors(ra, dec))
        if (np.degrees(distance) * 3600 > SAME_ARCSEC).any():
            msg = f"{url}: a measurement is in no list"
            raise ValueError(msg)
        parts.append((here["runcat"], origin[row]))
    runcat, source = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return {"runcat": runcat, "source": source}


def _print_wholeness(runcat: NDArray[np.int64], source: NDArray[np.int32], survey: Survey) -> dict[int, int]:
    """Print the shares of sources and entries that belong together; return the main entry of each source."""
    real = source >= 0
    pairs, n = np.unique(np.stack([source[real], runcat[real]]), axis=1, return_counts=True)
    n_source = np.bincount(source[real], minlength=len(survey.ra))
    entries, place = np.unique(pairs[1], return_inverse=True)
    n_entry = np.bincount(np.searchsorted(entries, runcat[np.isin(runcat, entries)]))
    most_first = np.lexsort((-n, pairs[0]))
    sources, first = np.unique(pairs[0][most_first], return_index=True)
    best = most_first[first]
    whole, pure = n[best] / n_source[sources], n[best] / n_entry[place[best]]
    is_frequent = n_source[sources] >= MIN_POINTS
    for label, chosen in (("all", is_frequent), ("pairs", is_frequent & (survey.kind[sources] == "pair"))):
        one = (whole == 1) & (pure == 1)
        print(
            f"{label}: {np.count_nonzero(chosen)} sources of {MIN_POINTS} measurements or more; one entry each: "
            f"{one[chosen].mean():.4%}; wholeness {whole[chosen].mean():.5f}, purity {pure[chosen].mean():.5f}"
        )
    return dict(zip(sources.tolist(), pairs[1][best].tolist(), strict=True))


def _kinds_of_entries(runcat: NDArray[np.int64], source: NDArray[np.int32], survey: Survey) -> dict[int, str]:
    """Return the kind of the source of each entry's first point."""
    entries, first = np.unique(runcat, return_index=True)
    kinds = np.where(source[first] == NOISE_PEAK, "artefact", survey.kind[source[first]])
    return dict(zip(entries.tolist(), kinds.tolist(), strict=True))
