"""The lists of each finder give the same light curves of one sky."""

from __future__ import annotations

import csv
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from tests.source_lists.finder_lists import (
    BEAM,
    CENTRE,
    aegean_csv,
    casda_csv,
    make_sky,
    pybdsf_fits,
    pybdsf_text,
    pyse_csv,
    selavy_text,
    selavy_votable,
)
from trap.config import PipelineConfig
from trap.pipeline import open_run
from trap.workers.executors import SerialExecutor

N_SOURCES, N_EPOCHS = 12, 4
VARIABLE = 7
"""Row of the source that doubles in the last epoch."""


def epochs():
    """Return the same sources in each epoch, displaced within their errors and with noise in their flux densities."""
    sky = make_sky(N_SOURCES)
    rng = np.random.default_rng(3)
    for epoch in range(N_EPOCHS):
        flux = np.where((np.arange(N_SOURCES) == VARIABLE) & (epoch == N_EPOCHS - 1), 2.0, 1.0)
        yield replace(
            sky,
            ra=(sky.ra + 0.3 * sky.ew_err * rng.normal(size=N_SOURCES) / np.cos(np.radians(sky.dec))) % 360,
            dec=sky.dec + 0.3 * sky.ns_err * rng.normal(size=N_SOURCES),
            f_int=flux * sky.f_int + sky.f_int_err * rng.normal(size=N_SOURCES),
            f_peak=flux * sky.f_peak,
        )


def light_curves(folder, name, write):
    """Process the lists of one finder without images; return flux densities and errors, (n_sources, n_epochs, 2)."""
    rows = []
    for epoch, sky in enumerate(epochs()):
        path = folder / f"{name}{epoch}.list"
        path.write_bytes(write(sky))
        rows.append(
            {
                "catalogue": path.name, "taustart_ts": f"2026-01-0{epoch + 1}T00:00:00", "freq_eff": 8.875e8,
                "freq_bw": 2.88e8, "bmaj": BEAM.bmaj, "bmin": BEAM.bmin, "bpa": BEAM.bpa, "ra": CENTRE[0],
                "dec": CENTRE[1], "radius": 0.25,
            }
        )  # fmt: skip
    table = folder / f"{name}.csv"
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    database = folder / f"{name}.db"
    options = {"execution": {"database": f"sqlite:///{database}"}, "reading": {"catalogues": str(table)}}
    with open_run(PipelineConfig().with_options(**options)) as dataset:
        for group in dataset.plan.groups:
            dataset.process_group(group, SerialExecutor())
        dataset.summary()
    with closing(sqlite3.connect(database)) as connection:
        points = connection.execute(
            "SELECT e.f_int, e.f_int_err FROM assocxtrsource a JOIN runningcatalog r ON a.runcat = r.id"
            " JOIN extractedsource e ON a.xtrsrc = e.id JOIN image i ON e.image = i.id"
            " ORDER BY r.wm_decl, i.taustart_ts"
        ).fetchall()
    return np.array(points).reshape(-1, N_EPOCHS, 2)


FINDERS = {
    "selavy": selavy_text,
    "selavy_votable": selavy_votable,
    "casda": casda_csv,
    "pybdsf": pybdsf_fits,
    "pybdsf_csv": lambda sky: pybdsf_text(sky, "srl"),
    "aegean": aegean_csv,
    "pyse": pyse_csv,
}


@pytest.mark.parametrize("name", FINDERS)
def test_the_lists_of_each_finder_give_the_light_curves_of_the_sky(name, tmp_path, request):
    shutil.copy(request.getfixturevalue("_migrated_sqlite"), tmp_path / f"{name}.db")

    found = light_curves(tmp_path, name, FINDERS[name])

    skies = list(epochs())
    order = np.argsort(skies[0].dec)  # the sources lie farther apart than their errors
    expected = np.stack([[sky.f_int[order], sky.f_int_err[order]] for sky in skies]).transpose(2, 0, 1)
    assert found.shape == expected.shape
    # Half a unit of the sixth decimal, which PySE prints in Jy and Selavy in mJy.
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=6e-7)
