import io
import re

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image
from sqlalchemy import create_engine, text
from starlette.testclient import TestClient

from trap.config import DEFAULT_READING
from trap.db.image_records import noise_mesh
from trap.db.reader import Reader
from trap.web.app import make_app
from trap.web.cutting import read_overview
from trap.web.pixels import PIXELS, Memory
from trap.web.site import Site
from trap.workers.executors import SerialExecutor

PAGE = "/datasets/1/images/4"


@pytest.fixture(autouse=True)
def _pixels_are_read_here(monkeypatch):
    monkeypatch.setattr(PIXELS, "_process", SerialExecutor)
    monkeypatch.setattr(PIXELS, "_answers", Memory())


@pytest.fixture(scope="module")
def rows(site):
    """Return the measurements of the image: number, entry, kind, flags, and pixel."""
    query = """SELECT s.id, a.runcat, s.extract_type, s.flags, s.x_pix, s.y_pix FROM extractedsource s
        LEFT JOIN assocxtrsource a ON a.xtrsrc = s.id WHERE s.image = 4"""
    with site.reader.read() as connection:
        return connection.execute(text(query)).all()


@pytest.fixture(scope="module")
def url(site):
    with site.reader.read() as connection:
        return connection.execute(text("SELECT url FROM image WHERE id = 4")).scalar_one()


@pytest.fixture
def changed(editable):
    """Return a visitor of a copy of the database, and a function that changes the copy."""

    def change(statement, **values):
        with create_engine(editable.url).begin() as connection:
            connection.execute(text(statement), values)

    site = Site(url=editable.url, reader=Reader(editable.url))
    return TestClient(make_app(site), raise_server_exceptions=False), change


def marks(html):
    return re.findall(r'<a href="/datasets/1/sources/(\d+)" tabindex="-1"', html)


def levels(png):
    return np.asarray(Image.open(io.BytesIO(png)))[::-1]


def test_picture_shows_the_pixels_of_the_file(client, url):
    drawn = levels(client.get(f"{PAGE}/picture.png?low=-0.001&high=0.01&stretch=linear").content)
    data = fits.getdata(url).squeeze()
    assert drawn.shape == data.shape
    expected = 1 + 254 * np.clip((data + 1e-3) / 11e-3, 0, 1)
    assert np.abs(drawn - expected).max() < 0.51


def test_large_image_is_averaged_over_squares_and_the_rest_at_its_rim(url, site):
    with site.reader.read() as connection:
        look = connection.execute(text("SELECT url, freq_eff, stokes FROM image WHERE id = 4")).mappings().one()
    look = {**look, "taustart_ts": np.datetime64("2026-01-01T03:00:00")}
    overview = read_overview(look, side=27, kept=None, settings=DEFAULT_READING)
    # 128 pixels in at most 27 squares: 5 pixels each, and 3 in the last one.
    assert (overview.step, overview.pixels.shape) == (5, (26, 26))
    data = fits.getdata(url).squeeze().astype(float)
    assert overview.pixels[0, 1] == pytest.approx(data[:5, 5:10].mean(), rel=1e-5)
    assert overview.pixels[25, 25] == pytest.approx(data[125:, 125:].mean(), rel=1e-5)


def test_missing_pixels_do_not_spoil_their_square(tmp_path, url, site):
    header, data = fits.getheader(url), fits.getdata(url)
    data[..., :8, :8] = np.nan
    data[..., 8, 8] = np.nan
    path = tmp_path / "holes.fits"
    fits.writeto(path, data, header)
    look = {"url": str(path), "taustart_ts": np.datetime64("2026-01-01T03:00:00"), "freq_eff": 1.28e9, "stokes": 1}
    overview = read_overview(look, side=16, kept=None, settings=DEFAULT_READING)
    assert np.isnan(overview.pixels[0, 0])
    assert overview.pixels[1, 1] == pytest.approx(np.nanmean(data.squeeze()[8:16, 8:16]), rel=1e-5)


@pytest.mark.parametrize(
    ("show", "belongs"),
    [
        ("all", lambda _row: True),
        ("blind", lambda row: row.extract_type == 0),
        ("forced", lambda row: row.extract_type in (1, 3)),
        ("monitored", lambda row: row.extract_type == 2),
        ("flagged", lambda row: row.flags & ~32),
    ],
)
def test_detections_of_a_class_link_to_their_sources(client, rows, show, belongs):
    expected = {str(row.runcat) for row in rows if belongs(row) and row.runcat is not None}
    html = client.get(f"{PAGE}?show={show}").text
    assert set(marks(html)) == expected
    assert f"({len({row.id for row in rows if belongs(row)})})</h2>" in html


