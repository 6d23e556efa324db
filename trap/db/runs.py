"""Runs: the time, machine, software and settings behind each stored result."""

from __future__ import annotations

import json
import os
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from sqlalchemy import func, insert, select, update

from trap.config import write_config
from trap.db.bulk import read_columns
from trap.db.models import Run
from trap.db.urls import parse_url, show_url
from trap.software import software_versions

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from trap.config import PipelineConfig

__all__ = ["end_run", "latest_configs", "record_page", "run_table", "start_run"]


def start_run(connection: Connection, dataset_id: int, config: PipelineConfig) -> int:
    """Record the start of a run, and mark an earlier run without an end as killed.

    Parameters
    ----------
    connection
        Open connection; the caller owns the transaction.
    dataset_id
        Number of the dataset; the caller holds its writer lock, so that no other run can be active.
    config
        All settings; they are stored without the password of the database.

    Returns
    -------
    Number of the run.
    """
    killed = update(Run).where(Run.dataset == dataset_id, Run.state == "running")
    connection.execute(killed.values(state="killed"))
    row = insert(Run).values(
        dataset=dataset_id,
        start_ts=datetime.now(UTC),
        state="running",
        host=socket.gethostname(),
        pid=os.getpid(),
        software=json.dumps(software_versions()),
        config_hash=config.science_hash,
        config=write_config(_without_password(config)),
    )
    number: int = connection.execute(row.returning(Run.id)).scalar_one()
    return number


def end_run(connection: Connection, run_id: int, state: str) -> None:
    """Record the end of a run.

    Parameters
    ----------
    connection, run_id
        Connection in a transaction of the caller, and number of the run.
    state
        'done', 'partial', 'stopped' or 'failed'.
    """
    connection.execute(update(Run).where(Run.id == run_id).values(state=state, end_ts=datetime.now(UTC)))


def record_page(connection: Connection, dataset_id: int, page: str) -> None:
    """Record the page of the latest run over a dataset.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset that the run writes.
    page
        Address of the page in Prefect; a name and a password in it are left out.
    """
    latest = select(func.max(Run.id)).where(Run.dataset == dataset_id).scalar_subquery()
    parts = urlsplit(page)
    plain = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    connection.execute(update(Run).where(Run.id == latest).values(page=plain))


def latest_configs(connection: Connection) -> dict[int, str]:
    """Return the settings of the latest run over each dataset, as TOML, by number of the dataset.

    Parameters
    ----------
    connection
        Open connection.
    """
    latest = select(func.max(Run.id)).group_by(Run.dataset)
    rows = select(Run.dataset, Run.config).where(Run.id.in_(latest))
    return {number: config for number, config in connection.execute(rows) if config is not None}


def run_table(connection: Connection, dataset_id: int) -> dict[str, NDArray[Any]]:
    """Return the runs over a dataset, oldest first.

    Parameters
    ----------
    connection, dataset_id
        Open connection, and number of the dataset that the runs wrote to.

    Returns
    -------
    ``id``, ``start_ts``, ``end_ts``, ``state``, ``host``, ``pid``, ``software`` (JSON), ``config_hash``,
    ``config`` (TOML), ``page`` (address in Prefect, None without one).
    """
    rows = select(
        *(Run.id, Run.start_ts, Run.end_ts, Run.state, Run.host, Run.pid, Run.software, Run.config_hash, Run.config),
        Run.page,
    )
    return read_columns(connection, rows.where(Run.dataset == dataset_id).order_by(Run.id))


def _without_password(config: PipelineConfig) -> PipelineConfig:
    database = show_url(parse_url(config.execution.database))
    return config.with_options(execution={"database": database})
