"""Forwarding of events to the log of the run, and filtering of Prefect's lines at the terminal."""

from __future__ import annotations

import io
import logging

import pytest
import structlog
from prefect.exceptions import CancelledRun

from flows.service.log import _forward, _is_shown, events_in_run_log, quiet_console, shorten_tracebacks
from trap.errors import ConfigError
from trap.log import configure_logging


@pytest.fixture
def console():
    stream = io.StringIO()
    configure_logging(stream=stream)
    yield stream
    structlog.reset_defaults()


@pytest.fixture
def run_log(monkeypatch):
    lines = []
    logger = logging.getLogger("trap")
    monkeypatch.setattr(logger, "log", lambda level, _, text: lines.append((level, text)))
    return lines


def test_an_event_is_printed_once_and_sent_once(console, run_log):
    with events_in_run_log():
        structlog.get_logger().info("image_measured", image="a.fits", n_sources=3)
    assert console.getvalue().count("image_measured") == 1
    assert run_log == [(logging.INFO, "image_measured image=a.fits n_sources=3")]


def test_outside_the_flow_nothing_is_sent(console, run_log):
    with events_in_run_log():
        pass
    structlog.get_logger().info("image_measured")
    assert run_log == []


def test_an_exception_is_sent_with_its_traceback(console, run_log):
    with events_in_run_log():
        try:
            1 / 0  # noqa: B018
        except ZeroDivisionError:
            structlog.get_logger().exception("timestep_failed")
    ((level, text),) = run_log
    assert level == logging.ERROR
    assert text.startswith("timestep_failed\n")
    assert "ZeroDivisionError" in text


def test_an_event_outside_any_run_is_no_error(console):
    with events_in_run_log():
        structlog.get_logger().info("image_measured")
    assert "image_measured" in console.getvalue()


def test_forwarding_does_not_change_the_event(run_log):
    event = {"event": "image_measured", "level": "info", "n": 1}
    assert _forward(None, "info", dict(event)) == event


@pytest.mark.parametrize(
    ("name", "level", "shown"),
    [
        ("prefect.flow_runs", logging.ERROR, False),
        ("prefect.task_runs", logging.ERROR, False),
        ("prefect.client", logging.WARNING, True),
        ("prefect.client", logging.INFO, False),
    ],
)
def test_only_lines_that_do_not_repeat_the_pipeline_reach_the_terminal(name, level, shown):
    assert _is_shown(logging.LogRecord(name, level, "", 0, "", (), None)) is shown


def test_the_filters_of_the_terminal_are_restored(monkeypatch):
    monkeypatch.delenv("PREFECT_LOGGING_LEVEL", raising=False)
    before = [list(handler.filters) for handler in logging.getLogger().handlers]
    with quiet_console():
        pass
    assert [list(handler.filters) for handler in logging.getLogger().handlers] == before


@pytest.fixture
def engine_log():
    """Records that Prefect's logger of flow runs passes to its handlers."""
    records = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append((record.getMessage(), record.exc_info))
    logger = logging.getLogger("prefect.flow_runs")
    logger.addHandler(handler)
    shorten_tracebacks()
    yield records
    logger.removeHandler(handler)


def log_as_prefect_does(error, message, *values):
    logging.getLogger("prefect.flow_runs").error(message, *values, exc_info=error)


def test_an_error_of_the_user_is_one_line(engine_log):
    error = ConfigError("no image matches 'x/*.fits'")
    log_as_prefect_does(error, "Encountered exception during execution: %r", error)
    assert engine_log == [("no image matches 'x/*.fits'", None)]


def test_the_end_of_a_cancelled_run_is_no_error_of_the_engine(engine_log):
    log_as_prefect_does(CancelledRun("stopped"), "Engine execution exited with unexpected exception")
    log_as_prefect_does(ConfigError("bad"), "Engine execution exited with unexpected exception")
    assert engine_log == []


def test_an_error_of_the_program_keeps_its_traceback(engine_log):
    for message in ("Encountered exception during execution", "Engine execution exited with unexpected exception"):
        log_as_prefect_does(ZeroDivisionError("!"), message)
    assert [info[0] for _, info in engine_log] == [ZeroDivisionError] * 2
