import io
import pickle
import re
import shutil
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from PIL import Image
from processed_survey import process_survey
from sqlalchemy import create_engine, text
from starlette.testclient import TestClient

from trap.config import DEFAULT_READING
from trap.db.lightcurves import light_curve, transients
from trap.db.ratings import rate_candidate
from trap.db.reader import Reader
from trap.web.app import make_app
from trap.web.cutting import read_part
from trap.web.pictures import Scale
from trap.web.pixels import PIXELS, Memory
from trap.web.site import Site
from trap.web.source import external_links
from trap.workers.executors import SerialExecutor


@pytest.fixture(autouse=True)
def _pixels_are_read_here(monkeypatch):
    monkeypatch.setattr(PIXELS, "_process", SerialExecutor)
    monkeypatch.setattr(PIXELS, "_answers", Memory())


@pytest.fixture(scope="module")
def candidate(site):
    """Return the strongest candidate of the survey."""
    with site.reader.read() as connection:
        found = transients(connection, 1)
    return {name: values[0] for name, values in found.items()}


@pytest.fixture(scope="module")
def points(site, candidate):
    with site.reader.read() as connection:
        return light_curve(connection, int(candidate["runcat"]))


@pytest.fixture
def page(candidate):
    return f"/datasets/1/sources/{candidate['runcat']}"


def visitor(url):
    return TestClient(make_app(Site(url=url, reader=Reader(url))), raise_server_exceptions=False)


def pictures(html):
    """Return the addresses of the cut-outs in the list, without the one next to the light curve."""
    listed = html.split('class="cutouts"')[1]
    return [address.replace("&amp;", "&") for address in re.findall(r'src="([^"]+\.png[^"]*)"', listed)]


def levels(png):
    """Return the numbers of the colours of a picture, its first row at the bottom."""
    return np.asarray(Image.open(io.BytesIO(png)))[::-1]


def test_cutout_shows_the_pixels_of_the_file(client, page, candidate):
    answer = client.get(f"{page}/cutouts/{candidate['image']}.png?low=-0.001&high=0.01")
    assert answer.headers["content-type"] == "image/png"
    drawn = levels(answer.content)
    with fits.open(candidate["url"]) as hdus:
        data = hdus[0].data.squeeze()
        x, y = WCS(hdus[0].header, fix=False).celestial.all_world2pix(candidate["wm_ra"], candidate["wm_decl"], 0)
    middle = drawn.shape[0] // 2
    for dx, dy in ((0, 0), (5, 0), (0, 7), (-4, -3)):
        value = data[round(float(y)) + dy, round(float(x)) + dx]
        # Levels 1 to 255 from -1 to 10 mJy/beam.
        assert drawn[middle + dy, middle + dx] == pytest.approx(
            1 + 254 * np.clip((value + 1e-3) / 11e-3, 0, 1), abs=0.51
        )


def test_all_epochs_have_one_scale_that_reaches_the_brightest(client, page, points):
    addresses = pictures(client.get(page).text)
    assert len(addresses) == len(points["image"])
    scales = {urlsplit(address).query for address in addresses}
    assert len(scales) == 1
    values = {name: each[0] for name, each in parse_qs(scales.pop()).items()}
    assert float(values["high"]) == pytest.approx(points["f_peak"].max(), rel=1e-5)
    assert float(values["low"]) == pytest.approx(-3 * np.median(points["rms"]), rel=1e-5)
    # Without a scale in the address, the picture is the same.
    assert client.get(addresses[0]).content == client.get(addresses[0].split("?")[0]).content


def test_numbers_of_the_scale_are_on_the_page(client, page, points):
    html = client.get(page).text
    assert f"{1e3 * points['f_peak'].max():.3g} mJy/beam, linear" in html
    assert "mJy/beam, asinh" in client.get(f"{page}?stretch=asinh").text


@pytest.mark.parametrize(("order", "key"), [("brightest", "f_peak"), ("latest", "taustart_ts")])
def test_cutouts_come_in_the_chosen_order(client, page, points, order, key):
    images = [int(re.search(r"/(\d+)\.png", each)[1]) for each in pictures(client.get(f"{page}?show={order}").text)]
    assert images == points["image"][np.argsort(points[key])[::-1]].tolist()


