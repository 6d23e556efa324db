"""Structured logging: each line is an event with its data and its run, timestep and image.

Library code only calls ``structlog.get_logger()`` and names an event. Programs (the command line,
the flows) call :func:`configure_logging` once; importing a module configures nothing.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any, TextIO

__all__ = ["configure_logging"]

# Local variables of the frames are left out: they may hold a password, or a million pixels.
_with_traceback = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


def configure_logging(
    *,
    verbose: bool = False,
    json_lines: bool = False,
    stream: TextIO | None = None,
    log_file: Path | None = None,
    extra: Sequence[structlog.types.Processor] = (),
) -> None:
    """Send the pipeline's events to a stream, as console text or as JSON lines.

    Parameters
    ----------
    verbose
        Whether debugging events are written too.
    json_lines
        Whether events are written as JSON, one object per line; otherwise as aligned text, coloured on a terminal.
    stream
        Stream to write to; None uses standard error, so that standard output can be piped.
    log_file
        File to which every event is also appended as a line of JSON; None writes no file.
    extra
        Processors that run on each event before it is written, such as a copy to a server.
    """
    target = sys.stderr if stream is None else stream
    renderer: list[structlog.types.Processor] = (
        [_with_traceback, structlog.processors.JSONRenderer()]
        if json_lines
        else [
            _with_short_ids,
            structlog.dev.ConsoleRenderer(
                colors=target.isatty(), pad_event_to=24, exception_formatter=structlog.dev.plain_traceback
            ),
        ]
    )
    copies = [] if log_file is None else [_copy_to(log_file)]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            # Events of a worker process have their time already.
            structlog.processors.MaybeTimeStamper(fmt="iso", utc=True),
            *extra,
            *copies,
            *renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if verbose else logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(target),
        cache_logger_on_first_use=False,
    )


def _with_short_ids(
    _logger: structlog.types.WrappedLogger, _method: str, event: structlog.types.EventDict
) -> structlog.types.EventDict:
    """Shorten the ids of runs, for lines of text; JSON lines keep the whole ids."""
    return {key: str(value)[:8] if key.endswith("_run_id") else value for key, value in event.items()}


def _copy_to(log_file: Path) -> structlog.types.Processor:
    """Return a processor that writes each event to a file and passes it on unchanged."""
    as_json = structlog.processors.JSONRenderer()

    def copy(logger: Any, method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:  # noqa: ANN401 (structlog's protocol)
        line = as_json(logger, method, _with_traceback(logger, method, dict(event)))
        with log_file.open("a", encoding="utf-8") as lines:
            lines.write(f"{line!s}\n")
        return event

    return copy
