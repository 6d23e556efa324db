"""The scheduler of tests in several processes, a plugin of pytest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.workermanage import WorkerController

LONGEST = ("tests/e2e/", "tests/docs/test_pages.py", "tests/packaging/", "tests/deployments/test_services.py")
"""Beginnings of the names of tests that take minutes."""


class SideBySide(LoadScopeScheduling):
    """Schedule files in parallel, not tests, which share fixtures of their file; tests/e2e runs as one file.

    If a process dies, no further file begins: xdist would run the file again in another process, which dies like the
    first, and would then wait for ever. The option --max-worker-restart in pyproject.toml ends the run.
    """

    def remove_node(self, node: WorkerController) -> str | None:
        """Remove a process; if it has died, return the test that it ran, or the test after which it died."""
        workload = self.assigned_work.pop(node)
        if hasattr(node, "workeroutput"):
            return None  # the process has ended regularly, after its tests
        self.workqueue.clear()
        tests = [(test, is_done) for unit in workload.values() for test, is_done in unit.items()]
        unfinished = (test for test, is_done in tests if not is_done)
        return next(unfinished, tests[-1][0] if tests else None)

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "e2e" if file.startswith("tests/e2e/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> SideBySide:
    """Return the scheduler that xdist uses."""
    return SideBySide(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let the longest files begin first, so that at the end no process waits for one of them."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


LOST = pytest.StashKey[bool]()


def pytest_testnodedown(node: WorkerController, error: object | None) -> None:
    """Note the loss of a process, which may have run no test yet."""
    node.config.stash[LOST] = bool(error) or node.config.stash.get(LOST, False)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let a run fail that has lost a process: xdist counts tests only."""
    if session.config.stash.get(LOST, False) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
