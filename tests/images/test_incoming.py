"""Which images of a folder are whole, and that each is told once."""

from __future__ import annotations

import math
import os
import shutil

import pytest

from trap.errors import ConfigError
from trap.images.incoming import IncomingFolder

SETTLE = 5.0


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "incoming"


@pytest.fixture
def incoming(folder):
    folder.mkdir()
    return IncomingFolder(folder, settle_seconds=SETTLE)


def write(path, text="pixels", *, mtime=1_000.0):
    path.write_text(text)
    os.utime(path, (mtime, mtime))
    return path


def names(arrivals):
    return [arrival.path.name for arrival in arrivals]


def test_an_image_that_stays_as_it_is_is_told_when_it_has_settled(folder, incoming):
    write(folder / "a.fits")
    assert incoming.scan(100.0) == []
    assert incoming.scan(104.9) == []
    assert incoming.n_waiting == 1
    assert names(incoming.scan(105.0)) == ["a.fits"]
    assert incoming.n_waiting == 0


def test_an_image_that_grows_is_waited_for(folder, incoming):
    write(folder / "a.fits")
    incoming.scan(100.0)
    write(folder / "a.fits", "pixels and more")
    assert incoming.scan(106.0) == []
    assert names(incoming.scan(111.0)) == ["a.fits"]


def test_an_image_rewritten_with_the_same_size_is_waited_for(folder, incoming):
    write(folder / "a.fits")
    incoming.scan(100.0)
    write(folder / "a.fits", "PIXELS", mtime=1_001.0)
    assert incoming.scan(106.0) == []


def test_an_image_is_told_once(folder, incoming):
    write(folder / "a.fits")
    looks = [incoming.scan(float(second)) for second in range(0, 60, 5)]
    assert sum(map(len, looks)) == 1


def test_an_image_that_is_written_anew_is_another_arrival(folder, incoming):
    write(folder / "a.fits")
    incoming.scan(0.0)
    (first,) = incoming.scan(5.0)
    write(folder / "a.fits", mtime=2_000.0)
    assert incoming.scan(6.0) == []
    (second,) = incoming.scan(11.0)
    assert (first.path, first.version) == (second.path, "6:1000000000000")
    assert second.version == "6:2000000000000"


@pytest.mark.parametrize("marker", ["a.fits.done", "a.done"])
def test_a_marker_says_that_an_image_is_whole(folder, incoming, marker):
    write(folder / "a.fits")
    write(folder / "b.fits")
    write(folder / marker, "", mtime=1_000.0)
    assert names(incoming.scan(0.0)) == ["a.fits"]


def test_a_marker_of_an_earlier_writing_says_nothing(folder, incoming):
    write(folder / "a.fits", mtime=1_000.0)
    write(folder / "a.fits.done", "", mtime=999.0)
    assert incoming.scan(0.0) == []


@pytest.mark.parametrize("unfinished", ["a.fits.part", ".a.fits.x7Yq"])
def test_an_image_that_got_its_name_when_it_was_whole_is_told_at_once(folder, incoming, unfinished):
    write(folder / unfinished)
    assert incoming.scan(0.0) == []
    (folder / unfinished).rename(folder / "a.fits")
    assert names(incoming.scan(1.0)) == ["a.fits"]


def test_a_new_file_that_takes_the_number_of_a_deleted_one_is_not_taken_for_it(folder, incoming):
    unfinished = write(folder / "a.tmp")
    incoming.scan(0.0)
    # The same inode, but written: both times of the file are those of the writing.
    unfinished.rename(folder / "a.fits")
    status = (folder / "a.fits").stat()
    incoming._other_inodes = {(status.st_dev, status.st_ino)}
    os.utime(folder / "a.fits", ns=(status.st_ctime_ns + 10**9,) * 2)
    assert incoming.scan(1.0) == []


def test_unfinished_names_are_no_images(folder, incoming):
    for name in ("a.fits.part", ".b.fits", "c.txt"):
        write(folder / name)
    incoming.scan(0.0)
    assert incoming.scan(60.0) == []
    assert incoming.n_waiting == 0


def test_without_settling_only_markers_and_names_count(folder):
    folder.mkdir()
    incoming = IncomingFolder(folder, settle_seconds=math.inf)
    write(folder / "a.fits")
    incoming.scan(0.0)
    assert incoming.scan(1e9) == []
    write(folder / "a.fits.done", "")
    assert names(incoming.scan(1e9 + 1)) == ["a.fits"]


def test_images_in_subfolders_are_found_in_order_of_their_paths(folder, incoming):
    for name in ("night2/b.fits", "night1/c.fits", ".hidden/d.fits"):
        (folder / name).parent.mkdir()
        write(folder / name)
    incoming.scan(0.0)
    assert names(incoming.scan(5.0)) == ["c.fits", "b.fits"]


def test_a_folder_with_the_name_of_an_image_is_one_image(folder):
    (folder / "a.image").mkdir(parents=True)
    write(folder / "a.image" / "table.dat")
    write(folder / "a.image" / "table.f0")
    incoming = IncomingFolder(folder, patterns=("*.fits", "*.image"), settle_seconds=SETTLE)
    incoming.scan(0.0)
    write(folder / "a.image" / "table.f0", "more pixels")
    assert incoming.scan(5.0) == []
    assert names(incoming.scan(10.0)) == ["a.image"]


def test_what_is_removed_is_forgotten(folder, incoming):
    write(folder / "a.fits")
    incoming.scan(0.0)
    incoming.scan(5.0)
    (folder / "a.fits").unlink()
    assert incoming.scan(6.0) == []
    write(folder / "a.fits")
    incoming.scan(7.0)
    assert names(incoming.scan(12.0)) == ["a.fits"]


def test_a_folder_that_is_away_for_a_while_is_no_error(folder, incoming):
    shutil.rmtree(folder)
    assert incoming.scan(0.0) == []


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match="nowhere"):
        IncomingFolder(tmp_path / "nowhere")
