"""Outages of the server: when it counts as lost and found, and what they cost."""

from __future__ import annotations

import logging
import threading

import httpx
import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from structlog.testing import capture_logs

from flows.service import outage
from flows.service.calling import final_state_of, result_or_raise
from flows.service.outage import MAX_FAILURES, ServerWatch, publish, watching_server
from flows.service.server import ServerError


class Server:
    healthy = True

    def __call__(self):
        return self.healthy


@pytest.fixture
def server():
    return Server()


def unreachable(*_):
    msg = "Connection refused"
    raise httpx.ConnectError(msg)


def events(logs):
    return [entry["event"] for entry in logs]


def test_a_server_that_misses_a_few_checks_is_lost_and_found_with_one_line_each(server):
    watch = ServerWatch(server)
    with capture_logs() as logs:
        server.healthy = False
        for n_failures in range(1, 3 * MAX_FAILURES):
            watch.check()
            assert watch.is_lost == (n_failures >= MAX_FAILURES)
        server.healthy = True
        watch.check()
        watch.check()
    assert not watch.is_lost
    assert events(logs) == ["prefect_server_lost", "prefect_server_back"]


def test_single_failures_are_no_loss(server):
    watch = ServerWatch(server)
    for server.healthy in (True, False, False, True, False, False, True):
        watch.check()
        assert not watch.is_lost


def test_a_request_that_fails_on_a_server_that_responds_pauses_all_requests(server, monkeypatch):
    # As with a full disk: the server responds, but cannot store anything.
    watch = ServerWatch(server)
    with watch.tolerating():
        unreachable()
    watch.check()
    assert watch.is_lost
    monkeypatch.setattr(outage.time, "monotonic", lambda: 1e12)
    watch.check()
    assert not watch.is_lost


@pytest.mark.parametrize(("status", "is_lost"), [(404, False), (413, False), (422, False), (500, True), (503, True)])
def test_a_request_that_is_refused_does_not_lose_the_server(server, status, is_lost):
    request = httpx.Request("POST", "http://127.0.0.1/api/artifacts")
    watch = ServerWatch(server)
    with watch.tolerating():
        httpx.Response(status, request=request).raise_for_status()
    assert watch.is_lost is is_lost


def test_another_error_is_not_taken_for_an_outage(server):
    watch = ServerWatch(server)
    with pytest.raises(ZeroDivisionError), watch.tolerating():
        _ = 1 / 0
    assert not watch.is_lost


def test_the_thread_checks_at_intervals_until_it_is_ended(server):
    checks = threading.Semaphore(0)

    def check():
        checks.release()
        return server.healthy

    watch = ServerWatch(check, check_seconds=0.001)
    thread = threading.Thread(target=watch.run)
    thread.start()
    assert all(checks.acquire(timeout=10) for _ in range(5))
    watch.end()
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize("healthy", [True, False])
def test_a_page_that_cannot_be_stored_costs_one_line_and_is_not_tried_again(monkeypatch, healthy):
    monkeypatch.setattr(outage, "_responds", lambda: healthy)
    calls = []

    def store(*arguments, **_):
        calls.append(arguments)
        unreachable()

    with temporary_settings({PREFECT_API_URL: None}), watching_server(), capture_logs() as logs:
        assert publish(store, "page", key="k") is None
        assert publish(store, "page", key="k") is None
    assert calls == [("page",)]
    assert events(logs) == ["prefect_server_lost"]


def test_pages_are_stored_as_usual_on_a_server_that_is_there():
    with temporary_settings({PREFECT_API_URL: None}), watching_server():
        assert publish(lambda a, b: (a, b), 1, b=2) == (1, 2)


def test_a_page_outside_of_a_run_is_an_error():
    with pytest.raises(httpx.ConnectError):
        publish(unreachable)


def test_lines_about_a_lost_server_are_hidden_and_others_are_not(server, caplog):
    watch, ours, other = (
        ServerWatch(server),
        logging.getLogger("prefect.events.clients"),
        logging.getLogger("elsewhere"),
    )
    ours.addHandler(caplog.handler)  # Prefect's loggers pass nothing on to the root
    try:
        with outage._hidden_while(watch), caplog.at_level(logging.WARNING):
            ours.warning("before")
            server.healthy = False
            for _ in range(MAX_FAILURES):
                watch.check()
            ours.warning("for every event")
            other.warning("another")
            server.healthy = True
            watch.check()
            ours.warning("after")
    finally:
        ours.removeHandler(caplog.handler)
    shown = dict.fromkeys(record.message for record in caplog.records if "prefect_server" not in record.message)
    assert list(shown) == ["before", "another", "after"]


def test_requests_of_a_run_are_repeated_less_often():
    with temporary_settings({PREFECT_API_URL: None}), watching_server():
        assert PREFECT_CLIENT_MAX_RETRIES.value() == outage.MAX_RETRIES


def test_a_result_survives_the_loss_of_the_final_state():
    state = final_state_of(lambda **_: unreachable())
    assert state is None
    assert result_or_raise(state, "summary") == "summary"
    with pytest.raises(ServerError, match="stored timesteps are kept"):
        result_or_raise(state, None)
