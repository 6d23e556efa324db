"""Log events of steps in worker processes, which are sent back with the results and logged by the caller.

The log of a worker process, or of a machine of a cluster, is not kept. The events of a step therefore travel with its
value, or with the exception that it raised, and are logged once where the result is awaited: in the log of the run and
of the task that the step belongs to. Only the events of a step whose process was killed are lost.
"""

from __future__ import annotations

import logging
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

import structlog
from structlog.contextvars import bound_contextvars, get_contextvars
from structlog.processors import format_exc_info

from trap.log import configure_logging

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from structlog.types import EventDict, WrappedLogger

    Events = list[EventDict]

__all__ = ["RecordedResult", "call_recorded", "events_of", "log_context", "replay_events"]

P = ParamSpec("P")
T = TypeVar("T")

_ATTRIBUTE = "worker_events"
_events: ContextVar[Events | None] = ContextVar("events", default=None)
_setting_up = threading.Lock()


def log_context() -> dict[str, Any]:
    """Return the context of the caller's events, for :func:`call_recorded` to bind to the events of the step."""
    return get_contextvars()


def call_recorded(
    context: dict[str, Any], step: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
) -> tuple[T, Events]:
    """Run a step in a worker, and collect its log events instead of writing them.

    Parameters
    ----------
    context
        Context that is bound to every event of the step.
    step
        Function to be called.
    args, kwargs
        Its arguments.

    Returns
    -------
    The value of the step, and its events. If the step raises an exception, the exception carries the events.
    """
    _start_collecting()
    events: Events = []
    token = _events.set(events)
    try:
        with bound_contextvars(**context):
            return step(*args, **kwargs), events
    except Exception as error:
        error.__dict__[_ATTRIBUTE] = events
        raise
    finally:
        _events.reset(token)


def _start_collecting() -> None:
    """Configure the log of this process to collect events, once; steps may run in several threads."""
    with _setting_up:
        if _collect not in structlog.get_config()["processors"]:
            configure_logging(verbose=True, extra=[format_exc_info, _collect])


def _collect(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    events = _events.get()
    if events is None:
        return event
    events.append(event)
    raise structlog.DropEvent


def events_of(error: BaseException) -> Events:
    """Remove the events of a step from the exception that it raised, and return them; a second call returns none."""
    events: Events = error.__dict__.pop(_ATTRIBUTE, [])
    return events


def replay_events(events: Sequence[EventDict]) -> None:
    """Log the events of a step in this process, with their time and level. The level of this log applies."""
    log = structlog.get_logger()
    for event in events:
        fields = dict(event)
        level, text = fields.pop("level"), fields.pop("event")
        log.log(logging.getLevelNamesMapping().get(level.upper(), logging.ERROR), text, **fields)


class RecordedResult(Generic[T]):
    """A result of :func:`call_recorded` in a worker. Its events are logged when it is awaited for the first time."""

    def result(self) -> T:
        """Wait for the step and return its value, or raise its exception."""
        try:
            value, events = self._wait()
        except Exception as error:
            replay_events(events_of(error))
            raise
        replay_events(events)
        events.clear()
        return value

    def _wait(self) -> tuple[T, Events]:
        """Wait for the value and the events of the step. Raise ``WorkerLostError`` if the worker is lost."""
        raise NotImplementedError
