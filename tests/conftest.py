"""Fixtures of all tests: an isolated environment, and databases of both kinds."""

from __future__ import annotations

import atexit
import gc
import multiprocessing.forkserver
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog
from hypothesis import settings
from side_by_side import (  # noqa: F401 (hooks)
    pytest_collection_modifyitems,
    pytest_sessionfinish,
    pytest_testnodedown,
    pytest_xdist_make_scheduler,
)
from sqlalchemy import Engine, delete, event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from db_servers import PostgresServer
    from made_up_survey import Dataset

# Property tests have no deadline, since a busy machine is slow.
# CI tries the same examples every time, so that a failure is caused by a change; elsewhere examples are random.
settings.register_profile("trap", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("trap")

# Prefect reads these when it is imported. Its home is new: no profile, server or history of the user.
PREFECT_HOME = tempfile.mkdtemp(prefix="trap-prefect-")
atexit.register(shutil.rmtree, PREFECT_HOME, ignore_errors=True)
os.environ.update(
    DO_NOT_TRACK="1",
    NO_COLOR="1",
    OMP_NUM_THREADS="1",
    PREFECT_HOME=PREFECT_HOME,
    PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW="ignore",
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
    PREFECT_SERVER_UI_ENABLED="false",
    PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT="false",
)
TRAP_DATABASE = tuple(f"TKP_DB{name}" for name in ("ENGINE", "NAME", "USER", "PASSWORD", "HOST", "PORT"))
for name in ("PREFECT_API_URL", "PREFECT_API_KEY", "PREFECT_PROFILE", *TRAP_DATABASE):
    os.environ.pop(name, None)

# A shell that starts the tests in the background lets them, and the programs that they start, ignore interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

sys.path.insert(0, str(Path(__file__).parent))  # importlib's import mode does not add this folder


@event.listens_for(Engine, "connect")
def _reverse_unordered_rows(connection: object, _record: object) -> None:
    """Let SQLite return the rows of a query without an order in reverse: PostgreSQL promises none and may change it."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA reverse_unordered_selects = ON")


# All worker processes of a test process are forked from one server, which imports the pipeline once. The first command
# would decide what it holds: after one that only searches images, every worker of later tests imported the pipeline.
# It also loads the kernels, which takes half a second of each worker; it finds that module of the tests by a variable.
multiprocessing.forkserver.set_forkserver_preload(
    ["trap.pipeline", "trap.report.extracted", "trap.run.inspection", "loaded_kernels"]
)
multiprocessing.forkserver.set_forkserver_preload = lambda _modules: None
_start_forkserver = multiprocessing.forkserver.ensure_running


def _start_forkserver_beside_tests() -> None:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        _start_forkserver()


multiprocessing.forkserver.ensure_running = _start_forkserver_beside_tests


# Where nothing configures logging, an exception is logged with its traceback alone. By default structlog also draws the
# variables of every function, which takes ten seconds for the settings, tables and images of a run.
structlog.get_config()["processors"][-1].exception_formatter = structlog.dev.plain_traceback


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect tests without garbage collection, and exempt from it all that exists then, which lasts to the end.

    Otherwise half a million objects are looked through again and again, a third of the time that collecting takes.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True)
def _logs_end_with_their_test() -> Iterator[None]:
    """Reset logging after a test: a command logs to the standard error of its test, which is closed afterwards."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Start a PostgreSQL server. If this is not possible, the test fails; it is not skipped."""
    from db_servers import postgres_server  # noqa: PLC0415 (after the environment)

    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def _migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from trap.db.engine import make_engine  # noqa: PLC0415 (slow, and only some tests need it)
    from trap.db.schema import upgrade  # noqa: PLC0415

    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    engine = make_engine(f"sqlite:///{path}")
    upgrade(engine)
    engine.dispose()  # folds the write-ahead log into the file
    return path


@pytest.fixture(scope="session", autouse=True)
def _new_files_are_copies(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let runs create SQLite files as copies of a migrated one, which takes 1 ms instead of half a second.

    The migrations are tested in tests/db, and runs that begin with them in tests/e2e.
    """
    opening = sys.modules.get("trap.db.opening")  # collected tests have imported it, if they need it
    if opening is None:
        yield
        return
    template, upgrade = request.getfixturevalue("_migrated_sqlite"), opening.upgrade

    def copy_and_upgrade(engine: Engine) -> None:
        file = engine.url.database
        if engine.dialect.name == "sqlite" and file and ":" not in file:  # a file, no URI and no database in memory
            _copy_unless_it_exists(template, Path(file))
        upgrade(engine)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opening, "upgrade", copy_and_upgrade)
        yield


def _copy_unless_it_exists(file: Path, target: Path) -> None:
    """Copy a file, at once, since two runs may begin together. The run itself reports errors of the file."""
    with suppress(OSError, ValueError):
        if target.exists():
            return
        copy = target.with_name(f"{target.name}.{os.getpid()}.{threading.get_ident()}.copy")
        try:
            shutil.copy(file, copy)
            target.hardlink_to(copy)
        finally:
            copy.unlink(missing_ok=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def dialect(request: pytest.FixtureRequest) -> str:
    """Return the kind of database; every test that uses a database runs on both."""
    return request.param


@pytest.fixture
def empty_database_url(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return the URL of a database without tables."""
    if dialect == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
    else:
        with request.getfixturevalue("postgres").database(migrated=False) as url:
            yield url


@pytest.fixture
def database_url(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return the URL of a database with empty tables."""
    if dialect == "sqlite":
        path = tmp_path / "test.db"
        shutil.copy(request.getfixturevalue("_migrated_sqlite"), path)
        yield f"sqlite:///{path}"
    else:
        with request.getfixturevalue("postgres").database() as url:
            yield url


@pytest.fixture(scope="session")
def _shared_sqlite(_migrated_sqlite: Path) -> Iterator[Engine]:
    from trap.db.engine import make_engine  # noqa: PLC0415

    path = _migrated_sqlite.with_name("shared.db")
    shutil.copy(_migrated_sqlite, path)
    made = make_engine(f"sqlite:///{path}")
    yield made
    made.dispose()


@pytest.fixture(scope="session")
def _shared_postgresql(postgres: PostgresServer) -> Iterator[Engine]:
    from trap.db.engine import make_engine  # noqa: PLC0415

    with postgres.database() as url:
        made = make_engine(url)
        yield made
        made.dispose()


@pytest.fixture
def engine(dialect: str, request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Return the engine of a database with empty tables.

    A test that asks for :func:`database_url` too gets a database of its own, and may do anything with it; the
    others share one, from which all datasets are deleted after each test.
    """
    from trap.db.engine import make_engine, transaction  # noqa: PLC0415
    from trap.db.models import Dataset  # noqa: PLC0415

    if "database_url" in request.fixturenames:
        made = make_engine(request.getfixturevalue("database_url"))
        yield made
        made.dispose()
        return
    shared = request.getfixturevalue(f"_shared_{dialect}")
    yield shared
    with transaction(shared) as connection:
        connection.execute(delete(Dataset))


@pytest.fixture
def make_dataset(engine: Engine) -> Callable[..., Dataset]:
    """Return a function that makes datasets of made-up measurements."""
    from made_up_survey import dataset_maker  # noqa: PLC0415

    return dataset_maker(engine)
