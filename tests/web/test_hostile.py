"""Hostile texts in the database are shown as text, and hostile requests get a clear refusal."""

from __future__ import annotations

import re
import sqlite3
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from trap.web.app import make_app
from trap.web.tables import TABLES, downloadable

SCRIPT = "</title><script>alert(1)</script><img src=x onerror=alert(2)>'\"{{7*7}}\u202ejavascript:"
PLACES = {
    "dataset": ["description"],
    "image": ["url", "telescope"],
    "rejection": ["comment"],
    "timestep": ["message"],
    "run": ["host", "page"],
    "monitor": ["name"],
}
"""Columns of text that come from files, headers and people."""
PAGES = ["/", "/datasets/1", *(f"/datasets/1/{name}?size=5" for name in TABLES), "/api/datasets", "/api/datasets/1",
         *(f"/api/datasets/1/{name}?size=5" for name in TABLES), "/api"]  # fmt: skip


@pytest.fixture
def hostile(editable):
    """Visit a site whose texts are hostile."""
    with sqlite3.connect(editable.url.removeprefix("sqlite:///")) as connection:
        rejected = connection.execute("SELECT min(id) FROM image").fetchone()[0]
        connection.execute("INSERT INTO rejection (image, rejectreason, comment) VALUES (?, 1, '')", [rejected])
        connection.execute("UPDATE timestep SET state = 'failed' WHERE id = (SELECT max(id) FROM timestep)")
        for table, columns in PLACES.items():
            for column in columns:
                connection.execute(f"UPDATE {table} SET {column} = ?", [SCRIPT])
    return TestClient(make_app(editable), raise_server_exceptions=False)


def test_hostile_texts_are_escaped_on_every_page(hostile):
    n_shown = 0
    for address in PAGES:
        answer = hostile.get(address)
        assert answer.status_code == 200, (address, answer.text[:300])
        if answer.headers["content-type"].startswith("text/html"):
            assert "<script>alert" not in answer.text
            assert "<img src=x" not in answer.text
            assert 'href="javascript:' not in answer.text
            assert 'href="&lt;/title' not in answer.text  # an address of the database is a link only if it is one
            assert "\u202e" not in answer.text
            n_shown += "&lt;script&gt;alert(1)" in answer.text
        else:
            assert answer.headers["content-type"] == "application/json"
            assert answer.headers["x-content-type-options"] == "nosniff"
    assert n_shown >= 3


def test_hostile_texts_in_downloads_are_never_pages(hostile):
    for one in downloadable("images"):
        answer = hostile.get(f"/datasets/1/images/download?format={one}")
        assert answer.status_code == 200
        assert "html" not in answer.headers["content-type"]
        assert answer.headers["content-disposition"].startswith("attachment")


HOSTILE_PATHS = [
    "/datasets/../../etc/passwd",
    "/datasets/..%2f..%2f..%2fetc%2fpasswd",
    "/static/..%2f..%2fapp.py",
    "/static/%2e%2e/app.py",
    "/static/bokeh/..%2f..%2f..%2f__init__.py",
    "/datasets/1/..%2fsources",
    "/datasets/1;drop table dataset/sources",
    "/datasets/1%00/sources",
    "/datasets/-1/sources",
    "/datasets/%F0%9F%94%AD/sources",
    "/datasets/1/sources/" + "9" * 4000,
    "/datasets/1/" + quote(SCRIPT) + "/download?format=csv",
    "/api/" + "a/" * 500,
]


@pytest.mark.parametrize("path", HOSTILE_PATHS, ids=range(len(HOSTILE_PATHS)))
def test_tricks_with_paths_find_nothing(client, path):
    answer = client.get(path)
    assert 400 <= answer.status_code < 500
    assert "root:" not in answer.text
    assert "Traceback" not in answer.text
    assert "<script>alert" not in answer.text


HOSTILE_VALUES = [SCRIPT, "\0", "9" * 250, "x" * 50_000, "-inf", "' OR 1=1 --", "\N{ARABIC-INDIC DIGIT THREE}"]
KEYS = [
    "near", "radius", "band", "stokes", "without_flags", "candidates_only", "entries", "since", "until", "order",
    "page", "size", "columns", "min_eta", "max_runcat", SCRIPT, "__class__", "min_", "self", "limits",
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_nonsense_in_queries_is_refused_or_finds_rows_and_is_shown_as_text(client, key):
    for value in HOSTILE_VALUES:
        items = [(key, value), *([("near", "10 10")] if key == "radius" else [])]
        address = "/datasets/1/transients" if value in (SCRIPT, HOSTILE_VALUES[3]) else "/api/datasets/1/transients"
        answer = client.get(address, params=items)
        assert answer.status_code in (200, 400), (value, answer.text[:300])
        assert len(answer.text) < 300_000
        if address.startswith("/datasets"):
            assert not re.search(r"<script>alert|<img src=x", answer.text)


def test_repeated_keys_are_joined_or_refused(client):
    assert client.get("/datasets/1/sources?stokes=I&stokes=V").status_code == 200
    assert client.get("/datasets/1/sources?near=1+2&near=3+4").status_code == 400
    assert client.get("/datasets/1/sources?" + "&".join(["entries=1"] * 6000)).status_code == 400
