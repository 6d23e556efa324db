"""Where live images come from: folders and streams, and what goes wrong there."""

from __future__ import annotations

import errno
import os
import time
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from stream_emulator import sender
from structlog.testing import capture_logs

from trap.config import LiveConfig, PipelineConfig
from trap.errors import ConfigError, TrapError
from trap.images.stream import write_frame
from trap.live import sources
from trap.live.sources import FolderSource, StreamSource, open_source

PIXELS = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(sources, "STREAM_SECONDS", 0.02)
    monkeypatch.setattr(sources, "SCAN_SECONDS", 0.0)


def frame(number=0):
    header = fits.PrimaryHDU(PIXELS).header
    header["NUMBER"] = number
    return write_frame(header, PIXELS)


def received(source, n):
    """Take until so many images have come."""
    found, deadline = [], time.monotonic() + 60
    while len(found) < n:
        assert time.monotonic() < deadline, found
        found += source.receive()
        time.sleep(0.01)
    return found


@pytest.fixture
def open_stream(tmp_path):
    """Open streams that are closed with the test."""
    opened = []

    def open_(*addresses, **settings):
        opened.append(open_source(LiveConfig(streams=addresses, spool=str(tmp_path / "spool"), **settings)))
        return opened[-1]

    yield open_
    for source in opened:
        source.close()


def test_images_of_a_stream_become_files_that_are_whole(open_stream, tmp_path):
    with sender([frame(0), frame(1)]) as address:
        source = open_stream(address)
        assert isinstance(source, StreamSource)
        urls = received(source, 2)
    assert [fits.getval(url, "NUMBER") for url in urls] == [0, 1]
    np.testing.assert_array_equal(fits.getdata(urls[0]), PIXELS)
    assert sorted(map(str, (tmp_path / "spool").iterdir())) == sorted(urls)


def test_a_connection_that_is_lost_is_made_again(open_stream):
    with capture_logs() as logs, sender([frame(0), frame(1)[:-4]], [frame(2)]) as address:
        urls = received(open_stream(address), 2)
    assert [fits.getval(url, "NUMBER") for url in urls] == [0, 2]
    assert "ended after 20 of 24 bytes" in next(log["reason"] for log in logs if log["event"] == "stream_lost")


def test_a_stream_out_of_step_is_begun_anew(open_stream):
    with capture_logs() as logs, sender([frame(0), b"x" * 600], [frame(1)]) as address:
        assert len(received(open_stream(address), 2)) == 2
    assert "not the beginning of an image" in next(log["reason"] for log in logs if log["event"] == "stream_lost")


def test_an_odd_image_costs_itself_and_the_connection_goes_on(open_stream, tmp_path):
    odd = frame(1).replace(b"NAXIS   =                    2", b"NAXIS   = 'two'               ")
    with sender([frame(0), odd, frame(2)]) as address:
        first, left_out, last = received(open_stream(address), 3)
    assert [fits.getval(url, "NUMBER") for url in (first, last)] == [0, 2]
    assert left_out.url == f"{address}, image 2 of the connection"
    assert left_out.reason.startswith("NAXIS is no whole number")
    assert len(list((tmp_path / "spool").iterdir())) == 2


def test_an_image_that_the_spool_cannot_take_is_left_out(open_stream, tmp_path, monkeypatch):
    def write(path, content):
        if b"NUMBER  =                    1" in content:
            path.touch()
            raise OSError(errno.ENOSPC, "No space left on device")
        with path.open("wb") as file:
            return file.write(content)

    monkeypatch.setattr(Path, "write_bytes", write)
    with sender([frame(0), frame(1), frame(2)]) as address:
        first, left_out, last = received(open_stream(address), 3)
    assert [fits.getval(url, "NUMBER") for url in (first, last)] == [0, 2]
    assert "No space left on device" in left_out.reason
    assert sorted(map(str, (tmp_path / "spool").iterdir())) == sorted([first, last])


def test_an_error_that_ends_a_thread_that_receives_is_raised(open_stream, monkeypatch):
    def fail(*_):
        raise RecursionError("too deep")

    monkeypatch.setattr(sources, "fits_file", fail)
    with sender([frame(0)]) as address:
        source = open_stream(address)
        with pytest.raises(TrapError, match=f"{address}: receiving has ended: RecursionError: too deep"):
            received(source, 1)


def test_a_source_names_the_paths_of_its_images_in_earlier_runs(open_stream, tmp_path):
    with sender([frame(0)]) as address:
        source = open_stream(address)
        (url,) = received(source, 1)
    assert [fnmatch(url, pattern) for pattern in source.origin] == [True]
    other = open_stream("127.0.0.1:1")
    assert not any(fnmatch(url, pattern) for pattern in other.origin)
    assert FolderSource(LiveConfig(folder=str(tmp_path))).origin == (f"{tmp_path}/*",)


def test_several_senders_are_read_at_once(open_stream):
    with sender([frame(0)]) as first, sender([frame(1)]) as second:
        urls = received(open_stream(first, second), 2)
    assert {fits.getval(url, "NUMBER") for url in urls} == {0, 1}


