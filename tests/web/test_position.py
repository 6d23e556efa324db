"""The page of any position: a form, the progress of its measurement, and its light curve."""

from __future__ import annotations

import csv
import io
import re
import shutil
import time
from pathlib import Path

import pytest
from fits_in_this_process import held, in_this_process  # noqa: F401 (fixtures)
from sqlalchemy import text
from starlette.testclient import TestClient

from trap.cli import main
from trap.db.engine import make_engine, transaction
from trap.web import jobs as module
from trap.web.app import make_app

ADDRESS = "/datasets/1/position"
AT = {"at": "0h00m00.0s +45d00m00s"}


@pytest.fixture
def visit(site, in_this_process):  # noqa: F811
    """Return a visitor of a new read-only site."""
    with TestClient(make_app(site)) as client:
        yield client


def measure(client, query=AT):
    answer = client.post(f"{ADDRESS}/start", params=query)
    while client.get(f"{ADDRESS}/progress.json", params=query).json()["active"]:
        time.sleep(0.01)
    return answer


def test_position_is_measured_on_demand_and_its_light_curve_shown(visit, database, capsysbinary):
    assert 'name="at"' in visit.get(ADDRESS).text
    before = visit.get(ADDRESS, params=AT).text
    assert "Measure in 6 images" in before
    assert "read-only: the points are kept until its server ends" in before
    assert visit.get(f"{ADDRESS}/progress.json", params=AT).json()["state"] == ""
    measure(visit)
    page = visit.get(ADDRESS, params={"at": "0 45"}).text
    assert "6 of 6 images measured." in page
    assert "Measure" not in page.split("<main", 1)[1].split("Points")[0].replace("Measured", "")
    assert page.count('href="/datasets/1/images/') == 12  # a point and a cut-out of each
    assert "monitored position" in page  # the survey monitors its centre
    chart = visit.get(f"{ADDRESS}.json", params=AT).json()
    assert chart["facts"] == {"points": 6}
    assert visit.get(f"{ADDRESS}.json", params={**AT, "bands": ""}).json()["facts"] == {"points": 0}
    pictures = [address.replace("&amp;", "&") for address in re.findall(r'src="([^"]*/cutouts/[^"]*)"', page)]
    assert len(pictures) == 12  # a picture and its marks for each image
    assert visit.get(pictures[0]).content.startswith(b"\x89PNG")
    assert visit.get(pictures[1]).text.startswith("<svg")
    content = visit.get(f"{ADDRESS}/download", params=AT)
    assert content.headers["content-disposition"] == 'attachment; filename="dataset1_0.00000+45.00000.csv"'
    assert len(list(csv.DictReader(io.StringIO(content.text)))) == 6
    capsysbinary.readouterr()
    assert main(["lightcurve", "1", "0", "45", "--forced", "--csv", "--database", database]) == 0
    assert capsysbinary.readouterr().out == content.content
    for name in ("json", "votable", "fits", "ecsv"):
        assert visit.get(f"{ADDRESS}/download", params={**AT, "format": name}).status_code == 200


def test_place_without_images_and_impossible_requests_are_answered_clearly(visit):
    away = visit.get(ADDRESS, params={"at": "180 0"}).text
    assert "None of the 6 images of this dataset covers the position." in away
    nonsense = visit.get(ADDRESS, params={"at": "<script>alert(1)</script>"})
    assert nonsense.status_code == 400
    assert "is no position" in nonsense.text
    assert "<script>alert" not in nonsense.text
    wrong = {
        ("get", "", "x" * 201): 422,
        ("post", "/start", "nowhere"): 400,
        ("post", "/start", "nan nan"): 400,
        ("post", "/start", "0 91"): 400,
        ("get", "/download", "nowhere"): 400,
        ("get", ".json", "nowhere"): 400,
        ("get", "/progress.json", "1e400 0"): 400,
        ("get", "/start", "0 45"): 405,
        ("get", "/cutouts/1.svg", "nowhere"): 400,
        ("get", "/cutouts/1.png", "0 45"): 422,
        ("get", "/cutouts/99.svg", "0 45"): 404,
    }
    for (method, path, at), status in wrong.items():
        assert getattr(visit, method)(ADDRESS + path, params={"at": at}).status_code == status, (path, at)
    assert visit.get(f"{ADDRESS}/download", params={**AT, "format": "moc"}).status_code == 400
    assert visit.get("/datasets/9/position", params=AT).status_code == 404
    foreign = visit.post(f"{ADDRESS}/start", params=AT, headers={"origin": "http://elsewhere.example"})
    assert foreign.status_code == 403


