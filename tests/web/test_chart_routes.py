"""Addresses of charts: choices in the query, and failures without traces."""

import pytest
from results_survey import HOSTILE, make_survey, url_of
from starlette.testclient import TestClient

from trap.db.engine import make_engine
from trap.db.reader import Reader
from trap.web.app import make_app
from trap.web.site import Site


@pytest.fixture(scope="module")
def survey(_migrated_sqlite, tmp_path_factory):
    """Return a visitor of a survey with hostile names, in two bands."""
    path = tmp_path_factory.mktemp("charts") / "trap.db"
    path.write_bytes(_migrated_sqlite.read_bytes())
    engine = make_engine(f"sqlite:///{path}")
    url = url_of(make_survey(engine).engine)
    engine.dispose()
    return TestClient(make_app(Site(url=url, reader=Reader(url))), raise_server_exceptions=False)


def answer(client, path, status=200):
    response = client.get(f"/datasets/1/{path}")
    assert response.status_code == status, response.text
    return response.json()


def test_light_curve_has_all_points_of_both_bands(survey):
    found = answer(survey, "sources/1/light-curve.json")
    assert found["facts"] == {"points": 6}


@pytest.mark.parametrize("query", ["bands=140", "bands=140&bands=140.5", "bands=140,140.1", "stokes=I&bands=140"])
def test_bands_are_chosen_by_frequency(survey, query):
    assert answer(survey, f"sources/1/light-curve.json?{query}")["facts"] == {"points": 3}


def test_empty_choice_of_bands_shows_none(survey):
    assert answer(survey, "sources/1/light-curve.json?bands=")["facts"] == {"points": 0}


def test_all_choices_have_a_place_in_the_address(survey):
    query = "flux=peak&calibrated=raw&limits=0&forced=0&snr=5&time=days&axis=log"
    # Of the transient at 0.7 Jy, whose forced fits are limits, one point remains.
    assert answer(survey, f"sources/3/light-curve.json?{query}")["facts"]["points"] == 1


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("sources/99/light-curve.json", 404, "dataset 1 has no source 99"),
        ("sources/1/light-curve.json?bands=33", 400, "band 33 MHz"),
        ("sources/1/light-curve.json?stokes=Z", 400, "stokes Z"),
        ("sources/1/light-curve.json?snr=nan", 422, "snr"),
        ("sources/1/light-curve.json?flux=<script>", 422, "flux"),
        ("sources/99999999999999999999/light-curve.json", 404, "runcat"),
        ("charts/nothing.json", 404, "name"),
        ("eta-v.json?band=abc", 400, "band"),
        ("eta-v.json?sigma_eta=inf", 422, "sigma_eta"),
    ],
)
def test_impossible_choices_are_named(survey, path, status, message):
    assert message in answer(survey, path, status)["error"]


@pytest.mark.parametrize("name", ["sky", "noise", "gain", "shift", "counts"])
def test_dataset_has_charts(survey, name):
    found = answer(survey, f"charts/{name}.json")
    assert found["item"]["doc"]["roots"]
    assert HOSTILE not in str(found["notes"])


def test_charts_hold_no_code(survey):
    texts = [survey.get(f"/datasets/1/{path}").text for path in ("eta-v.json", "charts/sky.json")]
    assert not any("CustomJS" in text for text in texts)
