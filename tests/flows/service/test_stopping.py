"""Requests to stop a run, and the state of a stopped run."""

from __future__ import annotations

import os
import signal
from types import SimpleNamespace
from uuid import uuid4

import httpx
import pytest
from prefect.states import Cancelling, Running

from flows.service import stopping
from flows.service.stopping import StopRequests
from trap import retry


class Server:
    """A server with given states of a run, which counts the requests."""

    def __init__(self, monkeypatch, *states):
        self.states, self.n_requests = list(states), 0
        monkeypatch.setattr(stopping, "get_client", lambda **_: self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def read_flow_run(self, _id):
        self.n_requests += 1
        state = self.states.pop(0)
        if isinstance(state, Exception):
            raise state
        return SimpleNamespace(state=state)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_a_run_without_a_request_continues(clock):
    stops = StopRequests(None, clock=clock)
    clock.now = 1e6
    assert not stops.is_stopped()
    assert stops.final_state("after 3 of 4 timesteps") is None


def test_a_cancelled_run_stops_and_its_state_has_the_number_of_timesteps(monkeypatch, clock):
    server = Server(monkeypatch, Running(), Cancelling())
    stops = StopRequests(uuid4(), clock=clock)
    clock.now = 5.0
    assert not stops.is_stopped()
    clock.now = 10.0
    assert stops.is_stopped()
    assert stops.is_stopped()
    assert server.n_requests == 2
    state = stops.final_state("after 3 of 4 timesteps")
    assert (state.is_cancelled(), state.message) == (
        True,
        "stopped after 3 of 4 timesteps; a later run of the dataset continues from there",
    )


def test_the_state_is_not_read_before_every_timestep(monkeypatch, clock):
    server = Server(monkeypatch, Running())
    stops = StopRequests(uuid4(), clock=clock)
    for hundredth in range(600):
        clock.now = hundredth / 100
        assert not stops.is_stopped()
    assert server.n_requests == 1


def test_an_unreachable_server_does_not_stop_a_run(monkeypatch, clock):
    Server(monkeypatch, httpx.ConnectError("away"), Running())
    stops = StopRequests(uuid4(), clock=clock)
    clock.now = 5.0
    assert not stops.is_stopped()


def test_a_terminated_run_finishes_its_timestep_and_counts_as_crashed(clock):
    stops = StopRequests(None, clock=clock)
    before = signal.getsignal(signal.SIGTERM)
    with stops.finishing_timestep():
        for _ in range(2):  # a worker signals the process and its group
            os.kill(os.getpid(), signal.SIGTERM)
        assert stops.is_stopped()
    assert signal.getsignal(signal.SIGTERM) is before
    assert stops.final_state("after 1 of 2 timesteps").is_crashed()


def test_a_run_that_is_terminated_because_it_was_cancelled_is_cancelled(monkeypatch, clock):
    Server(monkeypatch, Cancelling())
    stops = StopRequests(uuid4(), clock=clock)
    with stops.finishing_timestep():
        os.kill(os.getpid(), signal.SIGTERM)
        assert stops.is_stopped()
    assert stops.final_state("after 1 of 2 timesteps").is_cancelled()


def test_a_terminated_run_retries_to_read_whether_it_was_cancelled(monkeypatch, clock):
    monkeypatch.setattr(retry, "SERVER_DELAYS", (0.0, 0.0))
    away = httpx.ConnectError("away")
    server = Server(monkeypatch, away, away, Cancelling(), away, away, away, away)
    for is_cancelled in (True, False):
        stops = StopRequests(uuid4(), clock=clock)
        with stops.finishing_timestep():
            os.kill(os.getpid(), signal.SIGTERM)
            assert stops.is_stopped()
        state = stops.final_state("after 1 of 2 timesteps")
        assert (state.is_cancelled(), state.is_crashed()) == (is_cancelled, not is_cancelled)
    assert server.states == []


def test_a_run_stops_at_its_time_limit(clock):
    stops = StopRequests(None, run_timeout_seconds=60.0, clock=clock)
    clock.now = 59.9
    assert not stops.is_stopped()
    clock.now = 60.0
    assert stops.is_stopped()
    state = stops.final_state("after 7 of 9 timesteps")
    assert (state.type.value, state.name) == ("FAILED", "TimedOut")
    assert (
        state.message
        == "stopped at its time limit of 60 s, after 7 of 9 timesteps; a later run of the dataset continues from there"
    )


@pytest.mark.parametrize(("stops_without", "name"), [(True, "ServerLost"), (False, None)])
def test_a_run_without_its_server_stops_only_if_it_is_told_to(monkeypatch, clock, stops_without, name):
    server = Server(monkeypatch)  # without a state to read, since a lost server is not read
    stops = StopRequests(uuid4(), is_server_lost=lambda: True, stops_without_server=stops_without, clock=clock)
    clock.now = 100.0
    assert stops.is_stopped() is stops_without
    state = stops.final_state("after 3 of 4 timesteps")
    assert (state and state.name) == name
    assert server.n_requests == 0
