"""Measure whether a large database is slower to write and to query than an empty one.

Timesteps of 1,000 sources are stored alternately in an empty database and in one with millions of measurements. The
same rows alone, by one bare COPY per table on PostgreSQL and by executemany on SQLite, are written into tables without
keys and indexes ("bare") and into empty tables with all keys, indexes and references ("indexed"). Then light curves and
the most variable entries are queried from the large database, twice each: pages read from the disk the first time are
in memory the second time. Times and their ratios are printed; nothing is asserted. The PostgreSQL server is started in
a temporary folder, with a quarter of the memory for its buffers, as its manual recommends: 7 GB for 10⁷ rows.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog
from sqlalchemy import text

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from db_servers import OwnServer, own_postgres_server
from made_up_survey import Field, dataset_maker, sources
from table_filler import fill_dataset

from trap.db import bulk, lightcurves
from trap.db.binary_copy import binary_rows
from trap.db.engine import make_engine, reading, transaction
from trap.db.models import Base
from trap.db.schema import upgrade
from trap.db.store import Store
from trap.db.upkeep import vacuum_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection, Engine

    from trap.dataset.records import StoredIds, TimestepRecord
    from trap.dataset.state import DatasetState

N_SOURCES = 1000
POINTS_PER_ENTRY = 1000
STRIDE = 10
"""An entry is in every tenth image: the catalogue has ten times as many sources as an image."""


@contextmanager
def recorded() -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """Record the rows inserted, updated and upserted in the block, with their tables."""
    rows: list[tuple[str, dict[str, Any]]] = []
    writers = {name: getattr(bulk, name) for name in ("insert_columns", "update_columns", "upsert_columns")}
    modules = [module for name, module in sys.modules.items() if name.startswith("trap.db.")]

    def wrapped(write: Callable[..., None]) -> Callable[..., None]:
        def keep(connection: object, model: type[Base], columns: dict[str, object], **given: object) -> None:
            filled = bulk._filled(columns)
            if bulk._n_rows(filled):
                rows.append((model.__tablename__, filled))
            write(connection, model, columns, **given)

        return keep

    places = [(module, name) for module in modules for name in writers if hasattr(module, name)]
    for module, name in places:
        setattr(module, name, wrapped(writers[name]))
    try:
        yield rows
    finally:
        for module, name in places:
            setattr(module, name, writers[name])


def prepare_bare(engine: Engine) -> None:
    """Make copies of each table without keys and indexes, and with them."""
    with transaction(engine) as connection:
        for name, table in Base.metadata.tables.items():
            connection.execute(text(f'CREATE TABLE "bare_{name}" AS SELECT * FROM "{name}" LIMIT 0'))
            if engine.dialect.name == "sqlite":
                _copy_definitions(connection, name)
            else:
                connection.execute(text(f'CREATE TABLE "indexed_{name}" (LIKE "{name}" INCLUDING ALL)'))
                # Only some columns of a changed row are written.
                free = [c.name for c in table.columns if not c.primary_key and not c.nullable]
                changes = [f'ALTER "{column}" DROP NOT NULL' for column in free]
                for key in table.foreign_keys:
                    target = key.column
                    changes.append(f'ADD FOREIGN KEY ("{key.parent.name}") REFERENCES "{target.table.name}" ("id")')
                if changes:
                    connection.execute(text(f'ALTER TABLE "indexed_{name}" {", ".join(changes)}'))


def _copy_definitions(connection: Connection, table: str) -> None:
    """Make a table of SQLite, and its indexes, once more under other names, with columns that may all be left out."""
    definitions = text(
        "SELECT name, sql FROM sqlite_master WHERE tbl_name = :table AND sql IS NOT NULL ORDER BY type DESC"
    )
    for name, statement in connection.execute(definitions, {"table": table}).all():
        renamed = re.sub(rf"\b{name}\b", f"indexed_{name}", statement, count=1)
        if name != table:
            renamed = re.sub(rf'\bON "?{table}"?', f"ON indexed_{table}", renamed, count=1)
        connection.exec_driver_sql(re.sub("(?<!IS) NOT NULL", "", renamed))


def write_bare(engine: Engine, rows: list[tuple[str, dict[str, Any]]], kind: str = "bare") -> float:
    """Write rows by the database's fastest method, and return the seconds without the preparation of the rows."""
    write = _executemany if engine.dialect.name == "sqlite" else _copy
    ready = [write(f"{kind}_{name}", name, columns) for name, columns in rows]
    if kind == "indexed":  # the keys are the same in every call
        with engine.begin() as connection:
            for table in {f'"indexed_{name}"' for name, _ in rows}:
                command = "DELETE FROM" if engine.dialect.name == "sqlite" else "TRUNCATE"
                connection.execute(text(f"{command} {table}"))
    start = time.perf_counter()
    with engine.begin() as connection:
        cursor = connection.connection.cursor()
        for call in ready:
            call(cursor)
    return time.perf_counter() - start


