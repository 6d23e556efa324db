"""Which calls share a task, and how tasks end. Real ones are in tests/e2e/test_prefect.py."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from flows.tasks import executors, policies
from flows.tasks.executors import PrefectExecutor
from flows.tasks.policies import Policy
from trap.errors import TransientError
from trap.run.look_ahead import LookAhead
from trap.run.planning import Timestep, TimestepGroup
from trap.workers.executors import SerialExecutor

STEPS = {"add": Policy(label=lambda *given: "+".join(map(str, given))), "store": Policy(delays=(0.001, 0.002))}


class _Future:
    def __init__(self, inner):
        self.inner = inner

    def wait(self):
        wait([self.inner])


@pytest.fixture
def tasks(monkeypatch):
    """The tasks that were begun, as (name, future), run by threads."""
    begun = []
    with ThreadPoolExecutor(8) as threads:

        class Task:
            def __init__(self, *_):
                pass

            def submit(self, label, work):
                begun.append((label, threads.submit(work)))
                return _Future(begun[-1][1])

        monkeypatch.setattr(executors, "make_task", Task)
        monkeypatch.setattr(policies, "POLICIES", STEPS)
        yield begun


def add(a, b):
    return a + b


def endings(tasks):
    return [(name, future.result().name, future.result().message) for name, future in tasks]


def test_calls_of_a_step_share_a_task_until_it_is_closed(tasks):
    with PrefectExecutor(SerialExecutor(), 60) as steps:
        assert [steps.call(add, n, 1) for n in range(3)] == [1, 2, 3]
        assert steps.submit(add, 5, 5).result() == 10
        assert steps._submit_work("measure", lambda: "found").result() == "found"
    assert endings(tasks) == [
        ("add from 0+1", "Completed", "4 calls, the last for 5+5"),
        ("measure", "Completed", "1 call"),
    ]


def test_a_task_ends_with_the_call_that_ends_late_enough(tasks, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(executors.time, "monotonic", lambda: now[0])

    def work():
        now[0] += 0.4

    with PrefectExecutor(SerialExecutor(), 1) as steps:
        for number in range(7):
            steps._submit_work("add", work, number).result()
    assert endings(tasks) == [
        ("add from 0", "Completed", "3 calls, the last for 2"),
        ("add from 3", "Completed", "3 calls, the last for 5"),
        ("add from 6", "Completed", "1 call"),
    ]


def test_a_call_that_fails_ends_its_task_and_no_other(tasks):
    with PrefectExecutor(SerialExecutor(), 60) as steps:
        steps.call(add, 1, 1)
        steps._submit_work("store", int).result()
        with pytest.raises(TypeError, match="unsupported operand"):
            steps.call(add, 1, "x")
        assert steps.call(add, 2, 2) == 4
        steps._submit_work("store", int).result()
    failed, stored, added = endings(tasks)
    assert failed[:2] == ("add from 1+1", "Failed")
    assert failed[2].startswith("TypeError: unsupported operand")
    assert stored == ("store", "Completed", "2 calls")
    assert added == ("add from 2+2", "Completed", "1 call")


def test_what_may_pass_is_tried_again_as_often_as_the_policy_says(tasks):
    def busy(n_times):
        attempts = iter([TransientError("busy")] * n_times)

        def work():
            for error in attempts:
                raise error
            return "stored"

        return work

    with PrefectExecutor(SerialExecutor(), 60) as steps:
        assert steps._submit_work("store", busy(2)).result() == "stored"
        with pytest.raises(TransientError, match="busy"):
            steps._submit_work("store", busy(3)).result()
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
    with PrefectExecutor(SerialExecutor(), 60) as steps:
        promise = steps.submit(step, "image")
        assert begun == ["image"]
        assert promise.result() == "image"
    assert begun == ["image", "image"]
    assert len(tasks) == 1


def test_tasks_end_when_the_group_is_interrupted(tasks):
    def interrupted(step):
        with PrefectExecutor(SerialExecutor(), 60) as steps:
            steps.call(add, 1, 1)
            steps._submit_work("store", step).result()

    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted(interrupt)
    assert endings(tasks) == [("add from 1+1", "Completed", "1 call"), ("store", "Failed", "KeyboardInterrupt: ")]


def test_a_task_that_was_begun_in_the_moment_of_an_interrupt_ends_too(tasks, monkeypatch):
    class Interrupted(executors.make_task):
        def submit(self, label, work):
            super().submit(label, work)
            raise KeyboardInterrupt

    monkeypatch.setattr(executors, "make_task", Interrupted)

    def run():
        with PrefectExecutor(SerialExecutor(), 60) as steps:
            steps.call(add, 1, 1)

    with pytest.raises(KeyboardInterrupt):
        run()
    assert endings(tasks) == [("add from 1+1", "Completed", "no call")]


def test_a_task_that_prefect_loses_ends_no_run(tasks, monkeypatch):
    monkeypatch.setattr(_Future, "wait", lambda _: (_ for _ in ()).throw(RuntimeError("the server is gone")))
    with capture_logs() as logs, PrefectExecutor(SerialExecutor(), 60) as steps:
        assert steps.call(add, 1, 1) == 2
    assert [(line["event"], line["reason"]) for line in logs] == [
        ("task_not_ended", "RuntimeError: the server is gone")
    ]
    assert len(tasks) == 1


class _OwnTask:
    """A task that is run once for each call."""

    def __init__(self, name, policy):
        self.name, self.policy, self.labels = name, policy, []

    def __call__(self, label, work):
        self.labels.append(label)
        return work()

    def submit(self, label, work):
        self.labels.append(label)
        return SerialExecutor().submit(work)


def test_without_sharing_each_call_is_a_run_of_the_task_of_its_step(monkeypatch):
    made = []
    monkeypatch.setattr(executors, "make_task", lambda *given: made.append(_OwnTask(*given)) or made[-1])
    monkeypatch.setattr(policies, "POLICIES", STEPS)
    with PrefectExecutor(SerialExecutor()) as steps:
        assert [steps.call(add, n, 1) for n in range(3)] == [1, 2, 3]
        assert steps.submit(add, 5, 5).result() == 10
    assert [(task.name, task.policy) for task in made] == [("add", STEPS["add"])]
    assert made[0].labels == ["add 0+1", "add 1+1", "add 2+1", "add 5+5"]


@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_images_of_a_group_are_measured_once_in_tasks_that_wait_for_them(tasks, monkeypatch, seconds):
    if not seconds:
        monkeypatch.setattr(executors, "make_task", _OwnTask)
    begun = []

    def measure(url):
        begun.append(url)
        return SerialExecutor().submit(str.upper, url)

    start = datetime(2026, 1, 1, tzinfo=UTC)
    timesteps = tuple(Timestep(start + timedelta(hours=n), (f"a{n}", f"b{n}")) for n in range(3))
    urls = [url for timestep in timesteps for url in timestep.urls]
    with PrefectExecutor(SerialExecutor(), seconds) as steps:
        ahead = steps.look_ahead(LookAhead(measure, urls, depth=3), TimestepGroup(1, timesteps))
        assert [ahead.result(url) for url in urls] == [url.upper() for url in urls]
    assert begun == urls
