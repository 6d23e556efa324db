"""The report of a dataset: one file, which a browser opens from disk, without a network and on paper."""

from __future__ import annotations

import base64
import io
import re
import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pytest
from PIL import Image

from trap.db import lightcurves
from trap.db.reader import Reader
from trap.web.report import report_page

EVIL = "</script><script>document.title='evil'</script><img src=http://evil.example/x onerror=alert(1)>"


@pytest.fixture(scope="module")
def page(database):
    return report_page(Reader(database), 1, n_candidates=30)


@pytest.fixture(scope="module")
def candidates(database):
    with Reader(database).read() as connection:
        return lightcurves.transients(connection, 1)


@pytest.fixture
def from_disk(chromium, tmp_path):
    """Open the text of a report as a file in a browser without a network; the requests and problems of its page."""
    contexts, seen = [], []

    def open_page(text, **options):
        path = tmp_path / "report.html"
        path.write_text(text, "utf-8")
        context = chromium.new_context(offline=True, **{"viewport": {"width": 1280, "height": 860}, **options})
        contexts.append(context)
        opened = context.new_page()
        opened.on("request", lambda request: seen.append(request.url))
        opened.on("pageerror", lambda error: seen.append(str(error)))
        opened.on("console", lambda message: seen.append(message.text) if message.type == "error" else None)
        opened.goto(path.as_uri())
        opened.wait_for_selector("body[data-charts=drawn]", timeout=20_000)
        return opened

    yield open_page, seen
    for context in contexts:
        context.close()


def inked_pixels(opened):
    """Count the pixels of each chart that have a colour."""
    return opened.evaluate(
        """() => [...document.querySelectorAll('figure[data-item]')].map((figure) => {
          const [view] = [...Bokeh.index].filter((view) => figure.contains(view.el));
          const { canvas } = view.export('png', false);
          const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
          return data.filter((value, i) => i % 4 === 3 && value > 0).length;
        })"""
    )


def test_report_from_disk_draws_its_charts_and_requests_nothing(page, from_disk, candidates):
    open_page, seen = from_disk
    opened = open_page(page)
    drawn = inked_pixels(opened)
    assert len(drawn) == page.count('<figure class="chart"') > len(candidates["runcat"])
    assert min(drawn) > 2000
    assert [one for one in seen if not one.startswith(("file://", "data:", "blob:"))] == []
    assert sum(one.startswith("file://") for one in seen) == 1
    # Charts on paper are pictures in the file, next to one for each cut-out.
    paper = opened.pdf(format="A4")
    n_pictures = len(re.findall(rb"/Subtype\s*/Image", paper))
    assert n_pictures >= len(drawn) + page.count("<svg")
    opened.emulate_media(media="print")
    assert not opened.locator(".contents").is_visible()


def test_report_has_the_charts_of_the_dataset(page):
    names = re.findall(r'data-item="values-([\w-]+)"', page)
    assert names == ["eta-v", "candidate-1", "sky", "noise", "gain", "shift", "counts"]


def test_report_fits_a_telephone_in_the_dark(page, from_disk):
    open_page, _ = from_disk
    opened = open_page(page, viewport={"width": 390, "height": 800}, color_scheme="dark")
    assert opened.evaluate("document.documentElement.scrollWidth") <= 390
    ground = opened.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(map(int, re.findall(r"\d+", ground)[:3])) < 60
    assert opened.evaluate("[...document.querySelectorAll('figure[data-item]')].every((f) => f.matches('.dark'))")


def test_cut_outs_show_the_source_where_the_lines_point(page, candidates):
    sections = page.split('<article class="candidate" id="candidate-')[1:]
    assert [int(section.partition('"')[0]) for section in sections] == candidates["newsource"].tolist()
    picture = sections[0].split("Cut-out of discovery")[1]
    data = re.search(r"base64,([^\"]+)", picture)[1]
    x, y, r = (float(one) for one in re.search(r'd="M([\d.]+) ([\d.]+)h([\d.]+)M', picture).groups())
    # The palette counts from faint to bright.
    levels = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    row, column = np.unravel_index(levels.argmax(), levels.shape)
    assert abs(column + 0.5 - (x - r)) < 2
    assert abs(row + 0.5 - y) < 2


