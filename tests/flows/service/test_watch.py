"""The watcher: an event for the images of each look."""

from __future__ import annotations

from threading import Event

import pytest

from flows.pages import events
from flows.service import watch
from trap.images.incoming import Arrival, IncomingFolder


@pytest.fixture
def emitted(monkeypatch):
    """Events instead of a server that gets them."""
    kept = []
    monkeypatch.setattr(events, "emit_event", lambda **event: kept.append(event))
    return kept


class Stop(Event):
    """Ends the watching after some looks; notes how long is waited between them."""

    def __init__(self, n_looks):
        super().__init__()
        self.n_left, self.pauses = n_looks, []

    def wait(self, timeout=None):
        self.pauses.append(timeout)
        self.n_left -= 1
        return self.n_left < 0


def test_images_of_one_look_are_one_event(tmp_path, emitted):
    for name in ("b.fits", "a.fits"):
        (tmp_path / name).write_text("pixels")
    watch.watch(IncomingFolder(tmp_path, settle_seconds=0.0), Stop(3))
    assert emitted == [
        {
            "event": "trap.observation.arrived",
            "resource": {"prefect.resource.id": f"trap.incoming.{tmp_path}", "prefect.resource.name": tmp_path.name},
            "payload": {"folder": str(tmp_path), "n_images": 2, "images": ["a.fits", "b.fits"]},
        }
    ]


def test_a_watcher_that_starts_again_tells_of_what_it_finds(tmp_path, emitted):
    (tmp_path / "a.fits").write_text("pixels")
    for _ in range(2):
        watch.watch(IncomingFolder(tmp_path, settle_seconds=0.0), Stop(1))
    assert len(emitted) == 2


def test_an_empty_folder_is_no_event(tmp_path, emitted):
    stop = Stop(2)
    watch.watch(IncomingFolder(tmp_path), stop, poll_seconds=2.0)
    assert (emitted, stop.pauses) == ([], [0.0, 2.0, 2.0])


def test_events_stay_small(tmp_path, emitted):
    arrivals = [Arrival(tmp_path / f"{number:04}.fits", 1, 1) for number in range(1000)]
    events.emit_observation_arrived(tmp_path, arrivals)
    assert emitted[0]["payload"]["n_images"] == 1000
    assert len(emitted[0]["payload"]["images"]) == 100