def test_too_many_positions_are_refused_until_some_are_measured(visit, held, monkeypatch):  # noqa: F811
    monkeypatch.setattr(module, "MAX_WAITING", 0)
    busy = visit.post(f"{ADDRESS}/start", params=AT)
    assert busy.status_code == 429
    assert "try again" in busy.text
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    visit.post(f"{ADDRESS}/start", params=AT)
    held.wait_for_a_fit()
    running = visit.get(ADDRESS, params=AT).text
    assert '<meta http-equiv="refresh"' in running  # without scripts
    assert "of 6 images, starting" in running
    visit.post(f"{ADDRESS}/cancel", params=AT)
    held.let_go()
    while "Cancel" in (page := visit.get(ADDRESS, params=AT).text):
        time.sleep(0.01)
    assert "measured; cancelled" in page


@pytest.mark.usefixtures("in_this_process")
def test_editable_site_keeps_positions_and_unreadable_images_are_counted_with_reasons(editable, tmp_path):
    engine = make_engine(editable.url)
    with transaction(engine) as connection:
        urls = connection.execute(text("SELECT url FROM image ORDER BY id")).scalars().all()
        copy = tmp_path / Path(urls[0]).name
        shutil.copy(urls[0], copy)
        connection.execute(text("UPDATE image SET url = :url WHERE id = 1"), {"url": str(copy)})
        connection.execute(text("UPDATE image SET url = '/<b>gone</b>.fits' WHERE id = 2"))
    engine.dispose()
    copy.unlink()
    with TestClient(make_app(editable)) as client:
        assert "stored in the database" in client.get(ADDRESS, params=AT).text
        measure(client)
        page = client.get(ADDRESS, params=AT).text
        assert "2 images could not be read: No such file or directory (2). Measure again" in page
        assert "Measure again in 2 images" in page
        shutil.copy(urls[0], copy)
    with TestClient(make_app(editable)) as client:  # another server
        listed = client.get(ADDRESS).text
        assert "Kept positions" in listed
        assert "00h00m00.00s +45d00m00.0s" in listed
        measure(client)
        page = client.get(ADDRESS, params=AT).text
    assert "1 of 2" not in page
    assert "1 image could not be read" in page


@pytest.mark.usefixtures("in_this_process")
def test_visitor_enters_a_position_watches_the_progress_and_sees_the_light_curve(server, browser_page, held):  # noqa: F811
    browser_page.goto(f"{server}{ADDRESS}")
    browser_page.get_by_label("Position, ICRS").fill("0 45")
    browser_page.keyboard.press("Enter")
    browser_page.get_by_role("button", name="Measure in 6 images").click()
    bar = browser_page.get_by_role("progressbar", name="Measuring in the background")
    bar.wait_for()
    browser_page.get_by_text("of 6 images, starting").wait_for()
    held.let_go()
    browser_page.get_by_text("6 of 6 images measured.").wait_for()
    browser_page.locator("figure.chart canvas").first.wait_for()
    browser_page.get_by_label("limits", exact=True).uncheck()
    browser_page.wait_for_url("**/position?*limits=0*")
    assert browser_page.get_by_role("table").first.get_by_role("row").count() == 7
    browser_page.get_by_role("link", name="csv", exact=True).wait_for()
