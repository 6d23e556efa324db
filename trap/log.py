"""Structured logging: one event, its facts, and the run, timestep and image it belongs to.

Library code only calls ``structlog.get_logger()`` and names an event. Programs (the command line,
the flows) call :func:`configure_logging` once; nothing is configured on import.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from typing import TextIO

__all__ = ["configure_logging"]


def configure_logging(*, verbose: bool = False, json_lines: bool = False, stream: TextIO | None = None) -> None:
    """Send the pipeline's events to a stream, as console text or as JSON lines.

    Parameters
    ----------
    verbose
        Show debugging events too.
    json_lines
        One JSON object per line, for machines; otherwise aligned text, coloured on a terminal.
    stream
        Where to write; standard error by default, so that output can be piped.
    """
    target = sys.stderr if stream is None else stream
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer()
        if json_lines
        else structlog.dev.ConsoleRenderer(colors=target.isatty(), pad_event_to=24)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.dict_tracebacks if json_lines else structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if verbose else logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(target),
        cache_logger_on_first_use=False,
    )
