"""Complete images of a folder arrive, each of them once."""

from __future__ import annotations

import errno
import math
import os
import shutil
from pathlib import Path

import pytest
from structlog.testing import capture_logs

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


def test_unchanged_image_arrives_when_it_has_settled(folder, incoming):
    write(folder / "a.fits")
    assert incoming.scan(100.0) == []
    assert incoming.scan(104.9) == []
    assert incoming.n_waiting == 1
    assert names(incoming.scan(105.0)) == ["a.fits"]
    assert incoming.n_waiting == 0


def test_growing_image_does_not_arrive(folder, incoming):
    write(folder / "a.fits")
    incoming.scan(100.0)
    write(folder / "a.fits", "pixels and more")
    assert incoming.scan(106.0) == []
    assert names(incoming.scan(111.0)) == ["a.fits"]


def test_image_rewritten_with_the_same_size_does_not_arrive(folder, incoming):
    write(folder / "a.fits")
    incoming.scan(100.0)
    write(folder / "a.fits", "PIXELS", mtime=1_001.0)
    assert incoming.scan(106.0) == []


def test_image_arrives_once(folder, incoming):
    write(folder / "a.fits")
    looks = [incoming.scan(float(second)) for second in range(0, 60, 5)]
    assert sum(map(len, looks)) == 1


def test_rewritten_image_arrives_again(folder, incoming):
    write(folder / "a.fits")
    incoming.scan(0.0)
    (first,) = incoming.scan(5.0)
    write(folder / "a.fits", mtime=2_000.0)
    assert incoming.scan(6.0) == []
    (second,) = incoming.scan(11.0)
    assert (first.path, first.version) == (second.path, "6:1000000000000")
    assert second.version == "6:2000000000000"


@pytest.mark.parametrize("marker", ["a.fits.done", "a.done"])
def test_image_with_a_marker_arrives_at_once(folder, incoming, marker):
    write(folder / "a.fits")
    write(folder / "b.fits")
    write(folder / marker, "", mtime=1_000.0)
    assert names(incoming.scan(0.0)) == ["a.fits"]


def test_marker_older_than_the_image_is_ignored(folder, incoming):
    write(folder / "a.fits", mtime=1_000.0)
    write(folder / "a.fits.done", "", mtime=999.0)
    assert incoming.scan(0.0) == []


@pytest.mark.parametrize("unfinished", ["a.fits.part", ".a.fits.x7Yq"])
def test_renamed_image_arrives_at_once(folder, incoming, unfinished):
    write(folder / unfinished)
    assert incoming.scan(0.0) == []
    (folder / unfinished).rename(folder / "a.fits")
    assert names(incoming.scan(1.0)) == ["a.fits"]


def test_new_file_with_the_inode_of_a_deleted_one_is_not_renamed(folder, incoming):
    unfinished = write(folder / "a.tmp")
    incoming.scan(0.0)
    # The same inode, but written: both times of the file are the time of writing.
    unfinished.rename(folder / "a.fits")
    status = (folder / "a.fits").stat()
    incoming._other_inodes = {(status.st_dev, status.st_ino)}
    os.utime(folder / "a.fits", ns=(status.st_ctime_ns + 10**9,) * 2)
    assert incoming.scan(1.0) == []


def test_unfinished_names_are_not_images(folder, incoming):
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


def test_removed_image_is_forgotten(folder, incoming):
    write(folder / "a.fits")
    incoming.scan(0.0)
    incoming.scan(5.0)
    (folder / "a.fits").unlink()
    assert incoming.scan(6.0) == []
    write(folder / "a.fits")
    incoming.scan(7.0)
    assert names(incoming.scan(12.0)) == ["a.fits"]


def test_folder_that_is_missing_for_a_while_is_not_an_error(folder, incoming):
    shutil.rmtree(folder)
    assert incoming.scan(0.0) == []


