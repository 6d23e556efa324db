"""Transient candidates with everything that a report shows of them: light curve and images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trap.db import lightcurves
from trap.db.engine import reading
from trap.db.images import image_urls
from trap.report.candidates import Candidate
from trap.report.plots import LightCurve
from trap.report.text import sky_position

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trap.db.store import Store

__all__ = ["load_candidates"]


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
    Candidates, most significant first, without entries that have been forked since.
    """
    if not entries:
        return []
    with reading(store.engine) as connection:
        table = lightcurves.transients(connection, store.dataset_id, entries=entries)
        earlier = image_urls(connection, table["previous_limits_image"])
        rows = [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]
        return [
            Candidate(
                facts=facts,
                curve=LightCurve.of_points(
                    sky_position(facts["wm_ra"], facts["wm_decl"]),
                    lightcurves.light_curve(connection, int(facts["runcat"])),
                ),
                earlier=earlier.get(int(facts["previous_limits_image"]), ""),
            )
            for facts in rows
        ]
