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


class Hold:
    """Fits wait at it until it lets them go."""

    def __init__(self):
        self._reached, self._open = threading.Event(), threading.Event()

    def wait(self):
        """Wait until the fits may go on."""
        self._reached.set()
        self._open.wait(30)

    def let_go(self):
        """Let all fits go on."""
        self._open.set()

    def wait_for_a_fit(self):
        """Wait until a fit waits."""
        assert self._reached.wait(30)


@pytest.fixture
def held(monkeypatch):
    """Hold each fit until the returned object lets it go."""
    hold, fit = Hold(), photometry.fit_image

    def wait(*arguments):
        hold.wait()
        return fit(*arguments)

    monkeypatch.setattr(photometry, "fit_image", wait)
    yield hold
    hold.let_go()
