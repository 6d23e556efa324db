"""Maintenance for administrators: consistency checks, and vacuuming."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from trap.db.engine import database_errors, reading
from trap.db.models import Base
from trap.db.recomputation import wrong_metrics
from trap.db.urls import show_url
from trap.db.version import check_version
from trap.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

__all__ = ["check_database", "vacuum_database"]

_RULES = {
    "images belong to no stored timestep": """
        SELECT count(*) FROM image i LEFT JOIN timestep t ON t.id = i.timestep
        WHERE t.id IS NULL OR t.state = 'failed'""",
    "timesteps count other images than they have": """
        SELECT count(*) FROM timestep t
        WHERE n_images <> (SELECT count(*) FROM image i WHERE i.timestep = t.id)""",
    "blind measurements of associated images are in no light curve": """
        SELECT count(*) FROM extractedsource e JOIN image i ON i.id = e.image
        LEFT JOIN assocxtrsource a ON a.xtrsrc = e.id WHERE a.id IS NULL AND NOT i.late AND e.extract_type = 0
        AND e.flags & 64 = 0""",
    "measurements of late images are in a light curve": """
        SELECT count(*) FROM image i JOIN extractedsource e ON e.image = i.id
        JOIN assocxtrsource a ON a.xtrsrc = e.id WHERE i.late""",
    "measurements belong to rejected images": """
        SELECT count(*) FROM rejection r JOIN extractedsource e ON e.image = r.image""",
    "accepted images have no calibration": """
        SELECT count(*) FROM image i LEFT JOIN rejection r ON r.image = i.id
        LEFT JOIN calibration c ON c.image = i.id WHERE r.id IS NULL AND c.id IS NULL""",
    "calibrations are applied without a displacement or a positive gain": """
        SELECT count(*) FROM calibration WHERE (position_applied AND displacement IS NULL)
        OR (flux_applied AND (gain IS NULL OR gain <= 0 OR gain_err IS NULL OR gain_err < 0))""",
    "measurements have uncorrected values against the calibration of their image": """
        SELECT count(*) FROM calibration c JOIN extractedsource e ON e.image = c.image
        WHERE c.position_applied <> (e.ra_raw IS NOT NULL AND e.decl_raw IS NOT NULL)
        OR (c.flux_applied AND e.f_int IS NOT NULL) <> (e.f_int_raw IS NOT NULL)
        OR (c.flux_applied AND e.f_peak IS NOT NULL) <> (e.f_peak_raw IS NOT NULL)
        OR (e.gain_err IS NOT NULL AND NOT c.flux_applied) OR e.gain_err < 0""",
    # The gain of a calibrator is measured without itself; the limits are far beyond all sound values.
    "measurements differ from their uncorrected values by more than their calibration explains": """
        SELECT count(*) FROM calibration c JOIN image i ON i.id = c.image JOIN extractedsource e ON e.image = c.image
        WHERE (c.position_applied AND abs(e.decl - e.decl_raw) * 3600 > 30 * i.fwhm_arcsec)
        OR (c.flux_applied AND c.flux_offset = 0
            AND abs(e.f_int_raw / nullif(e.f_int, 0) - c.gain) > 0.5 * c.gain)""",
    "points of light curves and flux statistics do not agree in number": """
        SELECT count(*) FROM (
            SELECT a.runcat, i.band, i.stokes, count(*) AS n FROM assocxtrsource a
            JOIN extractedsource e ON e.id = a.xtrsrc JOIN image i ON i.id = e.image
            GROUP BY a.runcat, i.band, i.stokes) p
        LEFT JOIN runningcatalog_flux f ON f.runcat = p.runcat AND f.band = p.band AND f.stokes = p.stokes
        WHERE f.id IS NULL OR f.f_datapoints <> p.n""",
    "entries have no light curve": """
        SELECT count(*) FROM runningcatalog r LEFT JOIN assocxtrsource a ON a.runcat = r.id WHERE a.id IS NULL""",
    "entries have no varmetric": """
        SELECT count(*) FROM runningcatalog r LEFT JOIN varmetric v ON v.runcat = r.id WHERE v.id IS NULL""",
    "entries refer to a measurement that is not in their light curve": """
        SELECT count(*) FROM runningcatalog r LEFT JOIN assocxtrsource a ON a.runcat = r.id AND a.xtrsrc = r.xtrsrc
        WHERE a.id IS NULL""",
    "varmetrics name the candidate of another entry": """
        SELECT count(*) FROM varmetric v JOIN newsource n ON n.id = v.newsource WHERE n.runcat <> v.runcat""",
    "ratings are none of true, false and unsure, or by nobody": """
        SELECT count(*) FROM rating WHERE rating NOT IN ('true', 'false', 'unsure') OR rater = ''""",
    "rated candidates have no rating": """
        SELECT count(*) FROM ratedcandidate c LEFT JOIN rating r ON r.candidate = c.id WHERE r.id IS NULL""",
}
"""Violations of the rules of every sound database, each with a query for their number."""


def check_database(engine: Engine) -> list[str]:
    """Search a database for inconsistencies that no run can leave behind.

    Every row is read, some more than once, and variability metrics are computed again.

    Returns
    -------
    Problems, one line each; empty for a sound database.

    Raises
    ------
    SchemaVersionError
        If the tables do not have the version of this software.
    """
    check_version(engine)
    with reading(engine) as connection:
        found = [*_differing_tables(connection), *_damage(connection), *_broken_rules(connection)]
        return [*found, *wrong_metrics(connection)]


def vacuum_database(engine: Engine) -> None:
    """Free the space of deleted rows, and refresh the statistics of the query planner."""
    with database_errors(), engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if engine.dialect.name == "postgresql":
            for table in Base.metadata.tables:
                connection.execute(text(f'VACUUM (ANALYZE) "{table}"'))
            return
        cursor = connection.connection.cursor()  # SQLAlchemy would begin a transaction, which VACUUM does not allow
        try:
            for statement in ("PRAGMA query_only = 0", "VACUUM", "ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)"):
                cursor.execute(statement)
        except sqlite3.Error as error:
            msg = f"cannot vacuum {show_url(engine.url)}: {error}"
            raise DatabaseError(msg) from error
        finally:
            cursor.close()


def _differing_tables(connection: Connection) -> Iterator[str]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    for difference in compare_metadata(context, Base.metadata):
        yield f"tables differ from those of this software: {difference}"


def _damage(connection: Connection) -> Iterator[str]:
    """Yield the problems that the database finds itself: damaged pages, and references to missing rows."""
    if connection.dialect.name == "sqlite":
        for (finding,) in connection.execute(text("PRAGMA integrity_check")):
            if finding != "ok":
                yield f"integrity check: {finding}"
        for table, row, parent, _ in connection.execute(text("PRAGMA foreign_key_check")):
            yield f"row {row} of table {table} refers to a missing row of {parent}"
        return
    for table in Base.metadata.sorted_tables:
        for key in table.foreign_keys:
            child, parent = f'"{table.name}"', f'"{key.column.table.name}"'
            missing = text(
                f'SELECT count(*) FROM {child} c LEFT JOIN {parent} p ON p.id = c."{key.parent.name}" '  # noqa: S608 (our names)
                f'WHERE p.id IS NULL AND c."{key.parent.name}" IS NOT NULL'
            )
            n = connection.execute(missing).scalar_one()
            if n:
                yield f"{n} rows of table {table.name} refer to missing rows of {key.column.table.name}"


def _broken_rules(connection: Connection) -> Iterator[str]:
    """Yield the rules that are violated, with the number of rows."""
    for rule, query in _RULES.items():
        n = connection.execute(text(query)).scalar_one()
        if n:
            yield f"{n} {rule}"
