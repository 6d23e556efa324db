"""The page of a dataset states what ``transients dataset show`` prints."""

from __future__ import annotations

import re
import sqlite3
from html import unescape

import pytest
from starlette.testclient import TestClient

from trap.cli import main
from trap.db.result_tables import read_rows
from trap.report.text import number
from trap.web.app import make_app
from trap.web.rendering import sexagesimal


@pytest.fixture(scope="module")
def text(client):
    return unescape(client.get("/datasets/1").text)


def test_the_page_states_what_the_command_prints(text, database, capsys):
    main(["dataset", "show", "1", "--database", database])
    printed = capsys.readouterr().out
    plain = re.sub(r"<[^>]+>", " ", text)
    changed = re.findall(r"^  (\w+\.\w+ = .*)$", printed, re.MULTILINE)
    assert ("all settings are defaults" in printed) == ("All settings are defaults." in plain) == (changed == [])
    assert all(setting in plain for setting in changed)
    for what in (r"(\d+) sources? found", r"(\d+) forced fits?", r"(\d+) entries"):
        assert re.search(rf"\b{re.search(what, printed)[1]}\b", plain)


def test_candidates_come_first_with_their_positions_scores_and_pages(text, site):
    with site.reader.read() as connection:
        first = read_rows(connection, "transients", [1], limit=1)
    assert text.index("Candidates</h2>") < text.index("Variables</h2>") < text.index("Quality and calibration</h2>")
    assert sexagesimal(first["wm_ra"][0], first["wm_decl"][0], 1) in text
    assert f'<a href="/datasets/1/sources/{first["runcat"][0]}">{first["newsource"][0]}</a>' in text
    assert number(first["score"][0], 3) in text
    assert f'"/datasets/1/vetting?candidate={first["newsource"][0]}"' in text


def test_charts_are_named_for_those_who_cannot_see_them(text):
    charts = dict(re.findall(r'data-chart="([^"]+)" aria-label="([^"]+)"', text))
    assert list(charts) == [f"/datasets/1/charts/{name}.json" for name in ("sky", "noise", "gain", "shift", "counts")]
    assert all(charts.values())


def test_left_out_images_failed_timesteps_and_pages_of_runs_are_shown(editable):
    with sqlite3.connect(editable.url.removeprefix("sqlite:///")) as connection:
        image = connection.execute("SELECT min(id) FROM image").fetchone()[0]
        connection.execute(
            "INSERT INTO rejection (image, rejectreason, comment) VALUES (?, 1, 'far too high')", [image]
        )
        reason = connection.execute("SELECT description FROM rejectreason WHERE id = 1").fetchone()[0]
        step = "(SELECT max(id) FROM timestep)"
        connection.execute(f"UPDATE timestep SET state = 'failed', message = 'disk full' WHERE id = {step}")
        connection.execute("UPDATE run SET page = 'http://127.0.0.1:4200/runs/flow-run/7'")
    text = unescape(TestClient(make_app(editable)).get("/datasets/1").text)
    assert f"1 image: {reason}" in text
    assert f"{reason}: far too high" in text
    assert "disk full" in text
    assert '<a href="http://127.0.0.1:4200/runs/flow-run/7" rel="noreferrer">' in text
