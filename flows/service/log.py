"""Forwarding of the pipeline's log events to the log of the current Prefect run.

Errors of users, such as a pattern without images, and the end of a cancelled run are one line in that log.

At a terminal, Prefect's own log lines are hidden: they repeat the states of runs, and print tracebacks of errors that
the pipeline has logged already.
"""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog
from prefect.context import FlowRunContext, TaskRunContext
from prefect.exceptions import CancelledRun, CrashedRun, FailedRun
from prefect.logging.handlers import APILogHandler, PrefectConsoleHandler
from structlog.contextvars import merge_contextvars
from structlog.processors import format_exc_info

from trap.errors import TrapError
from trap.escapes import plain_text
from trap.log import configure_logging

if TYPE_CHECKING:
    from collections.abc import Iterator

    from structlog.types import EventDict, Processor, WrappedLogger

__all__ = ["RUN_LOGGER", "events_in_run_log", "quiet_console", "shorten_tracebacks"]

RUN_LOGGER = "trap"
"""Logger of the forwarded lines."""
SEPARATE_FIELDS = {"event", "level", "timestamp", "exception", "flow_run_id", "task_run_id"}
"""Fields of an event that Prefect's log shows elsewhere than among the facts of the line."""
FORMAT_VARIABLE = "TRAP_LOG_FORMAT"
"""Environment variable for flows that a worker runs, without command line options: ``json`` selects JSON lines."""
ENGINE_LOGGERS = ("prefect.flow_runs", "prefect.engine")
"""Prefect's loggers of the errors that end a run."""
ENDED = (CancelledRun, CrashedRun, FailedRun)
"""Exceptions that Prefect raises for the final state of a run."""
PREFECT_RUN_LOGGERS = ("prefect.flow_runs", "prefect.task_runs")
"""Prefect's loggers of the states of runs."""


def shorten_tracebacks() -> None:
    """Log errors of this project in one line, and final states that are no errors of the engine not at all.

    After a run of a worker, Prefect raises an exception for each final state but Completed, and logs its traceback. The
    state has been logged by then, with its message.
    """
    for name in ENGINE_LOGGERS:
        logging.getLogger(name).addFilter(_shortened)


def _shortened(record: logging.LogRecord) -> bool:
    """Remove the traceback of an expected error from a record; return whether the record is logged."""
    error = record.exc_info[1] if record.exc_info else None
    if not isinstance(error, (TrapError, *ENDED)):
        return True
    if "exited with unexpected exception" in record.msg:
        return False
    record.msg, record.args, record.exc_info = plain_text(error), (), None
    return True


@contextmanager
def events_in_run_log() -> Iterator[None]:
    """Forward log events to the log of the current flow or task run, without printing them twice."""
    logger = logging.getLogger(RUN_LOGGER)
    level, propagate = logger.level, logger.propagate
    handler = APILogHandler()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        with _leading_processors(_add_run_ids, _forward):
            yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


@contextmanager
def _leading_processors(*first: Processor) -> Iterator[None]:
    """Apply processors to every event before all others; configure the log if the program has not done so."""
    if not structlog.is_configured():
        configure_logging(json_lines=os.environ.get(FORMAT_VARIABLE, "").lower() == "json", extra=first)
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
    """Add the ids of the current flow run and task run to an event, so that it can be searched by them."""
    task, flow = TaskRunContext.get(), FlowRunContext.get()
    if task is not None:
        event["task_run_id"] = str(task.task_run.id)
        event["flow_run_id"] = str(task.task_run.flow_run_id)
    elif flow is not None and flow.flow_run is not None:
        event["flow_run_id"] = str(flow.flow_run.id)
    return event


def _forward(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Send an event to Prefect as one line, followed by its traceback if it has one; return it unchanged."""
    fields = format_exc_info(logger, method, merge_contextvars(logger, method, dict(event)))
    traceback = fields.get("exception", "")
    facts = (f"{key}={value}" for key, value in fields.items() if key not in SEPARATE_FIELDS)
    text = plain_text(" ".join([str(fields["event"]), *facts]))
    level = logging.getLevelNamesMapping().get(method.upper(), logging.ERROR)
    logging.getLogger(RUN_LOGGER).log(level, "%s", f"{text}\n{traceback}".rstrip())
    return event


@contextmanager
def quiet_console() -> Iterator[None]:
    """Print only Prefect's warnings and errors at the terminal, except for the log lines of its runs.

    If ``PREFECT_LOGGING_LEVEL`` is set, nothing is hidden.
    """
    if "PREFECT_LOGGING_LEVEL" in os.environ:
        yield
        return
    consoles = [handler for handler in logging.getLogger().handlers if isinstance(handler, PrefectConsoleHandler)]
    for console in consoles:
        console.addFilter(_is_shown)
    try:
        yield
    finally:
        for console in consoles:
            console.removeFilter(_is_shown)


def _is_shown(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING and not record.name.startswith(PREFECT_RUN_LOGGERS)
