"""Events of a step that runs elsewhere, brought home with its result.

A worker process, or a machine of a cluster, has no log that anybody reads. What a step says there
travels back with what it returns, or with the exception that ends it, and is said again where the
result is waited for: once, in the log of the run and of the task that it belongs to. Only what a
step said before its process was killed is lost.
"""

from __future__ import annotations

import logging
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import structlog
from structlog.contextvars import bound_contextvars, get_contextvars
from structlog.processors import format_exc_info

from trap.log import configure_logging

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from structlog.types import EventDict, WrappedLogger

    Events = list[EventDict]

__all__ = ["call_recorded", "log_context", "tell_again", "told_before"]

P = ParamSpec("P")
T = TypeVar("T")

_ATTRIBUTE = "worker_events"
_events: ContextVar[Events | None] = ContextVar("events", default=None)
_setting_up = threading.Lock()


def log_context() -> dict[str, Any]:
    """What is bound to the events of the caller: what :func:`call_recorded` binds to those of the step."""
    return get_contextvars()


def call_recorded(
    context: dict[str, Any], step: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
) -> tuple[T, Events]:
    """Run a step, in a worker, and collect what it logs instead of writing it.

    Parameters
    ----------
    context
        Bound to every event of the step.
    step
        What is run, with its arguments.

    Returns
    -------
    What the step returned, and its events. An exception carries its events along.
    """
    _collect_from_now_on()
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


def _collect_from_now_on() -> None:
    """Set up the log of this process for collecting, at its first step; steps may run in several threads."""
    with _setting_up:
        if _collect not in structlog.get_config()["processors"]:
            configure_logging(verbose=True, extra=[format_exc_info, _collect])


def _collect(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    events = _events.get()
    if events is None:
        return event
    events.append(event)
    raise structlog.DropEvent


def told_before(error: BaseException) -> Events:
    """Take from an exception the events of the step that it ended; a second time there are none."""
    taken: Events = error.__dict__.pop(_ATTRIBUTE, [])
    return taken


def tell_again(events: Sequence[EventDict]) -> None:
    """Log a step's events here, at their time and level; what the log does not show is dropped now."""
    log = structlog.get_logger()
    for event in events:
        said = dict(event)
        level, text = said.pop("level"), said.pop("event")
        log.log(logging.getLevelNamesMapping().get(level.upper(), logging.ERROR), text, **said)
