"""The report of a dataset at the end of a run: one file of HTML, and a page in Prefect that names it.

Prefect's pages run no scripts and its database should stay small, so that the file stays on disk.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import structlog
from prefect.artifacts import create_markdown_artifact

from flows.service.identity import dataset_label
from flows.service.outage import publish
from trap.cli.page_options import N_CANDIDATES
from trap.cli.passwords import without_password
from trap.cli.report import write_report
from trap.cli.terminal import command
from trap.db.engine import absolute_url
from trap.db.urls import parse_url
from trap.escapes import plain_text
from trap.images.patterns import path_of
from trap.workers.executors import ProcessExecutor

if TYPE_CHECKING:
    from trap.config import ExecutionConfig, PipelineConfig

__all__ = ["report_path", "store_report"]

log = structlog.get_logger(__name__)

MAX_SECONDS = 300.0
"""Time after which a report is given up: a file system may hang."""


def report_path(settings: ExecutionConfig, dataset_id: int) -> Path:
    """Return the path of the report of a dataset: next to an SQLite database, otherwise in the folder of pictures.

    Parameters
    ----------
    settings
        Settings with the database and the folder.
    dataset_id
        Number of the dataset.
    """
    url = parse_url(absolute_url(settings.database))
    if url.get_backend_name() == "sqlite":
        return path_of(f"{url.database}.dataset-{dataset_id}.html").absolute()
    return path_of(settings.pictures).absolute() / f"dataset-{dataset_id}" / "report.html"


def store_report(config: PipelineConfig, dataset_id: int, *, is_published: bool = True) -> Path | None:
    """Write the report of a dataset after its run has ended, and name its file on a page of the current flow run.

    A report that cannot be made is logged, and costs nothing else.

    Parameters
    ----------
    config
        Settings of the run; ``execution.report`` turns reports off.
    dataset_id
        Number of the dataset.
    is_published
        Whether the Prefect server gets a page.

    Returns
    -------
    Path of the file; None if there is none.
    """
    if not config.execution.report:
        return None
    path = report_path(config.execution, dataset_id)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A process of its own: a hung file of an image, or too little memory, ends it alone.
        with ProcessExecutor(1, timeout_seconds=MAX_SECONDS) as worker:
            database = config.execution.database
            worker.submit(write_report, database, dataset_id, path, n_candidates=N_CANDIDATES, force=True).result()
        if is_published:
            publish(
                create_markdown_artifact,
                page_text(config, path),
                key=f"dataset-{dataset_label(config, dataset_id)}-report",
                description=f"Report of dataset {dataset_id}",
            )
    except httpx.HTTPError as error:
        log.warning("report_not_published", path=str(path), reason=str(error).partition("\n")[0])
    except Exception as error:  # noqa: BLE001 (the run has stored its results, whatever went wrong here)
        log.warning("report_not_written", path=str(path), reason=str(error).partition("\n")[0])
        return None
    return path


def page_text(config: PipelineConfig, path: Path) -> str:
    """Write the page that leads to a report, in Markdown.

    Parameters
    ----------
    config
        Settings of the run.
    path
        Path of the report.
    """
    database, _ = without_password(absolute_url(config.execution.database))
    lines = [
        "The report of the dataset is a file. Open it in a browser, also without a network, or send it:",
        _code(path),
        f"[Open it here]({path.as_uri()}), if the browser runs on the machine of the file and follows such links.",
        "The pages with all sources are served by this command:",
        _code(command("serve", database)),
    ]
    return "\n\n".join(lines)


def _code(text: object) -> str:
    """Write a line of code in Markdown."""
    return f"    {plain_text(text)}"
