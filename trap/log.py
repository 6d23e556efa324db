"""Structured logging: each line is an event with its data and its run, timestep and image.

Library code only calls ``structlog.get_logger()`` and names an event. Programs (the command line,
the flows) call :func:`configure_logging` once; importing a module configures nothing.
"""

from __future__ import annotations

import io
import logging
import sys
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from trap.escapes import plain_page, plain_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any, TextIO

__all__ = ["configure_logging"]

_REPEATED = ("timestamp", "dataset", "place")

# Local variables of the frames are left out: they may hold a password, or a million pixels.
_with_traceback = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


def configure_logging(
    *,
    verbose: bool = False,
    json_lines: bool = False,
    quiet: bool = False,
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
        Whether events are written as JSON, one object per line; otherwise as lines for people. With ``verbose``, these
        lines have the time and all data of the event.
    quiet
        Whether only warnings and errors are written to the stream; the file still has every event.
    stream
        Stream to write to; None uses standard error, so that standard output can be piped.
    log_file
        File to which every event is also appended as a line of JSON; None writes no file.
    extra
        Processors that run on each event before it is written, such as a copy to a server.
    """
    warnings.formatwarning = _format_warning
    target = _Lines(sys.stderr if stream is None else stream)
    renderer: list[structlog.types.Processor]
    if json_lines:
        renderer = [_with_traceback, structlog.processors.JSONRenderer()]
    elif verbose:
        console = structlog.dev.ConsoleRenderer(
            colors=target.is_terminal, pad_event_to=24, exception_formatter=_print_traceback
        )
        renderer = [_with_short_ids, _with_plain_text, console]
    else:
        renderer = [structlog.processors.format_exc_info, _line_for_people]
    if quiet:
        renderer.insert(0, _only_problems)
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
        logger_factory=lambda *_: target,
        cache_logger_on_first_use=False,
    )


def _with_short_ids(
    _logger: structlog.types.WrappedLogger, _method: str, event: structlog.types.EventDict
) -> structlog.types.EventDict:
    """Shorten the ids of runs, for lines of text; JSON lines keep the whole ids."""
    return {key: str(value)[:8] if key.endswith("_run_id") else value for key, value in event.items()}


def _with_plain_text(
    _logger: structlog.types.WrappedLogger, _method: str, event: structlog.types.EventDict
) -> structlog.types.EventDict:
    """Escape the texts of an event, for lines of text; tracebacks keep their lines."""
    return {key: plain_text(value) if isinstance(value, str) and key != "exception" else value
            for key, value in event.items()}  # fmt: skip


def _print_traceback(stream: TextIO, exc_info: structlog.types.ExcInfo) -> None:
    """Print a traceback; the message of its exception may name a file."""
    text = io.StringIO()
    structlog.dev.plain_traceback(text, exc_info)
    stream.write(plain_page(text.getvalue()))


def _format_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """Format a warning of a library, whose text may be that of a header, on one line without the code."""
    del line
    return f"{filename}:{lineno}: {category.__name__}: {plain_text(message)}\n"


def _only_problems(
    _logger: structlog.types.WrappedLogger, _method: str, event: structlog.types.EventDict
) -> structlog.types.EventDict:
    """Drop the events of a run without problems."""
    if event["level"] in {"debug", "info"}:
        raise structlog.DropEvent
    return event


def _line_for_people(_logger: structlog.types.WrappedLogger, _method: str, event: structlog.types.EventDict) -> str:
    """Write an event without its time and without the names of the run, which are the same in every line."""
    fields = {name: value for name, value in event.items() if name not in _REPEATED and not name.endswith("_run_id")}
    level, name, traceback = fields.pop("level"), fields.pop("event"), fields.pop("exception", None)
    if name == "timestep_stored":
        return _timestep_line(event)
    text = plain_text(" ".join([str(name), *(f"{key}={value}" for key, value in fields.items())]))
    prefix = "" if level in {"debug", "info"} else f"{level}: "
    return f"{prefix}{text}" + ("" if traceback is None else f"\n{plain_page(str(traceback))}")


def _timestep_line(event: structlog.types.EventDict) -> str:
    """Write a stored timestep: its place in the run, its time, and the numbers of its sources."""
    place, start = event.get("place", ""), str(event.get("timestep", ""))[:16].replace("T", " ")
    left_out = event["images"] - event["accepted"]
    counts = [f"{event['blind']} sources", f"{event['forced']} forced", f"{event['new']} new"]
    n_dropped = sum(n for name, n in event.items() if name.startswith("n_dropped_"))
    if n_dropped:
        counts.append(f"{n_dropped} source{'s' * (n_dropped != 1)} left out")
    counts += [f"{name} {event[name]}{unit}" for name, unit in (("gain", ""), ("shift", "″")) if name in event]
    if left_out:
        counts.append(f"{left_out} of {event['images']} images left out")
    return f"[{place}] {start}  {', '.join(counts)}"


class _Lines:
    """The logger behind all others: it prints lines to a stream, and never raises an exception.

    The stream may be a pipe whose reader has gone, a file on a full disk, or a terminal without some characters. Lines
    that cannot be printed are lost; the events of a run are also in its log file, if it has one.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    @property
    def is_terminal(self) -> bool:
        """Whether the stream is a terminal."""
        return self._stream is not None and not self._stream.closed and self._stream.isatty()

    def msg(self, line: str) -> None:
        """Print a line."""
        if self._stream is None:
            return
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        # A ValueError: the stream was closed.
        with suppress(OSError, ValueError):
            print(line.encode(encoding, "backslashreplace").decode(encoding), file=self._stream, flush=True)

    log = debug = info = warn = warning = fatal = failure = err = error = critical = exception = msg


def _copy_to(log_file: Path) -> structlog.types.Processor:
    """Return a processor that writes each event to a file and passes it on unchanged.

    A file that cannot be written is reported once, as an event; later events are written if that has become possible.
    """
    as_json = structlog.processors.JSONRenderer()
    failed = False

    def copy(logger: Any, method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:  # noqa: ANN401 (structlog's protocol)
        """Append the event to the file."""
        nonlocal failed
        line = as_json(logger, method, _with_traceback(logger, method, dict(event)))
        # After a failure the last line may be incomplete.
        reason = _append(log_file, f"\n{line!s}\n" if failed else f"{line!s}\n")
        is_new, failed = bool(reason) and not failed, bool(reason)
        if is_new:
            structlog.get_logger(__name__).warning("log_not_written", file=str(log_file), reason=reason)
        return event

    return copy


def _append(file: Path, text: str) -> str:
    """Append a text to a file; return the reason if that is impossible, otherwise nothing."""
    try:
        with file.open("a", encoding="utf-8") as lines:
            lines.write(text)
    except OSError as error:
        return error.strerror or str(error)
    return ""
