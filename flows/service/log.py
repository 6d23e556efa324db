"""The pipeline's events, also in the log of the Prefect run that they belong to.

Prefect's own lines say what its states say already, and tracebacks of what the pipeline reports in
its own words; at a terminal they would drown it.
"""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog
from prefect.context import FlowRunContext, TaskRunContext
from prefect.logging.handlers import APILogHandler, PrefectConsoleHandler
from structlog.contextvars import merge_contextvars
from structlog.processors import format_exc_info

from trap.log import configure_logging

if TYPE_CHECKING:
    from collections.abc import Iterator

    from structlog.types import EventDict, Processor, WrappedLogger

__all__ = ["events_in_run_log", "quiet_console"]

RUN_LOGGER = "trap"
SAID_OTHERWISE = {"event", "level", "timestamp", "exception", "flow_run_id", "task_run_id"}
FORMAT = "TRAP_LOG_FORMAT"
"""Where a worker runs the flow nobody gives options: ``json`` in this variable asks for JSON lines."""
RUN_LOGGERS = ("prefect.flow_runs", "prefect.task_runs")


@contextmanager
def events_in_run_log() -> Iterator[None]:
    """Send events to the log of the current flow or task run too, without printing them twice."""
    logger = logging.getLogger(RUN_LOGGER)
    before = logger.level, logger.propagate
    handler = APILogHandler()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        with _seen_by(_add_run_ids, _forward):
            yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]


@contextmanager
def _seen_by(*first: Processor) -> Iterator[None]:
    """Let processors see every event; where nobody has said how events are printed, that is decided here."""
    if not structlog.is_configured():
        configure_logging(json_lines=os.environ.get(FORMAT, "").lower() == "json", extra=first)
        try:
            yield
        finally:
            structlog.reset_defaults()
        return
    processors = structlog.get_config()["processors"]
    structlog.configure(processors=[*first, *processors])
    try:
        yield
    finally:
        structlog.configure(processors=processors)


def _add_run_ids(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Name the flow run and the task run in which an event happens, by which logs are found again."""
    task, flow = TaskRunContext.get(), FlowRunContext.get()
    if task is not None:
        event["task_run_id"] = str(task.task_run.id)
        event["flow_run_id"] = str(task.task_run.flow_run_id)
    elif flow is not None and flow.flow_run is not None:
        event["flow_run_id"] = str(flow.flow_run.id)
    return event


def _forward(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Say an event in one line (and a traceback below it, if there is one) to Prefect."""
    said = format_exc_info(logger, method, merge_contextvars(logger, method, dict(event)))
    traceback = said.get("exception", "")
    facts = (f"{key}={value}" for key, value in said.items() if key not in SAID_OTHERWISE)
    text = " ".join([str(said["event"]), *facts])
    level = logging.getLevelNamesMapping().get(method.upper(), logging.ERROR)
    logging.getLogger(RUN_LOGGER).log(level, "%s", f"{text}\n{traceback}".rstrip())
    return event


@contextmanager
def quiet_console() -> Iterator[None]:
    """Show only Prefect's warnings at the terminal, and nothing of the runs' own loggers.

    Whoever sets ``PREFECT_LOGGING_LEVEL`` sees all that it asks for.
    """
    if "PREFECT_LOGGING_LEVEL" in os.environ:
        yield
        return
    consoles = [handler for handler in logging.getLogger().handlers if isinstance(handler, PrefectConsoleHandler)]
    for console in consoles:
        console.addFilter(_is_of_interest)
    try:
        yield
    finally:
        for console in consoles:
            console.removeFilter(_is_of_interest)


def _is_of_interest(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING and not record.name.startswith(RUN_LOGGERS)
