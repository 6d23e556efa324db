"""Requests to stop a run: cancellation, SIGTERM, and the time limit of the run.

They are checked between timesteps. After a request, the run completes the current timestep and leaves the others to a
later run. A run that is killed instead loses its current timestep only, since a timestep is stored as a whole or not
at all.
"""

from __future__ import annotations

import signal
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound, TerminationSignal
from prefect.states import Cancelled, Crashed, Failed

from flows.service.identity import flow_run_id
from flows.tasks.policies import RUN
from trap import retry
from trap.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prefect.client.schemas.objects import State

    from flows.service.outage import ServerWatch
    from trap.config import ExecutionConfig

__all__ = ["SERVER_LOST", "StopRequests"]


SERVER_LOST = "ServerLost"
"""Name of the final state of a run that stopped since its server was lost."""


class StopRequests:
    """The requests to stop one run before its next timestep: cancellation, termination, and its time limit.

    Parameters
    ----------
    flow_run_id
        Id of the run. The state of the run is read from the server at intervals; None for a run without a server.
    run_timeout_seconds
        s — time limit of the run, from the creation of this object; 0 sets no limit.
    is_server_lost
        Returns whether the server of the run has been lost. Its requests are not read then.
    stops_without_server
        Whether the loss of the server is a request to stop.
    clock
        s — a monotonic clock.
    """

    def __init__(
        self,
        flow_run_id: UUID | None,
        *,
        run_timeout_seconds: float = 0.0,
        is_server_lost: Callable[[], bool] = lambda: False,
        stops_without_server: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._flow_run_id = flow_run_id
        self._run_timeout_seconds = run_timeout_seconds
        self._is_server_lost = is_server_lost
        self._stops_without_server = stops_without_server
        self._clock = clock
        self._start_time = self._last_check = clock()
        self._is_terminated = False
        self._is_cancelled = False

    @classmethod
    def of(cls, execution: ExecutionConfig, server: ServerWatch) -> Self:
        """Return the requests to stop the current flow run.

        Parameters
        ----------
        execution
            Settings with the time limit of the run.
        server
            Watch of the server of the run.
        """
        return cls(
            flow_run_id(),
            run_timeout_seconds=execution.run_timeout_seconds,
            is_server_lost=lambda: server.is_lost,
            stops_without_server=execution.without_server == "stop",
        )

    def is_stopped(self) -> bool:
        """Return whether the run is to stop now. The state on the server is read at most every few seconds."""
        now = self._clock()
        if self._is_terminated or now - self._last_check >= RUN.poll_seconds:
            self._last_check = now
            with suppress(TransientError):  # a server that cannot be reached for a moment is no reason to stop
                self._is_cancelled = self._is_cancelled or self._is_cancelled_on_server()
        is_alone = self._stops_without_server and self._is_server_lost()
        return self._is_cancelled or self._is_terminated or is_alone or self._is_out_of_time(now)

    @contextmanager
    def finishing_timestep(self) -> Iterator[None]:
        """Treat SIGTERM as a request to stop after the current timestep.

        The signal may arrive several times, since a worker sends it to the process and to its process group. While
        Prefect starts or ends a subflow, its own handler is installed instead; see :meth:`around_subflow`.
        """
        if threading.current_thread() is not threading.main_thread():
            yield  # signals are handled in the main thread only
            return
        previous_handler = signal.getsignal(signal.SIGTERM)

        def terminate(_number: int, _frame: object) -> None:
            self._is_terminated = True

        signal.signal(signal.SIGTERM, terminate)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, previous_handler)

    @contextmanager
    def around_subflow(self) -> Iterator[None]:
        """Treat Prefect's ``TerminationSignal``, raised while a subflow starts or ends, as a stop request."""
        try:
            yield
        except TerminationSignal:
            self._is_terminated = True

    def final_state(self, progress: str) -> State[Any] | None:
        """Return the state of a run that was stopped; None if no stop was requested.

        Parameters
        ----------
        progress
            Number of completed timesteps, in words, for the message of the state.
        """
        if self._is_terminated and not self._is_cancelled:
            # A cancelled run must not be marked as crashed, since recovery would start it again.
            with suppress(TransientError):
                self._is_cancelled = retry.call_with_retries(self._is_cancelled_on_server, retry.SERVER_DELAYS)
        if self._is_cancelled:
            return Cancelled(message=f"stopped {progress}; a later run of the dataset continues from there")
        if self._is_terminated:
            # The run was not cancelled by a user, so recovery starts it again, as after a crash of its process.
            return Crashed(message=f"terminated {progress}")
        if self._is_out_of_time(self._clock()):
            limit = f"its time limit of {self._run_timeout_seconds:g} s"
            message = f"stopped at {limit}, {progress}; a later run of the dataset continues from there"
            return Failed(name="TimedOut", message=message)
        if self._stops_without_server and self._is_server_lost():
            return Failed(
                name=SERVER_LOST, message=f"stopped {progress}; a later run of the dataset continues from there"
            )
        return None

    def _is_out_of_time(self, now: float) -> bool:
        return 0 < self._run_timeout_seconds <= now - self._start_time

    def _is_cancelled_on_server(self) -> bool:
        """Return whether the state of the run on the server is Cancelling or Cancelled."""
        if self._flow_run_id is None or self._is_server_lost():
            return False
        try:
            with get_client(sync_client=True) as client:
                state = client.read_flow_run(self._flow_run_id).state
        except ObjectNotFound:
            return False
        except httpx.HTTPError as error:
            msg = f"the state of the run cannot be read from the Prefect server: {error}"
            raise TransientError(msg) from error
        return state is not None and (state.is_cancelling() or state.is_cancelled())
