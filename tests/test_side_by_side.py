"""The processes in which tests run side by side: the loss of one ends the run with the name of its test."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from side_by_side import SideBySide, pytest_collection_modifyitems, pytest_sessionfinish, pytest_testnodedown

ROOT = Path(__file__).parents[1]
TESTS = """
import os, signal, time

def test_first():
    time.sleep(0.1)

def test_second():
    {second}

def test_third():
    pass
"""


def run_tests(folder, second):
    """Run six files in two processes; the third file holds the given line."""
    for number in range(6):
        (folder / f"test_{number}.py").write_text(TESTS.format(second=second if number == 2 else "pass"))
    plugins = "-p xdist -p pytest_timeout -p side_by_side -p no:cacheprovider"
    command = f"-m pytest {plugins} -c {ROOT / 'pyproject.toml'} --rootdir {folder} -n 2 --no-loadscope-reorder".split()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {"PYTHONPATH": str(ROOT / "tests"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        [sys.executable, *command, str(folder)],
        env=environment, cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_process_that_dies_ends_the_run_with_the_name_of_its_test(tmp_path):
    run = run_tests(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)")
    assert run.returncode == 1
    # The line may appear among the results and again in the summary.
    assert set(re.findall(r"worker 'gw\d' crashed while running '(.*)'", run.stdout)) == {"test_2.py::test_second"}
    assert "1 failed" in run.stdout


class Node:
    """A process, as far as the scheduler looks at it."""


def scheduler_of(done):
    """A scheduler whose only process has the given tests, each of which it has finished or not."""
    scheduler = object.__new__(SideBySide)
    node = Node()
    scheduler.assigned_work = {node: {"a.py": done}}
    scheduler.workqueue = {"b.py": {"b.py::test": False}}
    return scheduler, node


@pytest.mark.parametrize(
    ("done", "expected"),
    [
        ({"a.py::one": True, "a.py::two": False, "a.py::three": False}, "a.py::two"),
        ({"a.py::one": True, "a.py::two": True}, "a.py::two"),
        ({}, None),
    ],
)
def test_lost_process_names_its_test_and_begins_no_other_file(done, expected):
    scheduler, node = scheduler_of(done)
    assert scheduler.remove_node(node) == expected
    assert not scheduler.workqueue


def test_process_that_ends_regularly_names_no_test():
    scheduler, node = scheduler_of({"a.py::one": True})
    node.workeroutput = {}
    assert scheduler.remove_node(node) is None
    assert scheduler.workqueue


@pytest.mark.parametrize("error", ["Not properly terminated", None])
def test_run_without_a_failed_test_fails_if_a_process_was_lost(error):
    config = SimpleNamespace(stash=pytest.Stash())
    pytest_testnodedown(SimpleNamespace(config=config), error)
    session = SimpleNamespace(config=config, exitstatus=pytest.ExitCode.OK)
    pytest_sessionfinish(session)
    assert (session.exitstatus == pytest.ExitCode.OK) == (error is None)


@pytest.mark.parametrize("is_one_of_several", [True, False])
def test_longest_files_begin_first_and_the_others_keep_their_order(is_one_of_several):
    names = ["tests/a.py::two", "tests/a.py::one", "tests/e2e/b.py::two", "tests/e2e/b.py::one", "tests/z.py::three"]
    items = [SimpleNamespace(nodeid=name) for name in names]
    pytest_collection_modifyitems(SimpleNamespace(**{"workerinput": {}} if is_one_of_several else {}), items)
    first = names[2:4] if is_one_of_several else names[:2]
    assert [item.nodeid for item in items] == [*first, *(name for name in names if name not in first)]