def _executemany(into: str, _name: str, columns: dict[str, Any]) -> Callable[[Any], None]:
    lists = [bulk._python_values(column) for column in columns.values()]
    values = [[v.isoformat(" ") if isinstance(v, datetime) else v for v in column] for column in lists]
    listed, marks = ", ".join(f'"{c}"' for c in columns), ", ".join("?" * len(columns))
    given = list(zip(*values, strict=True))
    return lambda cursor: cursor.executemany(f'INSERT INTO "{into}" ({listed}) VALUES ({marks})', given)


def _copy(into: str, name: str, columns: dict[str, Any]) -> Callable[[Any], None]:
    table, listed = Base.metadata.tables[name], ", ".join(f'"{c}"' for c in columns)
    content = binary_rows(columns, {c: table.c[c].type for c in columns})
    copy = f'COPY "{into}" ({listed}) FROM STDIN (FORMAT binary)'
    return lambda cursor: cursor.copy_expert(copy, io.BytesIO(content))


def days(n: int) -> Iterator[object]:
    """Images of the same thousand sources, day after day."""
    rng = np.random.default_rng(3)
    ra, dec = (grid.ravel() for grid in np.meshgrid(np.linspace(115, 131, 40), np.linspace(4, 16, 25)))
    for day in range(n):
        yield Field().image(day, sources(ra, dec, flux=rng.uniform(0.01, 0.02, N_SOURCES)))


def compare_writing(empty: Engine, full: Engine, n: int) -> dict[str, list[float]]:
    """Store the same timesteps in both databases by turns, and their bare rows in the first."""
    prepare_bare(empty)
    seconds: dict[str, list[float]] = {"empty": [], "full": [], "bare": [], "indexed": []}
    store_timestep = Store.store_timestep

    def timed(store: Store, record: TimestepRecord, state: DatasetState) -> StoredIds | None:
        start = time.perf_counter()
        ids = store_timestep(store, record, state)
        seconds["empty" if store.engine is empty else "full"].append(time.perf_counter() - start)
        return ids

    datasets = [dataset_maker(engine)() for engine in (empty, full)]
    rows: list[tuple[str, dict[str, Any]]] = []
    Store.store_timestep = timed  # type: ignore[method-assign]
    try:
        for day, image in enumerate(days(n)):
            for dataset in datasets if day % 2 else reversed(datasets):
                with recorded() as written:
                    dataset.process(image)
                rows = written if dataset is datasets[0] else rows
            for kind in seconds.keys() - {"empty", "full"}:
                seconds[kind].append(write_bare(empty, rows, kind))
    finally:
        Store.store_timestep = store_timestep  # type: ignore[method-assign]
    # The first timestep creates the catalogue, which happens once.
    return {name: values[2:] for name, values in seconds.items()}