@pytest.fixture
def broken(monkeypatch):
    """Folders that fail when they are listed, with the error."""
    errors, scandir = {}, os.scandir

    def fail_or_list(path):
        if Path(path) in errors:
            raise OSError(errors[Path(path)], os.strerror(errors[Path(path)]), str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", fail_or_list)
    return errors


@pytest.mark.parametrize("error", [errno.EACCES, errno.ESTALE, errno.EIO])
def test_subfolder_that_cannot_be_listed_costs_itself_and_is_logged_once(folder, incoming, broken, error):
    for name in ("night1", "night2"):
        (folder / name).mkdir()
        write(folder / name / "a.fits")
    broken[folder / "night1"] = error
    with capture_logs() as logs:
        incoming.scan(0.0)
        assert [arrival.path for arrival in incoming.scan(5.0)] == [folder / "night2" / "a.fits"]
    assert [(log["path"], log["reason"]) for log in logs] == [(str(folder / "night1"), os.strerror(error))]
    broken.clear()
    incoming.scan(6.0)
    assert [arrival.path for arrival in incoming.scan(11.0)] == [folder / "night1" / "a.fits"]


@pytest.mark.parametrize("error", [errno.ESTALE, errno.EIO, errno.ENOENT, errno.ENOTCONN, errno.EACCES])
def test_images_of_a_folder_that_is_away_for_a_while_do_not_arrive_again_and_go_on_settling(
    folder, incoming, broken, error
):
    write(folder / "a.fits")
    incoming.scan(0.0)
    incoming.scan(5.0)
    write(folder / "b.fits")
    incoming.scan(6.0)
    broken[folder] = error
    assert incoming.scan(7.0) == []
    assert incoming.n_waiting == 1
    broken.clear()
    assert names(incoming.scan(11.0)) == ["b.fits"]


def test_a_folder_with_the_name_of_an_image_that_cannot_be_listed_costs_itself(folder, broken):
    for name in ("a.image", "b.image"):
        (folder / name).mkdir(parents=True)
        write(folder / name / "table.dat")
    incoming = IncomingFolder(folder, patterns=("*.image",), settle_seconds=SETTLE)
    broken[folder / "a.image"] = errno.EACCES
    incoming.scan(0.0)
    assert names(incoming.scan(5.0)) == ["b.image"]


def test_links_in_a_circle_are_not_followed_and_each_image_arrives_once(folder, incoming, tmp_path):
    (folder / "night").mkdir()
    (tmp_path / "elsewhere").mkdir()
    write(folder / "night" / "a.fits")
    write(tmp_path / "elsewhere" / "b.fits")
    (folder / "0").symlink_to(folder)  # listed before all others by its name
    (folder / "night" / "up").symlink_to("..")
    (folder / "out").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(folder)
    (folder / "self.fits").symlink_to("self.fits")
    (folder / "gone.fits").symlink_to("nothing.fits")
    write(folder / "c.fits")
    (folder / "d.fits").symlink_to(folder / "c.fits")
    incoming.scan(0.0)
    arrivals = [arrival.path.relative_to(folder) for arrival in incoming.scan(5.0)]
    assert arrivals == [Path("c.fits"), Path("d.fits"), Path("night/a.fits"), Path("out/b.fits")]


def test_folder_that_may_not_be_listed_is_refused_and_one_that_is_away_is_waited_for(folder, broken):
    folder.mkdir()
    broken[folder] = errno.EACCES
    with pytest.raises(ConfigError, match=r"incoming may not be listed"):
        IncomingFolder(folder)
    broken[folder] = errno.ESTALE
    write(folder / "a.fits")
    with capture_logs():
        incoming = IncomingFolder(folder, settle_seconds=SETTLE)
        incoming.scan(0.0)
    broken.clear()
    incoming.scan(1.0)
    assert names(incoming.scan(6.0)) == ["a.fits"]


def test_error_names_a_missing_folder(tmp_path):
    with pytest.raises(ConfigError, match="nowhere"):
        IncomingFolder(tmp_path / "nowhere")
