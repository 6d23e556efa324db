"""What steps say in worker processes, and where it is heard."""

from __future__ import annotations

import pickle
import threading

import pytest
import structlog
from structlog.contextvars import bound_contextvars
from structlog.testing import capture_logs

from trap.errors import ImageError
from trap.workers.executors import ProcessExecutor
from trap.workers.worker_log import call_recorded, events_of, log_context, replay_events


def speak(n):
    structlog.get_logger().warning("assumed", n=n)
    structlog.get_logger().debug("detail")
    return 2 * n


def speak_and_fail(url):
    structlog.get_logger().warning("assumed", image=url)
    raise ImageError("no beam", url)


@pytest.fixture(autouse=True)
def _restored():
    yield
    structlog.reset_defaults()


def test_events_come_back_with_the_value_and_are_not_written(capfd):
    value, events = call_recorded({"dataset": 7}, speak, 21)
    assert value == 42
    assert [(event["event"], event["level"], event["dataset"]) for event in events] == [
        ("assumed", "warning", 7),
        ("detail", "debug", 7),
    ]
    assert capfd.readouterr() == ("", "")


def test_exception_carries_the_events_of_its_step_through_pickle():
    with pytest.raises(ImageError) as raised:
        call_recorded({}, speak_and_fail, "a.fits")
    sent = pickle.loads(pickle.dumps(raised.value))
    assert str(sent) == "a.fits: no beam"
    assert [event["image"] for event in events_of(sent)] == ["a.fits"]
    assert events_of(sent) == []


def test_threads_collect_only_their_own_events():
    heard = {}

    def run(n):
        _, heard[n] = call_recorded({}, speak, n)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {n: events[0]["n"] for n, events in heard.items()} == {n: n for n in range(8)}


def test_replayed_event_keeps_its_time_and_gets_the_context_of_the_caller():
    _, events = call_recorded({"dataset": 7}, speak, 1)
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs, bound_contextvars(timestep="now"):
        replay_events(events)
    assert [(log["event"], log["log_level"]) for log in logs] == [("assumed", "warning"), ("detail", "debug")]
    assert logs[0]["timestamp"] == events[0]["timestamp"]
    assert (logs[0]["dataset"], logs[0]["timestep"]) == (7, "now")


def test_a_worker_process_is_heard_once_with_what_is_bound_where_it_is_called():
    with ProcessExecutor(1) as workers, capture_logs() as logs, bound_contextvars(dataset=3):
        assert log_context() == {"dataset": 3}
        future = workers.submit(speak, 1)
        assert future.result() == future.result() == 2
        with pytest.raises(ImageError, match="no beam"):
            workers.submit(speak_and_fail, "a.fits").result()
    assert [(log["event"], log["dataset"]) for log in logs] == [("assumed", 3), ("detail", 3), ("assumed", 3)]
