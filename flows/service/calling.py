"""Calls of a flow from this process, as the command line makes them.

Prefect stores the parameters of a flow, such as monitored positions, as JSON, and shows them in a form. All other input
and output of a caller in the same process is in a context variable.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import httpx
import structlog
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from pydantic import BaseModel, ConfigDict, Field

from flows.service.log import quiet_console
from flows.service.outage import MAX_RETRIES
from flows.service.server import ServerError, ensure_server
from flows.service.stopping import SERVER_LOST
from trap.catalogues import MonitorPositions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextvars import ContextVar

    from prefect.client.schemas.objects import State

    from flows.service.server import Server

__all__ = ["MonitoredPosition", "as_parameter", "as_table", "calling_flow", "final_state_of", "result_or_raise"]

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
        settings = {PREFECT_API_URL: server.api_url, PREFECT_CLIENT_MAX_RETRIES: MAX_RETRIES}
        with temporary_settings(settings), quiet_console():
            yield server
    finally:
        variable.reset(token)


def final_state_of(flow: Callable[..., Any], *arguments: object) -> State[Any] | None:
    """Call a flow, and return its final state.

    Parameters
    ----------
    flow, arguments
        Flow to be called, and its parameters.

    Returns
    -------
    The state; None if it could not be recorded, since the server was lost.
    """
    try:
        state: State[Any] = flow(*arguments, return_state=True)
    except httpx.HTTPError as error:
        log.warning("final_state_not_recorded", reason=str(error).partition("\n")[0])
        return None
    return state


def result_or_raise(state: State[Any] | None, result: R | None) -> R:
    """Return the result of a flow.

    Parameters
    ----------
    state
        Final state of the flow run; None if it could not be recorded.
    result
        Object that the flow has left for its caller; None if the flow ended before.

    Raises
    ------
    ServerError
        If there is neither a state nor a result, or if the run stopped since its server was lost.
    Exception
        The error that ended the flow, if there is no result.
    """
    if state is not None and state.name == SERVER_LOST:
        msg = f"the Prefect server was lost: {state.message}"
        raise ServerError(msg)
    if result is None:
        if state is None:
            msg = "the Prefect server was lost; stored timesteps are kept, and a later run continues from there"
            raise ServerError(msg)
        state.result()  # raises the error that ended the flow
        msg = f"the flow ended without a result: {state}"
        raise RuntimeError(msg)
    return result


class MonitoredPosition(BaseModel):
    """A position that is measured in every image."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    ra: Annotated[float, Field(ge=0, lt=360, allow_inf_nan=False)]
    """Right ascension, ICRS, in degrees."""
    dec: Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
    """Declination, ICRS, in degrees."""
    name: Annotated[str, Field(max_length=100, pattern=r"^[^\x00]*$")] = ""
    """Name of the position, for display."""


def as_table(monitors: Sequence[MonitoredPosition] | None) -> MonitorPositions | None:
    """Convert parameters of a flow to the table of the pipeline; None if there are no positions."""
    if not monitors:
        return None
    return MonitorPositions.of(
        ra=[position.ra for position in monitors],
        dec=[position.dec for position in monitors],
        name=[position.name for position in monitors],
    )


def as_parameter(monitors: MonitorPositions | None) -> list[MonitoredPosition]:
    """Convert the table of the pipeline to parameters of a flow."""
    if monitors is None:
        return []
    rows = zip(monitors.ra, monitors.dec, monitors.name, strict=True)
    return [MonitoredPosition(ra=float(ra), dec=float(dec), name=str(name)) for ra, dec, name in rows]
