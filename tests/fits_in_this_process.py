"""Background jobs without worker processes, which are slow to start; and fits that wait until a test lets them go."""

from __future__ import annotations

import threading

import pytest

from trap.results import photometry
from trap.web import jobs
from trap.web.pixels import PIXELS
from trap.workers.executors import SerialExecutor

__all__ = ["held", "in_this_process"]


class InThisProcess(SerialExecutor):
    """A worker that is no process."""

    def cancel(self):
        """Do nothing: each step has ended already."""

    def __exit__(self, *_):
        """Do nothing: nothing was started."""


@pytest.fixture
def in_this_process(monkeypatch):
    """Fit in the thread of the jobs, and read cut-outs in those of their requests."""
    monkeypatch.setattr(jobs, "ProcessExecutor", lambda *_, **__: InThisProcess())
    monkeypatch.setattr(PIXELS, "_process", InThisProcess)


@pytest.fixture
def held(monkeypatch):
    """Hold each fit until the returned event is set."""
    event, fit = threading.Event(), photometry.fit_image

    def wait(*arguments):
        event.wait(30)
        return fit(*arguments)

    monkeypatch.setattr(photometry, "fit_image", wait)
    yield event
    event.set()
