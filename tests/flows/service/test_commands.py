"""The watcher: one event for the new images of each scan."""

from __future__ import annotations

import json
import os
from threading import Event

import pytest

from flows.pages import events
from flows.service.commands import watch
from flows.service.installations import arrivals_resource
from trap.images.incoming import Arrival, IncomingFolder


@pytest.fixture
def emitted(monkeypatch):
    """Collect the events that would be sent to a server."""
    emitted_events = []
    monkeypatch.setattr(events, "emit_event", lambda **event: emitted_events.append(event))
    return emitted_events


class Stop(Event):
    """Ends the watcher after some scans, and records the pauses between them."""

    def __init__(self, n_scans):
        super().__init__()
        self.n_left, self.pauses = n_scans, []

    def wait(self, timeout=None):
        self.pauses.append(timeout)
        self.n_left -= 1
        return self.n_left < 0


def test_images_of_one_scan_are_one_event(tmp_path, emitted):
    for name in ("b.fits", "a.fits"):
        (tmp_path / name).write_text("pixels")
    watch(IncomingFolder(tmp_path, settle_seconds=0.0), Stop(3))
    assert emitted == [
        {
            "event": "trap.observation.arrived",
            "resource": {"prefect.resource.id": f"trap.incoming.{tmp_path}", "prefect.resource.name": tmp_path.name},
            "payload": {"folder": str(tmp_path), "n_images": 2, "images": ["a.fits", "b.fits"]},
        }
    ]


def test_a_restarted_watcher_reports_all_images_in_the_folder(tmp_path, emitted):
    (tmp_path / "a.fits").write_text("pixels")
    for _ in range(2):
        watch(IncomingFolder(tmp_path, settle_seconds=0.0), Stop(1))
    assert len(emitted) == 2


def test_an_event_about_names_that_are_not_utf_8_is_valid_text(tmp_path, emitted):
    folder = tmp_path / os.fsdecode(b"n\xe9")
    folder.mkdir()
    (folder / os.fsdecode(b"b\xff.fits")).touch()
    watch(IncomingFolder(folder, settle_seconds=0.0), Stop(1))
    (event,) = emitted
    json.dumps(event, ensure_ascii=False).encode("utf-8")
    assert event["payload"] == {"folder": rf"{tmp_path}/n\xe9", "n_images": 1, "images": [r"b\xff.fits"]}
    assert event["resource"]["prefect.resource.id"] == arrivals_resource(rf"{tmp_path}/n\xe9")


def test_an_empty_folder_is_no_event(tmp_path, emitted):
    stop = Stop(2)
    watch(IncomingFolder(tmp_path), stop, poll_seconds=2.0)
    assert (emitted, stop.pauses) == ([], [0.0, 2.0, 2.0])


def test_events_stay_small(tmp_path, emitted):
    arrivals = [Arrival(tmp_path / f"{number:04}.fits", 1, 1) for number in range(1000)]
    events.emit_observation_arrived(tmp_path, arrivals)
    assert emitted[0]["payload"]["n_images"] == 1000
    assert len(emitted[0]["payload"]["images"]) == 100
