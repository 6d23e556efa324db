"""Why a run is to stop, asked between timesteps, where nothing is half done.

A run that somebody cancels, whose worker is shut down or whose time is over finishes the timestep in
hand and leaves the others to a later run. Whoever cannot wait so long kills it, and loses that timestep
only: it is stored whole or not at all.
"""

from __future__ import annotations

import signal
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound, TerminationSignal
from prefect.states import Cancelled, Crashed, Failed

from flows.tasks.policies import RUN
from trap import retry
from trap.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prefect.client.schemas.objects import State

__all__ = ["StopRequests"]


class StopRequests:
    """Whether a run is to stop before its next timestep: cancelled, terminated, or out of time.

    Parameters
    ----------
    flow_run_id
        The run, whose state on the server is asked for now and then; None asks nobody.
    run_timeout_seconds
        s — how long the run may take; 0 sets no limit.
    clock
        s — a clock that only goes forward.
    """

    def __init__(
        self,
        flow_run_id: UUID | None,
        *,
        run_timeout_seconds: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._flow_run_id = flow_run_id
        self._run_timeout_seconds = run_timeout_seconds
        self._clock = clock
        self._begin = self._asked = clock()
        self._is_terminated = False
        self._is_cancelled = False

    def is_stopped(self) -> bool:
        """Tell whether the run is to stop now."""
        now = self._clock()
        if self._is_terminated or now - self._asked >= RUN.poll_seconds:
            self._asked = now
            with suppress(TransientError):  # a server that is away for a moment is no reason to stop
                self._is_cancelled = self._is_cancelled or self._is_cancelled_on_server()
        return self._is_cancelled or self._is_terminated or self._is_out_of_time(now)

    @contextmanager
    def finishing_timestep(self) -> Iterator[None]:
        """Take SIGTERM as a request to stop after the timestep in hand.

        However often it comes: a worker sends it to the process and to its group. Who cannot wait kills.
        Prefect puts its own handler in place while it begins and ends a subflow, see :meth:`around_subflow`.
        """
        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread gets signals
            return
        before = signal.getsignal(signal.SIGTERM)

        def terminate(_number: int, _frame: object) -> None:
            self._is_terminated = True

        signal.signal(signal.SIGTERM, terminate)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    @contextmanager
    def around_subflow(self) -> Iterator[None]:
        """Take SIGTERM for the same request where Prefect ends a subflow with it, or was about to begin one."""
        try:
            yield
        except TerminationSignal:
            self._is_terminated = True

    def final_state(self, progress: str) -> State[Any] | None:
        """State of a run that was stopped; None if it was not.

        Parameters
        ----------
        progress
            How far it came, for the message.
        """
        if self._is_terminated and not self._is_cancelled:
            # What people have cancelled must not count as crashed: it would be begun again.
            with suppress(TransientError):
                self._is_cancelled = retry.call_with_retries(self._is_cancelled_on_server, retry.SERVER_DELAYS)
        if self._is_cancelled:
            return Cancelled(message=f"stopped {progress}; a run of the same dataset goes on from there")
        if self._is_terminated:
            # Not by the will of people: as after any other death of the process, the run is taken up again.
            return Crashed(message=f"terminated {progress}")
        if self._is_out_of_time(self._clock()):
            limit = f"{self._run_timeout_seconds:g} s"
            return Failed(name="TimedOut", message=f"stopped after {limit} {progress}; a later run goes on from there")
        return None

    def _is_out_of_time(self, now: float) -> bool:
        return 0 < self._run_timeout_seconds <= now - self._begin

    def _is_cancelled_on_server(self) -> bool:
        if self._flow_run_id is None:
            return False
        try:
            with get_client(sync_client=True) as client:
                state = client.read_flow_run(self._flow_run_id).state
        except ObjectNotFound:
            return False
        except httpx.HTTPError as error:
            msg = f"the Prefect server does not say whether the run is cancelled: {error}"
            raise TransientError(msg) from error
        return state is not None and (state.is_cancelling() or state.is_cancelled())