def test_an_absent_sender_is_reported_once(open_stream):
    with capture_logs() as logs:
        open_stream("127.0.0.1:1")
        time.sleep(0.3)
    assert [log["event"] for log in logs] == ["stream_lost"]


def test_old_files_of_a_stream_are_deleted_and_the_latest_kept(open_stream, tmp_path):
    with sender([frame(number) for number in range(4)]) as address:
        source = open_stream(address, keep_timesteps=2)
        for url in received(source, 4):
            source.release([url])
    assert [fits.getval(path, "NUMBER") for path in sorted((tmp_path / "spool").iterdir())] == [2, 3]


def test_a_spool_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "spool").touch()
    with pytest.raises(ConfigError, match="spool .* cannot be made"):
        StreamSource(LiveConfig(streams=("127.0.0.1:1",), spool=str(tmp_path / "spool")))


def test_paths_that_are_not_utf_8_are_text_and_their_files_are_found(open_stream, tmp_path):
    folder = tmp_path / os.fsdecode(b"n\xe9")
    folder.mkdir()
    (folder / os.fsdecode(b"b\xff.fits")).touch()
    source = open_source(LiveConfig(folder=rf"{tmp_path}/n\xe9", settle_seconds=0.0))
    assert received(source, 1) == [rf"{tmp_path}/n\xe9/b\xff.fits"]
    assert source.origin == (rf"{tmp_path}/n\xe9/*",)
    with sender([frame(0)]) as address:
        stream = StreamSource(LiveConfig(streams=(address,), spool=rf"{tmp_path}/n\xe9/spool", keep_timesteps=1))
        (url,) = received(stream, 1)
        assert url.startswith(rf"{tmp_path}/n\xe9/spool/")
        assert len(list((folder / "spool").iterdir())) == 1
        stream.release([url])
        stream.release([])
        assert not list((folder / "spool").iterdir())
        stream.close()


def test_images_of_a_folder_are_taken_when_they_are_complete_and_never_deleted(tmp_path):
    source = open_source(LiveConfig(folder=str(tmp_path), settle_seconds=1e6))
    assert isinstance(source, FolderSource)
    (tmp_path / "a.fits").touch()
    assert source.receive() == []
    (tmp_path / "a.fits.done").touch()
    assert received(source, 1) == [str(tmp_path / "a.fits")]
    source.release([str(tmp_path / "a.fits")])
    assert (tmp_path / "a.fits").exists()
    source.close()


def test_looking_at_a_large_folder_leaves_time_for_the_rest(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "SCAN_SECONDS", 1e6)
    source = FolderSource(LiveConfig(folder=str(tmp_path), settle_seconds=0.0))
    source.receive()
    (tmp_path / "a.fits").touch()
    assert source.receive() == []


def with_lists(pattern):
    return PipelineConfig().with_options(reading={"catalogues": pattern})


def test_an_image_waits_for_its_list_until_the_time_of_a_timestep_is_over(tmp_path):
    live = LiveConfig(folder=str(tmp_path), settle_seconds=0.0, timestep_timeout_seconds=0.5)
    source = open_source(live, with_lists("lists/{stem}*.txt"))
    (tmp_path / "lists").mkdir()
    for name in ("a.fits", "b.fits"):
        (tmp_path / name).touch()
    assert source.receive() == []
    (tmp_path / "lists" / "a.components.txt").touch()
    assert received(source, 1) == [str(tmp_path / "a.fits")]
    (late,) = received(source, 1)
    assert late.url == str(tmp_path / "b.fits")
    assert "it has no source list" in late.reason
    assert late.reason.endswith("after 0.5 s")
    # The list came before its image.
    (tmp_path / "lists" / "c.txt").touch()
    (tmp_path / "c.fits").touch()
    assert received(source, 1) == [str(tmp_path / "c.fits")]


def test_a_list_that_is_still_written_is_not_complete(tmp_path):
    live = LiveConfig(folder=str(tmp_path), settle_seconds=1.0, timestep_timeout_seconds=1e6)
    source = open_source(live, with_lists("{stem}.txt"))
    (tmp_path / "a.fits").touch()
    found, path = [], tmp_path / "a.txt"
    for number in range(8):
        path.write_text("x" * (number + 1))
        found += source.receive()
        time.sleep(0.1)
    assert found == []
    assert received(source, 1) == [str(tmp_path / "a.fits")]


@pytest.mark.parametrize("pattern", ["lists/*.txt", "lists.csv", "{folder}/a.txt"])
def test_lists_of_a_live_run_are_named_by_a_pattern_for_each_image(tmp_path, pattern):
    with pytest.raises(ConfigError, match="a pattern with {stem} or {name} names the list of each"):
        open_source(LiveConfig(folder=str(tmp_path)), with_lists(pattern))


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ConfigError, match="no folder"):
        open_source(LiveConfig(folder=str(tmp_path / "away")))


@pytest.mark.parametrize("settings", [{}, {"folder": "in", "streams": ("a:1",)}, {"streams": ("nowhere",)}])
def test_there_is_one_source_with_an_address_that_can_be_one(settings):
    with pytest.raises(ValueError, match=r"folder|pattern"):
        LiveConfig(**settings)
