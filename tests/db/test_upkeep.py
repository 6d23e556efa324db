from __future__ import annotations

import pytest
from sqlalchemy import text

from trap.db.engine import transaction
from trap.db.upkeep import check_database, vacuum_database
from trap.steps.varmetric import refresh_varmetric

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
