"""Steps run elsewhere: values, errors, and workers that hang or die."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest

from trap.errors import ImageError, TransientError, WorkerLostError
from trap.workers.executors import ProcessExecutor, SerialExecutor
from trap.workers.limits import machine_memory


def double(value):
    return 2 * value


def refuse(url):
    raise ImageError("no beam", url)


def hang():
    time.sleep(600)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def allocate(n_bytes):
    return int(np.ones(n_bytes, np.uint8).sum())


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


def test_results_are_returned_in_the_order_of_the_requests(workers):
    futures = [workers.submit(double, value) for value in range(10)]
    assert [future.result() for future in futures] == [2 * value for value in range(10)]


def test_error_of_a_step_keeps_its_type_and_its_image(workers):
    with pytest.raises(ImageError, match="b.fits: no beam") as caught:
        workers.submit(refuse, "b.fits").result()
    assert caught.value.url == "b.fits"


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