def test_marks_point_to_the_source(client, page, candidate):
    png = levels(client.get(f"{page}/cutouts/{candidate['image']}.png").content)
    svg = client.get(f"{page}/cutouts/{candidate['image']}.svg")
    assert svg.headers["content-type"] == "image/svg+xml"
    n = png.shape[0]
    assert f'viewBox="0 0 {n} {n}"' in svg.text
    # The first of four lines begins to the right of the source, at its height; the peak is there in the picture.
    y, _x = np.unravel_index(np.argmax(png), png.shape)
    height = float(re.search(r'd="M[\d.]+ ([\d.]+)L', svg.text)[1])
    assert n - height - 0.5 == pytest.approx(y, abs=1)
    assert ">N</text>" in svg.text


def test_page_has_what_the_commands_print(client, page, candidate, points):
    html = client.get(page).text
    for words in ("likely", f"{candidate['newness']:.3g} σ", "earlier looks", "over the best earlier noise here"):
        assert words in html
    assert html.count("<tr data-image=") == len(points["image"])
    assert "limits, forced fits below 3 σ" in html
    assert f"{candidate['wm_ra']:.6f} {candidate['wm_decl']:+.6f}" in html
    assert f'lightcurves/download?format=csv&amp;entries={candidate["runcat"]}"' in html


def test_point_of_the_chart_is_shown_with_its_image(client, page, points):
    answer = client.get(f"{page}/epochs/{points['image'][0]}")
    assert f'href="/datasets/1/images/{points["image"][0]}"' in answer.text
    assert "forced" in answer.text
    assert "<html" not in answer.text


def test_neighbours_are_linked_with_their_separations(client, page, candidate, site):
    with site.reader.read() as connection:
        rows = connection.execute(text("SELECT id, wm_ra, wm_decl FROM runningcatalog")).all()
    html = client.get(page).text.split("Neighbours within")[1]
    place = np.radians([candidate["wm_ra"], candidate["wm_decl"]])
    for number, ra, dec in rows:
        there = np.radians([ra, dec])
        cosine = np.sin(place[1]) * np.sin(there[1]) + np.cos(place[1]) * np.cos(there[1]) * np.cos(place[0] - there[0])
        away = 3600 * np.degrees(np.arccos(min(cosine, 1.0)))
        if number != candidate["runcat"] and away < 300:
            assert (
                re.search(rf'sources/{number}">{number}</a></th><td class="number">([\d.]+)', html)[1][:3]
                in f"{away:.4g}"
            )


def test_previous_and_next_are_those_of_the_list(client, site):
    with site.reader.read() as connection:
        rows = connection.execute(
            text("SELECT runcat FROM varmetric WHERE eta_int >= 1 ORDER BY eta_int DESC")
        ).scalars()
        listed = list(rows)
    query = "min_eta=1&order=-eta"
    html = client.get(f"/datasets/1/sources/{listed[1]}?{query}").text
    assert f"2 of {len(listed)} sources" in html
    for kind, other in (("prev", listed[0]), ("next", listed[2])):
        assert f'rel="{kind}" class="button" href="/datasets/1/sources/{other}?min_eta=1&amp;order=-eta"' in html


@pytest.mark.parametrize(("table", "query"), [("sources", "min_eta=1&order=-eta"), ("transients", "")])
def test_link_of_a_table_leads_to_a_source_with_its_list(client, table, query):
    html = client.get(f"/datasets/1/{table}?{query}").text
    address = re.search(r'href="(/datasets/1/sources/\d+\?[^"]*)"', html)[1].replace("&amp;", "&")
    assert parse_qs(urlsplit(address).query)["from"] == [table]
    assert re.search(r"1 of \d+ (sources|candidates)", client.get(address).text)


def test_source_of_no_list_has_the_entries_before_and_after_it(client):
    html = client.get("/datasets/1/sources/2").text
    assert 'rel="prev" class="button" href="/datasets/1/sources/1"' in html
    assert 'rel="next" class="button" href="/datasets/1/sources/3"' in html


