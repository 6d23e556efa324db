"""Transient candidates and variables with everything that a report shows of them: light curve and images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trap.db import lightcurves
from trap.db.engine import reading
from trap.db.images import image_urls
from trap.report.candidates import Candidate
from trap.report.plots import LightCurve
from trap.report.text import moment, sky_position

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trap.db.store import Store

__all__ = ["load_candidates", "load_variables"]


def load_candidates(store: Store, entries: Sequence[int]) -> list[Candidate]:
    """Load candidates with their light curves so far.

    Parameters
    ----------
    store
        The dataset.
    entries
        Row numbers of the running catalogue; few, since each takes a query.

    Returns
    -------
    Candidates, highest score first, without entries that have been forked since.
    """
    if not entries:
        return []
    with reading(store.engine) as connection:
        table = lightcurves.transients(connection, store.dataset_id, entries=entries)
        earlier = image_urls(connection, table["previous_limits_image"])
        rows = [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]
        points = [lightcurves.light_curve(connection, int(facts["runcat"])) for facts in rows]
    return [
        Candidate(
            facts=facts | {"flags": int(curve["flags"][curve["xtrsrc"] == facts["xtrsrc"]].max(initial=0))},
            curve=LightCurve.of_points(sky_position(facts["wm_ra"], facts["wm_decl"]), curve),
            earlier=earlier.get(int(facts["previous_limits_image"]), ""),
        )
        for facts, curve in zip(rows, points, strict=True)
    ]


def load_variables(store: Store, positions: Mapping[int, tuple[float, float]]) -> list[Candidate]:
    """Load variable sources with their light curves so far, and the images of their brightest and faintest point.

    Parameters
    ----------
    store
        The dataset.
    positions
        deg — right ascension and declination of each source, by row number of the running catalogue; few sources,
        since each takes a query.

    Returns
    -------
    The sources with at least two points, in the order of ``positions``.
    """
    with reading(store.engine) as connection:
        curves = {entry: lightcurves.light_curve(connection, entry) for entry in positions}
    return [
        _variable(entry, positions[entry], points)
        for entry, points in curves.items()
        if np.count_nonzero(np.isfinite(points["f_int"])) > 1
    ]


def _variable(entry: int, position: tuple[float, float], points: Mapping[str, Any]) -> Candidate:
    """Make a variable source from its points, with the values of the brightest one and the latest η and V there."""
    brightest, faintest = int(np.nanargmax(points["f_int"])), int(np.nanargmin(points["f_int"]))
    in_band = np.flatnonzero(
        (points["band"] == points["band"][brightest]) & (points["stokes"] == points["stokes"][brightest])
    )
    facts = {name: values[brightest] for name, values in points.items()}
    facts |= {name: points[name][in_band[-1]] for name in ("eta_int", "v_int")}
    facts |= {"runcat": entry, "wm_ra": position[0], "wm_decl": position[1]}
    return Candidate(
        facts=facts,
        curve=LightCurve.of_points(sky_position(*position), points),
        earlier=str(points["url"][faintest]),
        titles=("brightest", f"faintest, {moment(points['taustart_ts'][faintest])}"),
    )
