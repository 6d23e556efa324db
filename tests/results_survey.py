"""Three made-up days for the interface in Python, with hostile names, and the connections that it holds open."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from busy_dataset import FIELD
from made_up_survey import dataset_maker, sources
from sqlalchemy import text

__all__ = ["HOSTILE", "make_days", "make_survey", "open_connections", "url_of"]

HOSTILE = "<script>alert(1)</script> $x$ \x1b[31m"
"""Text that must be neither a tag, nor a formula, nor an escape code."""


def faint(asked):
    """Return forced fits of 1 mJy ± 0.5 mJy: two sigma."""
    return sources(asked.ra, asked.dec, flux=1e-3)


def url_of(engine):
    """Return the URL of an engine as a user writes it."""
    return engine.url.render_as_string(hide_password=False)


def make_survey(engine):
    """Make three days in two bands, with a monitored position without a source and hostile names.

    A source at 122.0 +10.0 has 1, 2, 3 Jy at 140 MHz and 10, 20, 30 Jy at 180 MHz. One at 124.1 +9.3 has 0.7 Jy at 140
    MHz on the second day, and is fitted at 1 mJy otherwise.
    """
    dataset = dataset_maker(engine)(monitors=[(125.0, 11.0)], persistence={"description": f"name {HOSTILE}"})
    make_days(dataset, 0, 3)
    with dataset.engine.begin() as connection:
        connection.execute(text("UPDATE monitor SET name = 'GRB 260101A'"))
    return dataset


def make_days(dataset, first, last):
    """Process some days of the survey."""
    for day in range(first, last):
        n = 2 if day == 1 else 1
        low = sources([122.0, 124.1][:n], [10.0, 9.3][:n], flux=[float(day + 1), 0.7][:n])
        high = sources(122.0, 10.0, flux=10.0 * (day + 1))
        images = [FIELD.image(day, low), FIELD.image(day, high, freq=180e6)]
        if day == 2:
            images[0] = replace(images[0], metadata=replace(images[0].metadata, url=HOSTILE, tau_time=301.5))
        dataset.process(*images, forced=faint)


def open_connections(engine, expected):
    """Count the connections to a database other than the engine's own, once they are as many as expected, or 5 s later.

    A server notices the end of a connection a little later.
    """
    for _ in range(100):
        count = _count(engine)
        if count == expected:
            break
        time.sleep(0.05)
    return count


def _count(engine):
    engine.dispose()
    if engine.dialect.name == "sqlite":
        return sum(str(one.resolve()) == engine.url.database for one in Path("/proc/self/fd").iterdir())
    with engine.connect() as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        return connection.execute(text(query)).scalar_one()