def test_more_candidates_than_wanted_are_counted(database, candidates):
    page = report_page(Reader(database), 1, n_candidates=0)
    assert page.count('<article class="candidate"') == 0
    assert "are those of the first 0 candidates; <code>transients report 1 --candidates N</code>" in page
    assert len(re.findall(r'<tr><td class="number">(?:<a|\d)', page.split("</table>")[0])) == len(candidates["runcat"])


def test_report_has_its_settings_its_runs_and_what_was_left_out(database, tmp_path):
    with closing(sqlite3.connect(copied(database, tmp_path))) as connection, connection:
        connection.execute("INSERT INTO unreadableimage (dataset, url, reason) VALUES (1, 'gone.fits', 'truncated')")
        connection.execute("UPDATE image SET url = '/elsewhere/none.fits'")
    page = report_page(Reader(f"sqlite:///{tmp_path / 'trap.db'}"), 1, n_candidates=2)
    assert "<li>1 image: unreadable</li>" in page
    assert '<td class="path">gone.fits</td><td>unreadable: truncated</td>' in page
    assert "<td>source_extraction.detection_threshold</td><td>5.0</td>" in page
    assert re.search(r"<td>done</td><td>[^<]+</td><td>trap \d.*astropy \d", page)
    assert "No cut-out of discovery, 2026-" in page
    assert "/elsewhere/none.fits" in page


def test_hostile_names_stay_text(database, tmp_path, from_disk):
    with closing(sqlite3.connect(copied(database, tmp_path))) as connection, connection:
        for column in ("image.url", "image.telescope", "dataset.description", "run.host"):
            table, name = column.split(".")
            connection.execute(f"UPDATE {table} SET {name} = ? || {name}", (f"{EVIL}\u202e\x1b[31m",))
        connection.execute(
            "INSERT INTO unreadableimage (dataset, url, reason) VALUES (1, ?, ?)", (f"{EVIL}.fits", EVIL)
        )
    page = report_page(Reader(f"sqlite:///{tmp_path / 'trap.db'}"), 1, n_candidates=1)
    assert page.count("<script") == page.count("</script>")
    assert "evil'</script>" not in page
    assert "\u202e" not in page
    assert "\x1b" not in page
    open_page, seen = from_disk
    opened = open_page(page)
    assert opened.title().startswith("</script>")
    assert not [one for one in seen if one.startswith("http")]


def copied(database, folder):
    """Copy a database into a folder; return its path."""
    return shutil.copy(database.removeprefix("sqlite:///"), folder / "trap.db")


def test_dataset_without_a_timestep_has_a_report_without_charts(database, tmp_path):
    with closing(sqlite3.connect(copied(database, tmp_path))) as connection, connection:
        names = [row[1] for row in connection.execute("PRAGMA table_info(dataset)") if row[1] not in ("id", "key")]
        listed = ", ".join(names)
        connection.execute(f"INSERT INTO dataset (id, {listed}) SELECT 2, {listed} FROM dataset WHERE id = 1")
    page = report_page(Reader(f"sqlite:///{tmp_path / 'trap.db'}"), 2, n_candidates=30)
    assert "<figure" not in page
    assert "<p>No transient candidates.</p>" in page
    assert "<p>No image was left out.</p>" in page


def test_sources_with_one_point_have_no_chart_of_variability(database, tmp_path):
    with closing(sqlite3.connect(copied(database, tmp_path))) as connection, connection:
        connection.execute("UPDATE varmetric SET eta_int = 0, v_int = 0, f_datapoints = 1")
    page = report_page(Reader(f"sqlite:///{tmp_path / 'trap.db'}"), 1, n_candidates=1)
    assert 'data-item="values-eta-v"' not in page
    assert 'data-item="values-sky"' in page
