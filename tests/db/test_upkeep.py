from __future__ import annotations

import numpy as np
import pytest
from made_up_survey import Field, sources
from sqlalchemy import text

from trap.db.engine import transaction
from trap.db.upkeep import check_database, vacuum_database
from trap.steps.varmetric import refresh_varmetric

FIELD = Field()

pytestmark = pytest.mark.usefixtures("database_url")  # the database is spoilt


def test_database_after_runs_is_sound_and_stays_so_when_vacuumed(busy, engine):
    assert check_database(engine) == []
    vacuum_database(engine)
    refresh_varmetric(busy.store)
    assert check_database(engine) == []


@pytest.mark.parametrize(
    ("spoil", "finding"),
    [
        ("UPDATE image SET timestep = NULL WHERE id = (SELECT min(id) FROM image)", "1 images belong to no"),
        ("UPDATE timestep SET n_images = 9 WHERE id = (SELECT min(id) FROM timestep)", "1 timesteps count other"),
        ("DELETE FROM assocxtrsource WHERE type = 4", "blind measurements of associated images are in no light curve"),
        ("UPDATE image SET late = (1 = 1)", "measurements of late images are in a light curve"),
        ("UPDATE runningcatalog_flux SET f_datapoints = 99", "flux statistics do not agree in number"),
        ("DELETE FROM runningcatalog_flux", "flux statistics do not agree in number"),
        ("DELETE FROM varmetric", "entries have no varmetric"),
        ("DELETE FROM assocxtrsource", "entries have no light curve"),
        ("UPDATE newsource SET runcat = (SELECT min(id) FROM runningcatalog)", "name the candidate of another entry"),
        ("CREATE INDEX mine ON image (rms_qc)", "tables differ"),
    ],
)
def test_impossible_rows_are_found(busy, engine, spoil, finding):
    with transaction(engine) as connection:
        connection.execute(text(spoil))
    assert any(finding in line for line in check_database(engine))


def columns_named(findings):
    return {line.split()[3] for line in findings}


def test_every_changed_metric_is_found(busy, engine):
    refresh_varmetric(busy.store)
    columns = [
        *("v_int", "eta_int", "v_peak", "eta_peak", "eta_p_value", "modulation", "modulation_err", "vs_max", "m_max"),
        *("lightcurve_max", "lightcurve_avg", "lightcurve_wavg", "lightcurve_median", "f_datapoints"),
        *("spectral_index", "spectral_index_err"),
    ]
    with transaction(engine) as connection:
        connection.execute(text("UPDATE varmetric SET stokes = 4, " + ", ".join(f"{name} = -77" for name in columns)))
    assert columns_named(check_database(engine)) == {"varmetric.stokes", *(f"varmetric.{name}" for name in columns)}


def test_every_changed_flux_statistic_is_found(busy, engine):
    columns = [f"{name}_f_{kind}" for name in ("m2", "wsum", "wmean", "wm2") for kind in ("int", "peak")]
    columns += ["max_f_int", "err2_f_int"]
    with transaction(engine) as connection:
        changes = ", ".join(f"{name} = {name} + 3e-3 * (1 + {name})" for name in columns)
        connection.execute(text(f"UPDATE runningcatalog_flux SET {changes}"))
    assert columns_named(check_database(engine)) >= {f"runningcatalog_flux.{name}" for name in columns}


def test_changed_measurements_are_found(busy, engine):
    with transaction(engine) as connection:
        connection.execute(text("UPDATE extractedsource SET f_peak = 1.001 * f_peak WHERE f_peak > 0.1"))
    named = {f"runningcatalog_flux.{name}_f_peak" for name in ("mean", "m2", "wmean", "wm2")}
    assert columns_named(check_database(engine)) == named


def test_mixed_bands_are_found_and_named(make_dataset, engine):
    dataset = make_dataset()
    for day, (low, high) in enumerate(((1.0, 2.0), (5.0, 3.0))):
        dataset.process(
            FIELD.image(day, sources(123.0, 10.0, flux=low), freq=120e6),
            FIELD.image(day + 2e-5, sources(123.0, 10.0, flux=high), freq=160e6),
        )
    refresh_varmetric(dataset.store)
    assert check_database(engine) == []
    (entry,) = dataset.column("SELECT id FROM runningcatalog")
    with transaction(engine) as connection:
        # Band, V, maximum and mean of the band that starts last; the rest is of the brightest band.
        connection.execute(
            text(
                "UPDATE varmetric SET band = (SELECT max(id) FROM frequencyband), v_int = 0.2828427,"
                " lightcurve_max = 3, lightcurve_avg = 2.5, lightcurve_median = 2.5"
            )
        )
    found = check_database(engine)
    assert columns_named(found) == {
        *("varmetric.band", "varmetric.v_int", "varmetric.lightcurve_max"),
        *("varmetric.lightcurve_avg", "varmetric.lightcurve_median"),
    }
    assert all(f"the first of entry {entry}" in line for line in found)


def test_check_is_sound_for_sources_from_a_microjansky_to_a_megajansky(make_dataset, engine):
    dataset, rng = make_dataset(), np.random.default_rng(3)
    flux = np.array([1e-6, 1e-3, 1.0, 1e3, 1e6])
    for day in range(30):
        noise = rng.normal(0, 1e-7, 5)
        dataset.process(FIELD.image(day, sources(120.0 + np.arange(5), 10.0, flux=flux + noise, flux_err=1e-7)))
    refresh_varmetric(dataset.store)
    assert check_database(engine) == []


def test_rows_that_refer_to_nothing_are_found(busy, engine):
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.connection.cursor().execute("PRAGMA foreign_keys = OFF")
        else:
            connection.execute(text("SET session_replication_role = replica"))
        connection.execute(text("DELETE FROM skyregion"))
        connection.commit()
        connection.invalidate()
    assert any("refer" in line and "skyregion" in line for line in check_database(engine))