def time_queries(engine: Engine, dataset: int, n_entries: int) -> dict[str, list[float]]:
    """Query light curves of entries across the catalogue, and the entries of the highest η."""
    entries = np.random.default_rng(5).integers(1, n_entries, 31).tolist()
    questions = {
        "light curve": lightcurves.light_curve,
        "top 100 of η–V": lambda c, _entry: lightcurves.variables(c, dataset, min_v=0.1, limit=100),
    }
    seconds: dict[str, list[float]] = {}
    for when in ("first", "again"):
        for name, ask in questions.items():
            seconds[f"{name}, {when}"] = times = []
            # The query of the whole dataset is the same every time.
            for entry in entries if when == "again" or name == "light curve" else entries[:1]:
                start = time.perf_counter()
                with reading(engine) as connection:
                    ask(connection, entry)
                times.append(time.perf_counter() - start)
    return seconds


def give_memory(server: OwnServer) -> None:
    """Let a PostgreSQL server use a quarter of the memory."""
    quarter = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4 // 2**20
    with server.database() as url:
        engine = make_engine(url)
        with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(text(f"ALTER SYSTEM SET shared_buffers = '{quarter} MB'"))
        engine.dispose()
    server.stop()
    server.start()


def report(kind: str, n_rows: int, writing: dict[str, list[float]], queries: dict[str, list[float]]) -> None:
    """Print medians, and ratios of the times measured alternately."""
    ms = {name: 1e3 * median(values) for name, values in {**writing, **queries}.items()}
    pairs = {f"full / {below}": ("full", below) for below in writing if below != "full"}
    print(f"\n{kind}, {n_rows:,} measurements; medians of {len(writing['full'])} timesteps of {N_SOURCES:,} sources")
    for name, value in ms.items():
        print(f"  {name:<22} {value:8.1f} ms")
    for name, (above, below) in pairs.items():
        ratio = median(a / b for a, b in zip(writing[above], writing[below], strict=True))
        print(f"  {name:<22} {ratio:8.2f}")


def measure(kind: str, urls: tuple[str, str], n_rows: int, n_timesteps: int) -> None:
    """Fill one of two databases, measure both, and print the results."""
    empty, full = map(make_engine, urls)
    for engine in (empty, full):
        upgrade(engine)
    n_entries = max(N_SOURCES * STRIDE, n_rows // POINTS_PER_ENTRY // STRIDE * STRIDE)
    n_images = n_rows // (n_entries // STRIDE) // STRIDE * STRIDE
    start = time.perf_counter()
    with full.connect() as connection:
        _without_checks(connection)
        dataset = fill_dataset(connection, n_entries=n_entries, n_images=n_images, stride=STRIDE)
        connection.commit()
        connection.invalidate()
    vacuum_database(full)
    if full.dialect.name == "postgresql":  # or pending writes of the filling would count in a timestep
        with full.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(text("CHECKPOINT"))
    print(f"{kind}: filled in {time.perf_counter() - start:.0f} s", flush=True)
    report(kind, n_rows, compare_writing(empty, full, n_timesteps), time_queries(full, dataset, n_entries))
    for engine in (empty, full):
        engine.dispose()


def _without_checks(connection: object) -> None:
    """Switch off the checks of references, which would take most of the time of the filling."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET session_replication_role = replica"))
    else:
        connection.connection.cursor().execute("PRAGMA foreign_keys = OFF")


def main() -> None:
    """Measure both kinds of database."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--postgresql-rows", type=int, default=10_000_000, metavar="N", help="at least 10,000; 0 skips it"
    )
    parser.add_argument("--sqlite-rows", type=int, default=1_000_000, metavar="N", help="at least 10,000; 0 skips it")
    parser.add_argument("--timesteps", type=int, default=42, metavar="N")
    arguments = parser.parse_args()
    if arguments.sqlite_rows:
        with tempfile.TemporaryDirectory() as folder:
            urls = (f"sqlite:///{folder}/empty.db", f"sqlite:///{folder}/full.db")
            measure("SQLite", urls, arguments.sqlite_rows, arguments.timesteps)
    if arguments.postgresql_rows:
        with own_postgres_server() as server:
            give_memory(server)
            with server.database() as empty, server.database() as full:
                measure("PostgreSQL", (empty, full), arguments.postgresql_rows, arguments.timesteps)


if __name__ == "__main__":
    main()
