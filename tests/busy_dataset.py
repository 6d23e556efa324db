"""A dataset with every kind of event, and its state in memory for comparison."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
from made_up_survey import Field, sources

from trap.extraction.mesh import Background
from trap.quality import Rejection, RejectReason

MESH = Background(
    mesh_mean=np.array([[0.1, 0.2, 0.3], [1 / 3, -1.0, np.nan]], np.float32),
    mesh_rms=np.array([[1.1, 1.2, 1.3], [1.4, 1.5, 1.6]], np.float32),
    shape=(80, 130),
    origin=(3, 4),
    extent=(125, 78),
    cell=(50, 40),
)
FIELD = Field()
REJECTION = Rejection(reason=RejectReason.RMS, comment="10 times too high")


def forced(asked):
    """Return forced fits with small, varying flux densities."""
    return sources(asked.ra, asked.dec, flux=1e-4 * (1 + np.arange(len(asked))))


def process_busy_days(dataset):
    """Two bands; a steady, a vanishing and a variable source; a fork of a new entry; a transient; a rejection."""
    steady, vanishing = (122.0, 10.0), (123.0, 11.0)
    first = sources([steady[0], vanishing[0]], [steady[1], vanishing[1]], flux=[1 / 3, 0.1])
    dataset.process(
        replace(FIELD.image(0, first), background=MESH),
        FIELD.image(0, sources(122.0, 10.0, flux=0.2), freq=180e6),
        forced=forced,
    )
    dataset.process(FIELD.image(1, sources([122.0, 124.1], [10.0, 9.3], flux=[0.31, 0.7])), forced=forced)
    # The second image of this day forks what its first image has just forked.
    pair = sources([121.9999, 122.0001], [9.9995, 10.0005], flux=[0.2, 0.3])
    dataset.process(FIELD.image(2, pair), FIELD.image(2, pair, freq=180e6), forced=forced)
    dataset.process(
        FIELD.image(3, sources(122.0, 10.0, flux=9.0)).rejected(REJECTION),
        FIELD.image(3, sources(124.1, 9.3, flux=0.75), freq=180e6),
        forced=forced,
    )
    return dataset


def state_of(state):
    """Return the state of a dataset as values that can be compared."""
    entries = state.catalogue.entries
    active = np.flatnonzero(entries["active"])
    rows = active[np.argsort(entries["id"][active])]
    number = {int(row): i for i, row in enumerate(rows)}
    fluxes = {
        key: state.catalogue.fluxes(key)[rows].tobytes()
        for key in state.catalogue.light_curves
        if state.catalogue.fluxes(key)["n"][rows].any()
    }
    return dict(  # noqa: C408 (names are easier to read than strings)
        entries=entries[rows].tobytes(),
        fluxes=fluxes,
        bands=(state.bands, state.band_ids),
        regions=(state.regions, state.region_ids),
        looks={key: {n: look.tolist() for n, look in best.items()} for key, best in state.looks._best.items()},
        searched=dict(state.looks._searched),
        history=deepcopy(state.accepted),
        monitors=[tuple(column.tolist()) for column in state.monitors.as_dict().values()],
        monitor_entries=[number.get(row, -1) for row in state.monitor_entries.tolist()],
        latest=state.latest,
    )
