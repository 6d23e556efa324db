"""The page of all datasets, and what it remembers of a visit."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.testclient import TestClient

from trap.db.reader import Reader
from trap.db.result_tables import read_rows
from trap.web.app import make_app
from trap.web.site import Site
from trap.web.visits import MAX_DATASETS, PAUSE, Seen, read_visit, remember

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def test_datasets_are_shown_with_progress_quality_and_results(client, site):
    text = client.get("/").text
    with site.reader.read() as connection:
        images = read_rows(connection, "images", [1])
        n_candidates = len(read_rows(connection, "transients", [1])["newsource"])
    assert f"{len(images['image'])} accepted" in text
    assert f"{1000 * np.median(images['rms_qc']):.3g} mJy/beam" in text
    assert f'<a href="/datasets/1/transients">{n_candidates}</a>' in text
    assert "since your last visit" not in text or "New:" not in text


def test_a_database_without_datasets_names_the_command(request):
    url = f"sqlite:///{request.getfixturevalue('_migrated_sqlite')}"
    text = TestClient(make_app(Site(url=url, reader=Reader(url)))).get("/").text
    assert "no datasets yet" in text
    assert "transients run" in text


def test_new_candidates_are_named_at_the_next_visit(editable):
    visitor = TestClient(make_app(editable))
    assert "New:" not in visitor.get("/").text
    with sqlite3.connect(editable.url.removeprefix("sqlite:///")) as connection:
        last = connection.execute("SELECT max(id) FROM newsource").fetchone()[0]
        names = [row[1] for row in connection.execute("PRAGMA table_info(newsource)") if row[1] != "id"]
        columns = ", ".join(names)
        connection.execute(f"INSERT INTO newsource ({columns}) SELECT {columns} FROM newsource WHERE id = ?", [last])
    [name] = [one for one in visitor.cookies if one.startswith("transients_seen")]
    parts = visitor.cookies[name].split("-")
    parts[2] = str(int(parts[2]) - int(PAUSE.total_seconds()) - 60)  # the visit was earlier
    visitor.cookies.clear()
    visitor.cookies.set(name, "-".join(parts))
    text = visitor.get("/").text
    assert f'<a href="/datasets/1/transients?min_newsource={last + 1}">+1 candidate</a>' in text
    assert "New:" in visitor.get("/").text  # also after a reload


def _request(cookies):
    text = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return Request({"type": "http", "headers": [(b"cookie", text.encode())]})


def _after(cookies, states, now, database="a.db"):
    """The cookies after a view, and the visit."""
    visit, response = read_visit(_request(cookies), database, now), Response()
    remember(response, database, visit, states, now)
    name, _, value = response.headers["set-cookie"].partition(";")[0].partition("=")
    return {**cookies, name: value}, visit


def test_a_visit_lasts_until_half_an_hour_without_a_view():
    cookies, first = _after({}, {1: Seen(5, 1, 1)}, NOW)
    assert first.since is None
    assert first.new(1, Seen(5, 1, 1)) is None
    cookies, same = _after(cookies, {1: Seen(6, 1, 1)}, NOW + PAUSE / 2)
    assert same.since is None
    later = NOW + PAUSE / 2 + PAUSE + timedelta(minutes=1)
    cookies, second = _after(cookies, {1: Seen(8, 3, 9), 2: Seen(1, 0, 0)}, later)
    assert second.since == NOW + PAUSE / 2
    assert second.new(1, Seen(8, 3, 9)) == Seen(2, 2, 1)
    assert second.new(2, Seen(1, 0, 0)) == Seen(1, 0, 0)
    _, again = _after(cookies, {1: Seen(8, 3, 9)}, later + PAUSE / 2)
    assert again.new(1, Seen(8, 3, 9)) == Seen(2, 2, 1)


@pytest.mark.parametrize(
    "value", ["", "x", "1-2-3", "1--9999999999999999-", "5-1.2-5-a", "<script>", "1-_-1700000000-___"]
)
def test_a_damaged_cookie_counts_as_none(value):
    cookies, _ = _after({}, {}, NOW)
    visit = read_visit(_request(dict.fromkeys(cookies, value)), "a.db", NOW)
    assert visit.before == {}


def test_a_cookie_fits_into_a_browser_and_belongs_to_its_database():
    states = {one: Seen(10**6, 10**5, 10**7) for one in range(1, 1000)}
    cookies, _ = _after({}, states, NOW)
    cookies, visit = _after(cookies, states, NOW + 2 * PAUSE)
    assert len(str(cookies)) < 4096
    assert len(visit.before) == MAX_DATASETS
    assert read_visit(_request(cookies), "b.db", NOW).since is None
