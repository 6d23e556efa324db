"""Steps run elsewhere: values, errors, and workers that hang or die."""

from __future__ import annotations

import os
import signal
import sys
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from types import SimpleNamespace

import numpy as np
import pytest
from structlog.testing import capture_logs

from trap.errors import ImageError, TransientError, WorkerLostError
from trap.workers import executors
from trap.workers.executors import ProcessExecutor, SerialExecutor
from trap.workers.limits import machine_memory


def double(value):
    return 2 * value


def refuse(url):
    raise ImageError("no beam", url)


def late():
    raise TimeoutError("the file system did not answer")


def hang():
    time.sleep(600)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def allocate(n_bytes):
    return int(np.ones(n_bytes, np.uint8).sum())


def has_imported(module):
    return module in sys.modules


def pids():
    return os.getppid(), os.getpid()


@pytest.fixture(scope="module")
def workers():
    with ProcessExecutor(2, timeout_seconds=20.0) as executor:
        yield executor


def test_serial_executor_returns_what_the_step_returns():
    assert SerialExecutor().submit(double, 21).result() == 42


def test_serial_executor_raises_the_error_with_the_result():
    future = SerialExecutor().submit(refuse, "a.fits")
    with pytest.raises(ImageError, match="a.fits: no beam"):
        future.result()


def test_steps_run_in_other_processes(workers):
    assert workers.submit(pids).result()[1] != os.getpid()


def test_workers_of_all_tests_begin_with_the_pipeline_whatever_the_first_command_wants():
    with ProcessExecutor(1, preload=["json"]) as executor:
        assert executor.submit(has_imported, "trap.pipeline").result()


def test_results_are_returned_in_the_order_of_the_requests(workers):
    futures = [workers.submit(double, value) for value in range(10)]
    assert [future.result() for future in futures] == [2 * value for value in range(10)]


def test_error_of_a_step_keeps_its_type_and_its_image(workers):
    with pytest.raises(ImageError, match="b.fits: no beam") as caught:
        workers.submit(refuse, "b.fits").result()
    assert caught.value.url == "b.fits"
    with pytest.raises(TimeoutError, match="the file system did not answer"):
        workers.submit(late).result()


def test_dead_worker_costs_its_step_alone(workers):
    lost = workers.submit(die)
    with pytest.raises(WorkerLostError, match="the worker process of die died"):
        lost.result()
    assert workers.submit(double, 4).result() == 8


def test_hanging_worker_is_ended_and_may_be_tried_again():
    with ProcessExecutor(1, timeout_seconds=3.0) as executor:
        with pytest.raises(TransientError, match="hang was ended after 3 s"):
            executor.submit(hang).result()
        assert executor.submit(double, 4).result() == 8


def test_number_of_workers_defaults_to_the_cores_that_may_be_used():
    with ProcessExecutor() as executor:
        assert executor.n_workers == len(os.sched_getaffinity(0))


def test_step_that_takes_too_much_memory_fails_and_its_worker_goes_on():
    with ProcessExecutor(1, memory=1 << 28) as executor:
        first = executor.submit(os.getpid).result()
        with pytest.raises(MemoryError, match="Unable to allocate"):
            executor.submit(allocate, 1 << 28).result()
        assert executor.submit(allocate, 1 << 24).result() == 1 << 24
        assert executor.submit(os.getpid).result() == first


def test_worker_never_takes_more_than_the_memory_of_the_machine(workers):
    with pytest.raises(MemoryError):
        workers.submit(allocate, machine_memory()).result()


class Pools:
    """Pools of processes, each of which fails with an error, or works if the error is None."""

    def __init__(self, *errors):
        self.errors, self.n_made = list(errors), 0

    def __call__(self, **_):
        self.n_made += 1
        error = self.errors.pop(0) if self.errors else None

        def submit(_call, _timeout, _context, step, *args):
            if error is not None:
                raise error
            future = Future()
            future.set_result((step(*args), []))
            return future

        return SimpleNamespace(active=True, submit=submit, close=int, join=int)


def broken(cause):
    error = BrokenProcessPool()
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (broken(EOFError("unexpected EOF")), "their server died"),
        (broken(ConnectionRefusedError(111, "Connection refused")), "Connection refused"),
        (BlockingIOError(11, "Resource temporarily unavailable"), "Resource temporarily unavailable"),
        (RuntimeError("can't start new thread"), "can't start new thread"),
    ],
)
def test_processes_that_cannot_be_started_are_one_line_and_started_again(monkeypatch, error, reason):
    monkeypatch.setattr(executors, "START_DELAYS", (0.0, 0.0))
    pools = Pools(error)
    monkeypatch.setattr(executors, "ProcessPool", pools)
    with capture_logs() as logs, ProcessExecutor(1) as executor:
        assert executor.submit(double, 4).result() == 8
    assert [log["reason"] for log in logs] == [f"worker processes cannot be started: {reason}"]
    assert pools.n_made == 2


def test_server_that_cannot_be_started_is_started_again(monkeypatch):
    errors = [BlockingIOError(11, "Resource temporarily unavailable")]
    ensure_running = executors.forkserver.ensure_running
    monkeypatch.setattr(executors, "START_DELAYS", (0.0,))
    monkeypatch.setattr(executors, "ProcessPool", Pools())

    def fail_once():
        if errors:
            raise errors.pop()
        ensure_running()

    monkeypatch.setattr(executors.forkserver, "ensure_running", fail_once)
    with capture_logs() as logs, ProcessExecutor(1) as executor:
        assert executor.submit(double, 4).result() == 8
    assert len(logs) == 1


def test_processes_that_can_never_be_started_end_the_command_with_the_reason(monkeypatch):
    monkeypatch.setattr(executors, "START_DELAYS", (0.0,))
    monkeypatch.setattr(executors, "ProcessPool", Pools(*[BlockingIOError(11, "Resource temporarily unavailable")] * 2))
    with (
        ProcessExecutor(1) as executor,
        pytest.raises(WorkerLostError, match="cannot be started: Resource temporarily") as caught,
    ):
        executor.submit(double, 4)
    assert caught.value.was_retried
    assert not caught.value.is_culprit
