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
from prefect.logging.handlers import APILogHandler, PrefectConsoleHandler
from structlog.contextvars import merge_contextvars
from structlog.processors import format_exc_info

from trap.log import configure_logging

if TYPE_CHECKING:
    from collections.abc import Iterator

    from structlog.types import EventDict, Processor, WrappedLogger

__all__ = ["events_in_run_log", "quiet_console"]

RUN_LOGGER = "trap"
SAID_OTHERWISE = {"event", "level", "timestamp", "exception"}
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
        with _seen_by(_forward):
            yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]


@contextmanager
def _seen_by(processor: Processor) -> Iterator[None]:
    """Let a processor see every event; where nobody has said how events are printed, that is decided here."""
    if not structlog.is_configured():
        configure_logging(extra=[processor])
        try:
            yield
        finally:
            structlog.reset_defaults()
        return
    processors = structlog.get_config()["processors"]
    structlog.configure(processors=[processor, *processors])
    try:
        yield
    finally:
        structlog.configure(processors=processors)


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
