import pickle
from functools import partial

import numpy as np
import pytest
from astropy.table import Table
from sqlalchemy import create_engine, text
from starlette.testclient import TestClient

from trap.config import PipelineConfig
from trap.db.reader import Reader
from trap.errors import ConfigError
from trap.web.app import make_app
from trap.web.matches import find_matches
from trap.web.pixels import PIXELS, Memory
from trap.web.site import Site
from trap.workers.executors import SerialExecutor

POSITION = (359.9995, 10.0)


@pytest.fixture(autouse=True)
def _catalogues_are_read_here(monkeypatch):
    monkeypatch.setattr(PIXELS, "_process", SerialExecutor)
    monkeypatch.setattr(PIXELS, "_answers", Memory())


@pytest.fixture
def catalogue(tmp_path):
    """Write a catalogue with sources 5.3″ and 54″ east of the position, beyond RA 0, and one a degree away."""
    path = tmp_path / "survey <b>.csv"
    # 0.0015° and 0.0152° of right ascension, times cos 10°.
    Table({"ra": [0.001, 0.0147, 1.0], "dec": [10.0] * 3, "f_int": [0.5, 0.1, 9.0]}).write(path, format="ascii.csv")
    return path


def settings(**names):
    return PipelineConfig().with_options(calibration=names).calibration


def test_sources_of_a_catalogue_are_found_across_ra_zero_nearest_first(catalogue):
    step = partial(find_matches, settings(flux_catalogue=str(catalogue), flux_frequency=1.4e9), POSITION)
    matches = pickle.loads(pickle.dumps(step))()
    np.testing.assert_allclose([each.distance for each in matches], [5.318, 53.89], atol=0.01)
    assert (matches[0].flux, matches[0].frequency, matches[0].catalogue) == (0.5, 1.4e9, catalogue.name)


def test_one_file_for_both_uses_is_listed_once_with_its_flux(catalogue):
    both = settings(flux_catalogue=str(catalogue), position_catalogue=str(catalogue))
    assert [each.flux for each in find_matches(both, POSITION)] == [0.5, 0.1]


def test_missing_file_is_named_with_its_setting():
    with pytest.raises(ConfigError, match=r"calibration.flux_catalogue: /gone/nvss.fits: No such file"):
        find_matches(settings(flux_catalogue="/gone/nvss.fits"), POSITION)


def test_page_lists_them_on_demand_or_explains(editable, catalogue):
    with create_engine(editable.url).begin() as connection:
        statement = "UPDATE config SET value = :path WHERE section = 'calibration' AND key = 'flux_catalogue'"
        connection.execute(text(statement), {"path": str(catalogue)})
        connection.execute(text("UPDATE runningcatalog SET wm_ra = 359.9995, wm_decl = 10 WHERE id = 2"))
    client = TestClient(make_app(Site(url=editable.url, reader=Reader(editable.url))))
    html = client.get("/datasets/1/sources/2").text
    assert 'href="/datasets/1/sources/2/matches"' in html
    assert "survey &lt;b&gt;.csv" in html
    answer = client.get("/datasets/1/sources/2/matches").text
    assert "5.32" in answer
    assert "survey &lt;b&gt;.csv" in answer
    assert "no source within 60″" in client.get("/datasets/1/sources/1/matches").text
    catalogue.unlink()
    assert "No such file" in client.get("/datasets/1/sources/3/matches").text
    assert client.get("/datasets/1/sources/999/matches").status_code == 404
