"""Downloads are the files of ``transients export``."""

from __future__ import annotations

import threading
import time

import pytest

from trap.cli import main
from trap.web import downloads
from trap.web.tables import TABLES, downloadable

SELECTION = {"sources": ("--min", "eta=0.5"), "measurements": ("--stokes", "I"), "images": ("--since", "2000-01-01")}
QUERY = {"sources": "&min_eta=0.5", "measurements": "&stokes=I", "images": "&since=2000-01-01"}
CASES = [(name, one) for name in TABLES for one in downloadable(name) if name == "sources" or one in ("csv", "fits")]


@pytest.mark.parametrize(("name", "table_format"), CASES)
def test_a_download_equals_the_export_byte_for_byte(client, database, tmp_path, name, table_format):
    path = tmp_path / "exported"
    options = ["--what", name, "--format", table_format, "-o", str(path), *SELECTION.get(name, ())]
    assert main(["export", "1", "--database", database, *options]) == 0
    answer = client.get(f"/datasets/1/{name}/download?format={table_format}{QUERY.get(name, '')}")
    assert answer.status_code == 200
    assert answer.content == path.read_bytes()
    assert f'filename="dataset-1-{name}.' in answer.headers["content-disposition"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "format must be the name of one format, got none; choose from csv, json"),
        ("?format=cvs", "got &#39;cvs&#39;; did you mean csv"),
        ("?format=hats", "got &#39;hats&#39;"),
        ("?format=csv&format=json", "got &#39;csv&#39; and &#39;json&#39;"),
        ("?format=csv&page=2", "page is for pages"),
        ("?format=csv&band=9", "band 9 MHz"),
        ("?format=csv&min_eta=x", "min_eta_int must be a number"),
    ],
)
def test_a_download_without_a_meaning_is_refused_before_it_begins(client, query, message):
    answer = client.get(f"/datasets/1/sources/download{query}")
    assert answer.status_code == 400
    assert message in answer.text


def test_a_long_download_goes_in_pieces_and_ends_when_its_reader_leaves(monkeypatch):
    monkeypatch.setattr(downloads, "POLL_SECONDS", 0.01)
    written, ended = [], threading.Event()

    def write(file):
        try:
            written.extend(file.write(bytes(downloads.PIECE)) for _ in range(1000))
        finally:
            ended.set()

    pieces = downloads._Pipe(write).pieces()
    assert len(next(pieces)) == downloads.PIECE
    time.sleep(0.05)
    assert len(written) <= downloads.PIECES + 2  # the writer waits for the reader
    pieces.close()
    assert ended.wait(5)


def test_an_error_during_a_download_ends_it_with_the_error():
    def write(file):
        file.write(bytes(downloads.PIECE))
        msg = "the disk is gone"
        raise OSError(msg)

    pieces = downloads._Pipe(write).pieces()
    next(pieces)
    with pytest.raises(OSError, match="the disk is gone"):
        next(pieces)