def test_links_to_others_have_the_position_and_load_nothing(client, page):
    for (name, address), host in zip(external_links(173.1367, -7.5), ("simbad", "ned", "aladin"), strict=True):
        parts = urlsplit(address)
        assert host in parts.netloc, name
        assert "173.136700" in parts.query
        assert "-7.500000" in parts.query
        assert "+" not in parts.query  # a plus would be a blank
    html = client.get(page).text
    assert set(re.findall(r'<a href="https://[^>]*rel="([^"]*)"', html)) == {"noreferrer noopener"}
    assert not re.search(r'(src|action|data-chart)="https?:', html)


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("sources/999999", 404),
        ("sources/999999/cutouts/1.png", 404),
        ("sources/999999/epochs/1", 404),
        ("sources/1/cutouts/999999.png", 404),
        ("sources/1/epochs/999999", 404),
        ("sources/-1", 404),
        ("sources/1%2F..%2F..%2Fetc", 404),
        ("sources/1/cutouts/..%2F..%2Fetc%2Fpasswd.png", 404),
        ("sources/99999999999999999999", 404),
        ("sources/1?show=worst", 400),
        ("sources/1?stretch=log", 400),
        ("sources/1?colours=jet", 400),
        ("sources/1?from=secrets", 400),
        ("sources/1?entries=one", 400),
        ("sources/1?min_eta=many", 400),
        ("sources/1?order=nothing", 400),
        ("sources/1?points=0", 422),
        ("sources/1?cutouts=1e9", 422),
        ("sources/1/cutouts/1.png?low=1&high=nan", 400),
        ("sources/1/cutouts/1.png?low=0&high=1&soft=-1", 400),
    ],
)
def test_nonsense_is_refused(client, address, status):
    answer = client.get(f"/datasets/1/{address}")
    assert answer.status_code == status
    assert "Traceback" not in answer.text


def test_pages_beyond_the_end_are_empty(client, page):
    assert client.get(f"{page}?points=1000&cutouts=1000").status_code == 200


def test_gone_file_is_a_sentence_with_the_remedy(database, tmp_path, candidate, page):
    client, engine = copied(database, tmp_path)
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE image SET url = '/gone/t3.fits' WHERE id = :id"), {"id": int(candidate["image"])}
        )
    html = client.get(page).text
    assert "/gone/t3.fits does not exist any more, and no pixels of it are kept" in html
    assert "execution.keep_pixels" in html
    answer = client.get(f"{page}/cutouts/{candidate['image']}.png")
    assert answer.status_code == 404
    assert "/gone/t3.fits" in answer.json()["error"]


def test_another_image_under_the_same_name_is_not_shown(database, tmp_path, candidate, points, page):
    client, engine = copied(database, tmp_path)
    other = str(points["url"][0])
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE image SET url = :url WHERE id = :id"), {"url": other, "id": int(candidate["image"])}
        )
    assert "not the image of" in client.get(f"{page}/cutouts/{candidate['image']}.png").json()["error"]


def test_hostile_texts_are_escaped(database, tmp_path, candidate, page):
    client, engine = copied(database, tmp_path)
    evil = "<script>alert(1)</script>\u202e"
    with engine.begin() as connection:
        connection.execute(text("UPDATE image SET url = :evil, telescope = :evil"), {"evil": f"/data/{evil}.fits"})
        connection.execute(
            text("UPDATE monitor SET runcat = :runcat, name = :evil"),
            {"evil": evil, "runcat": int(candidate["runcat"])},
        )
    for address in (page, f"{page}/epochs/{candidate['image']}", f"/datasets/1/images/{candidate['image']}"):
        html = client.get(address).text
        assert "<script>alert" not in html
        assert "&lt;script&gt;" in html
        assert "\u202e" not in html


