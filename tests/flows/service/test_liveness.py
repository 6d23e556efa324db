"""Whether the process of a run is still alive, as far as this machine can tell."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from flows.service.liveness import HOST, PROCESS, has_died, process_labels


def test_this_process_is_alive():
    assert not has_died(process_labels(1), 1)


def test_a_process_that_ended_has_died():
    code = "from flows.service.liveness import process_labels; import json; print(json.dumps(process_labels(1)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    labels = json.loads(done.stdout)
    assert has_died(labels, 1)


def test_another_process_with_the_same_number_is_another():
    labels = process_labels(1)
    number, _, start = labels[PROCESS].partition(":")
    assert has_died(labels | {PROCESS: f"{number}:{int(start) - 1}"}, 1)


def test_a_process_that_nobody_has_waited_for_has_died():
    with subprocess.Popen([sys.executable, "-c", "pass"]) as child:
        child_labels = process_labels(1) | {PROCESS: f"{child.pid}:1"}
        assert has_died(child_labels, 1)


def test_of_another_machine_nothing_is_known():
    assert not has_died(process_labels(1) | {HOST: "elsewhere", PROCESS: "1:1"}, 1)


@pytest.mark.parametrize("labels", [{}, {PROCESS: "1:1"}])
def test_a_run_without_labels_is_left_alone(labels):
    assert not has_died(labels, 1)


def test_an_attempt_that_has_not_said_where_it_is_is_left_alone():
    assert not has_died(process_labels(1) | {PROCESS: "1:1"}, 2)
