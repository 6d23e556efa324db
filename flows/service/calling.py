"""Calls of a flow from this process, as the command line makes them.

A flow takes parameters that Prefect can store. All other input and output of a caller in the same process is in a
context variable.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.service.log import quiet_console
from flows.service.server import ensure_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextvars import ContextVar

    from prefect.client.schemas.objects import State

    from flows.service.server import Server

__all__ = ["calling_flow", "result_or_raise"]

log = structlog.get_logger(__name__)

C = TypeVar("C")
R = TypeVar("R")


@contextmanager
def calling_flow(variable: ContextVar[C | None], caller: C) -> Iterator[Server]:
    """Find or start the Prefect server, and pass an object to the flow that is called in the block.

    Parameters
    ----------
    variable
        Context variable that the flow reads.
    caller
        Its value during the block.

    Yields
    ------
    The server.

    Raises
    ------
    ServerError
        If there is no Prefect server and none can be started.
    """
    server = ensure_server()
    log.info("prefect_server", ui=server.ui_url)
    token = variable.set(caller)
    try:
        with temporary_settings({PREFECT_API_URL: server.api_url}), quiet_console():
            yield server
    finally:
        variable.reset(token)


def result_or_raise(state: State[Any], result: R | None) -> R:
    """Return the result of a flow.

    Parameters
    ----------
    state
        Final state of the flow run.
    result
        Object that the flow has left for its caller; None if the flow ended before.

    Raises
    ------
    Exception
        The error that ended the flow, if there is no result.
    """
    if result is None:
        state.result()  # raises the error that ended the flow
        msg = f"the flow ended without a result: {state}"
        raise RuntimeError(msg)
    return result
