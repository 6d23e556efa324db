"""Where results come from: which run stored what, with which software, where and with which settings."""

from __future__ import annotations

import json
import os
import platform
import socket
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update
from sqlalchemy.engine import make_url

import trap
from trap.config import write_config
from trap.db.bulk import read_columns
from trap.db.engine import show_url
from trap.db.models import Run

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from trap.config import PipelineConfig

__all__ = ["end_run", "latest_config", "run_table", "start_run"]

LIBRARIES = ("numpy", "scipy", "numba", "astropy", "photutils", "sqlalchemy", "psycopg2-binary", "prefect")
"""Those whose version may show in a result, or in how it was stored."""


def start_run(connection: Connection, dataset_id: int, config: PipelineConfig) -> int:
    """Record that a run begins to write a dataset, and that one that never said its end was killed.

    The caller holds the dataset's writer lock, so that no other run can still be at work.
    """
    lost = update(Run).where(Run.dataset == dataset_id, Run.state == "running")
    connection.execute(lost.values(state="killed"))
    made = insert(Run).values(
        dataset=dataset_id,
        start_ts=datetime.now(UTC),
        state="running",
        host=socket.gethostname(),
        pid=os.getpid(),
        software=json.dumps(_versions()),
        config_hash=config.science_hash,
        config=write_config(_without_password(config)),
    )
    number: int = connection.execute(made.returning(Run.id)).scalar_one()
    return number


def end_run(connection: Connection, run_id: int, state: str) -> None:
    """Record how a run ended."""
    connection.execute(update(Run).where(Run.id == run_id).values(state=state, end_ts=datetime.now(UTC)))


def latest_config(connection: Connection, dataset_id: int) -> str | None:
    """Return the settings of the latest run over a dataset, as TOML; None where no run is known."""
    newest = select(Run.config).where(Run.dataset == dataset_id).order_by(Run.id.desc()).limit(1)
    return connection.execute(newest).scalar_one_or_none()


def run_table(connection: Connection, dataset_id: int) -> dict[str, NDArray[Any]]:
    """Return the runs over a dataset, the first one first.

    Returns
    -------
    ``id``, ``start_ts``, ``end_ts``, ``state``, ``host``, ``pid``, ``software`` (JSON), ``config_hash``,
    ``config`` (TOML).
    """
    rows = select(
        *(Run.id, Run.start_ts, Run.end_ts, Run.state, Run.host, Run.pid, Run.software, Run.config_hash, Run.config)
    )
    return read_columns(connection, rows.where(Run.dataset == dataset_id).order_by(Run.id))


def _versions() -> dict[str, str]:
    versions = {"trap": trap.__version__, "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def _without_password(config: PipelineConfig) -> PipelineConfig:
    shown = show_url(make_url(config.execution.database))
    return config.with_options(execution={"database": shown})
