"""Which calls share a task, and how tasks end. Real ones are in tests/e2e/test_prefect.py."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from flows import joined, policies
from flows.joined import JoinedExecutor
from flows.policies import Policy
from trap.errors import TransientError
from trap.workers.executors import SerialExecutor

STEPS = {"add": Policy(label=lambda *given: "+".join(map(str, given))), "store": Policy(retries=2)}


class _Future:
    def __init__(self, inner):
        self.inner = inner

    def wait(self):
        wait([self.inner])


@pytest.fixture
def tasks(monkeypatch):
    """The tasks that were begun, as (name, future), run by threads; and a clock of an hour per look at it."""
    begun = []
    with ThreadPoolExecutor(8) as threads:

        class Task:
            def __init__(self, *_):
                pass

            def submit(self, label, work):
                begun.append((label, threads.submit(work)))
                return _Future(begun[-1][1])

        monkeypatch.setattr(joined, "make_task", Task)
        monkeypatch.setattr(policies, "POLICIES", STEPS)
        monkeypatch.setattr(policies, "FIRST_DELAY_SECONDS", 0.001)
        yield begun


def add(a, b):
    return a + b


def endings(tasks):
    return [(name, str(future.exception() or future.result().message)) for name, future in tasks]


def test_calls_of_a_step_share_a_task_until_it_is_closed(tasks):
    with JoinedExecutor(SerialExecutor(), 60) as steps:
        assert [steps.call(add, n, 1) for n in range(3)] == [1, 2, 3]
        assert steps.submit(add, 5, 5).result() == 10
        assert steps.submit_work("measure", lambda: "found").result() == "found"
    assert endings(tasks) == [("add from 0+1", "4 calls, the last for 5+5"), ("measure", "1 calls")]


def test_a_task_ends_with_the_call_that_ends_late_enough(tasks, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(joined.time, "monotonic", lambda: now[0])

    def work():
        now[0] += 0.4

    with JoinedExecutor(SerialExecutor(), 1) as steps:
        for number in range(7):
            steps.submit_work("add", work, number).result()
    assert endings(tasks) == [
        ("add from 0", "3 calls, the last for 2"),
        ("add from 3", "3 calls, the last for 5"),
        ("add from 6", "1 calls, the last for 6"),
    ]


def test_a_call_that_fails_ends_its_task_and_no_other(tasks):
    with JoinedExecutor(SerialExecutor(), 60) as steps:
        steps.call(add, 1, 1)
        steps.submit_work("store", int).result()
        with pytest.raises(TypeError, match="unsupported operand"):
            steps.call(add, 1, "x")
        assert steps.call(add, 2, 2) == 4
        steps.submit_work("store", int).result()
    assert [name for name, _ in tasks] == ["add from 1+1", "store", "add from 2+2"]
    assert [future.exception() is None for _, future in tasks] == [False, True, True]


def test_what_may_pass_is_tried_again_as_often_as_the_policy_says(tasks):
    def busy(n_times):
        attempts = iter([TransientError("busy")] * n_times)

        def work():
            for error in attempts:
                raise error
            return "stored"

        return work

    with JoinedExecutor(SerialExecutor(), 60) as steps:
        assert steps.submit_work("store", busy(2)).result() == "stored"
        with pytest.raises(TransientError, match="busy"):
            steps.submit_work("store", busy(3)).result()
    assert len(tasks) == 1


def test_a_worker_begins_at_once_and_begins_anew_when_tried_again(tasks):
    begun = []

    def step(name):
        begun.append(name)
        if len(begun) == 1:
            msg = "lost"
            raise TransientError(msg)
        return name

    step.__name__ = "store"
    with JoinedExecutor(SerialExecutor(), 60) as steps:
        promise = steps.submit(step, "image")
        assert begun == ["image"]
        assert promise.result() == "image"
    assert begun == ["image", "image"]
    assert len(tasks) == 1


def test_tasks_end_with_what_ends_the_group(tasks):
    def interrupted():
        with JoinedExecutor(SerialExecutor(), 60) as steps:
            steps.call(add, 1, 1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert isinstance(tasks[0][1].exception(), KeyboardInterrupt)