def test_candidates_and_new_sources_of_the_image_are_classes(client, site):
    with site.reader.read() as connection:
        query = "SELECT n.runcat FROM newsource n JOIN extractedsource s ON s.id = n.trigger_xtrsrc WHERE s.image = 4"
        candidates = [str(each) for each in connection.execute(text(query)).scalars()]
    assert candidates
    for show in ("candidates", "new"):
        assert marks(client.get(f"{PAGE}?show={show}").text) == candidates


def test_marks_lie_on_their_pixels(client, rows):
    html = client.get(f"{PAGE}?show=all").text
    assert 'viewBox="0 0 128 128"' in html
    for row in rows:
        # The middle of the first pixel of the file is half a pixel from the lower left corner.
        place = f'cx="{round(row.x_pix + 0.5, 2)}" cy="{round(128 - row.y_pix - 0.5, 2)}"'
        assert html.count(place) >= 2


def test_noise_map_has_the_cells_of_the_mesh(client, site):
    with site.reader.read() as connection:
        mesh = noise_mesh(connection, 4)
    drawn = levels(client.get(f"{PAGE}/noise.png").content)
    low, high = mesh.rms.min(), mesh.rms.max()
    np.testing.assert_allclose(drawn, np.round(1 + 254 * (mesh.rms - low) / (high - low)), atol=1)
    assert f"from {1e3 * low:.3g} to {1e3 * high:.3g} mJy/beam" in client.get(PAGE).text


def test_every_check_has_its_limit_and_setting(client):
    html = client.get(PAGE).text
    for check in ("rms", "beam", "negative", "crowding", "gain", "nan"):
        assert f"quality.check_{check} = " in html
    assert "at most 10 below the negative threshold" in html
    assert "no significant gain" in html


def test_rejected_image_has_its_reason_and_its_picture(changed):
    client, change = changed
    change("INSERT INTO rejection (image, rejectreason, comment) VALUES (4, 0, 'RMS <b>invalid</b> 7 > 5')")
    for table in ("rmsmap", "calibration"):
        change(f"DELETE FROM {table} WHERE image = 4")
    change("UPDATE image SET rms_qc = NULL WHERE id = 4")
    html = client.get(PAGE).text
    assert "Rejected: RMS invalid." in html
    assert "RMS &lt;b&gt;invalid&lt;/b&gt; 7 &gt; 5" in html
    assert "picture.png?stretch=asinh" in html
    assert client.get(f"{PAGE}/picture.png").status_code == 200
    assert client.get(f"{PAGE}/noise.png").status_code == 404


def test_gone_file_leaves_the_detections_on_an_empty_field(changed):
    client, change = changed
    change("UPDATE image SET url = '/gone/t3.fits' WHERE id = 4")
    html = client.get(PAGE).text
    assert "/gone/t3.fits does not exist any more" in html
    assert 'class="picture empty"' in html
    assert "picture.png" not in html
    assert len(marks(html)) == 9
    assert client.get(f"{PAGE}/picture.png").json()["error"].startswith("/gone/t3.fits: No such file")


def test_file_that_holds_another_image_now_is_not_shown(changed):
    client, change = changed
    change("UPDATE image SET url = (SELECT url FROM image WHERE id = 1) WHERE id = 4")
    assert "holds another image now" in client.get(f"{PAGE}/picture.png").json()["error"]


def test_list_without_an_image_is_drawn_on_the_sky(changed):
    client, change = changed
    change("UPDATE image SET deltax = NULL, deltay = NULL, source_list = url WHERE id = 4")
    change("UPDATE rmsmap SET nx = 0, ny = 0 WHERE image = 4")
    change("UPDATE extractedsource SET x_pix = NULL, y_pix = NULL WHERE image = 4")
    html = client.get(PAGE).text
    assert "is a list of sources without an image" in html
    assert 'viewBox="0 0 1000 1000"' in html
    assert len(marks(html)) == 9
    answer = client.get(f"{PAGE}/picture.png")
    assert (answer.status_code, answer.json()["error"].endswith("it has no pixels.")) == (404, True)


def test_images_before_and_after_it_are_those_in_time(client):
    html = client.get(f"{PAGE}?show=all").text
    assert 'rel="prev" class="button" href="/datasets/1/images/3?show=all"' in html
    assert 'rel="next" class="button" href="/datasets/1/images/5?show=all"' in html
    assert 'rel="prev"' not in client.get("/datasets/1/images/1").text


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("images/999999", 404),
        ("images/999999/picture.png", 404),
        ("images/999999/noise.png", 404),
        ("images/..%2F..%2Fetc%2Fpasswd/picture.png", 404),
        ("images/4?show=everything", 400),
        ("images/4?stretch=log", 400),
        ("images/4?colours=jet", 400),
        ("images/4/picture.png?low=5&high=1", 400),
    ],
)
def test_nonsense_is_refused(client, address, status):
    answer = client.get(f"/datasets/1/{address}")
    assert answer.status_code == status
    assert "Traceback" not in answer.text