def test_kept_pixels_are_shown_when_the_files_have_gone(tmp_path):
    url = process_survey(tmp_path, n_timesteps=3, keep_pixels="cutouts")
    shutil.rmtree(tmp_path / "images")
    client = visitor(url)
    with Reader(url).read() as connection:
        watched = connection.execute(text("SELECT runcat FROM monitor")).scalar_one()
        curve = light_curve(connection, watched)
    html = client.get(f"/datasets/1/sources/{watched}").text
    assert "does not exist any more" not in html
    png = levels(client.get(f"/datasets/1/sources/{watched}/cutouts/{curve['image'][0]}.png").content)
    assert png.shape == (67, 67)
    assert len(np.unique(png)) > 20
    # Whole images are not kept.
    html = client.get(f"/datasets/1/images/{curve['image'][0]}").text
    assert "no pixels of it are kept" in html


def test_a_worker_process_can_read_a_cutout(candidate):
    look = {name: candidate[name] for name in ("url", "taustart_ts", "freq_eff", "stokes")}
    position = (float(candidate["wm_ra"]), float(candidate["wm_decl"]))
    step = pickle.loads(
        pickle.dumps(partial(read_part, look, position, [position], kept=None, settings=DEFAULT_READING))
    )
    part = pickle.loads(pickle.dumps(step()))
    np.testing.assert_allclose(part.neighbours[0], part.position)
    assert Scale(low=0, high=1).shares(part.pixels).shape == part.pixels.shape


def test_ratings_are_listed_with_their_tags_and_notes(database, tmp_path, candidate, page):
    client, engine = copied(database, tmp_path)
    with engine.begin() as connection:
        rate_candidate(
            connection, 1, int(candidate["newsource"]), "true", rater="Ada", now=datetime(2026, 1, 2, tzinfo=UTC),
            tags=["flaring star"], note="<b>look</b>",
        )  # fmt: skip
    html = client.get(page).text
    assert "<strong>true</strong> by Ada, 2026-01-02T00:00:00 UTC: flaring star – &lt;b&gt;look&lt;/b&gt;" in html


PLACE_OF_A_POINT = """image => {
  for (const view of Bokeh.index.roots) for (const renderer of view.model.renderers ?? []) {
    const source = renderer.data_source;
    const row = [...(source?.data?.image ?? [])].map(Number).indexOf(image);
    if (row < 0 || !renderer.glyph.x) continue;
    const value = name => source.get_column(renderer.glyph[name].field)[row];
    const box = view.el.getBoundingClientRect();
    return [box.left + view.frame.x_scale.compute(value("x")), box.top + view.frame.y_scale.compute(value("y"))];
  }
}"""
"""Script that returns the place of a point of the chart on the screen."""


def test_click_on_a_point_shows_its_cutout_and_leads_to_its_image(browser_page, server, page, points):
    from playwright.sync_api import expect  # noqa: PLC0415 (slow)

    browser_page.goto(f"{server}{page}")
    shown = browser_page.locator("#epoch figure")
    assert shown.get_attribute("id") == f"image-{points['image'][np.argmax(points['f_peak'])]}"
    browser_page.wait_for_selector("figure.chart .chart-plot > *")
    browser_page.locator("figure.chart").scroll_into_view_if_needed()
    browser_page.wait_for_selector("figure.chart:not([aria-busy])")
    last = int(points["image"][-1])
    browser_page.mouse.click(*browser_page.evaluate(PLACE_OF_A_POINT, last))
    browser_page.wait_for_selector(f"#epoch #image-{last}")
    expect(browser_page.locator("#epoch img").first).to_have_js_property("naturalWidth", 67)
    browser_page.get_by_label("marks:").uncheck()
    assert not browser_page.locator("#epoch .marks").is_visible()
    browser_page.locator(f"a[data-epoch='{points['image'][0]}']").press("Enter")
    browser_page.wait_for_selector(f"#epoch #image-{points['image'][0]}")
    browser_page.locator("#epoch figcaption a").click()
    browser_page.wait_for_url(f"**/images/{points['image'][0]}")
    expect(browser_page.locator(".picture img")).to_have_js_property("naturalWidth", 128)


def copied(database, folder):
    """Return a visitor of a copy of the database, and an engine that may change it."""
    copy = folder / "copy.db"
    shutil.copy(Path(database.removeprefix("sqlite:///")), copy)
    url = f"sqlite:///{copy}"
    return visitor(url), create_engine(url)
