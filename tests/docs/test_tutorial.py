"""The lessons of the tutorial work as they are printed, draw the pictures that they show, and agree with the truth."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Table
from matplotlib.testing.compare import compare_images
from pages import run_page

from trap.results import open_dataset

DOCS = Path(__file__).parents[2] / "docs"
LESSONS = sorted((DOCS / "tutorial").glob("[0-9]*.md"))
SHOWN = {
    name: page
    for page in LESSONS
    for name in re.findall(r"\]\(\.\./images/tutorial/([^)]*)\)", page.read_text(encoding="utf-8"))
}
"""The lesson of each picture."""
SCREENSHOTS = {"dataset.png", "source.png", "vetting.png"}
TOLERANCE = 4.0
"""Root mean square difference of the pixels, of 255: pictures of the pages have fewer colours."""
NEAR = 10 * u.arcsec


@pytest.fixture(scope="module")
def survey(prepared, reader, tmp_path_factory):
    """Folder of the lessons after the last one, with a copy of the database after each: ``1-survey.db`` and so on."""
    root = tmp_path_factory.mktemp("tutorial")
    for page in LESSONS:
        run_page(page, prepared, reader, root / "survey")
        if (root / "survey" / "trap.db").exists():
            shutil.copy(root / "survey" / "trap.db", root / "survey" / f"{page.stem}.db")
    return root / "survey"


@pytest.fixture(scope="module")
def truth(survey):
    return Table.read(survey / "images" / "truth.ecsv")


@pytest.fixture(scope="module")
def light_curves(survey):
    return Table.read(survey / "images" / "truth_lightcurves.ecsv")


def of_kind(truth, kind):
    return truth[truth["kind"] == kind]


def places(truth):
    return SkyCoord(truth["ra"], truth["dec"], unit="deg")


def distances(positions, others):
    return positions.match_to_catalog_sky(others)[1]


def test_pictures_are_small_and_none_is_left_over():
    sizes = {picture.name: picture.stat().st_size for picture in (DOCS / "images" / "tutorial").iterdir()}
    assert sizes.keys() == SHOWN.keys()
    assert max(sizes.values()) <= 120_000
    assert sum(sizes.values()) <= 800_000


@pytest.mark.own_workers
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", sorted(SHOWN.keys() - SCREENSHOTS))
def test_picture_is_what_the_lesson_draws(survey, name):
    drawn = shutil.copy(survey / name, survey / f"drawn-{name}")
    assert compare_images(str(DOCS / "images" / "tutorial" / name), str(drawn), tol=TOLERANCE) is None


def test_three_transients_have_high_scores_and_all_else_low_ones(survey, truth):
    transients = places(of_kind(truth, "transient"))
    for lesson, n_artefacts in (("3-candidates", 2), ("7-new-images", 4)):
        candidates = open_dataset(survey / f"{lesson}.db").transients()
        is_true = distances(candidates.coordinates, transients) < NEAR
        assert is_true.sum() == len(transients) == 3
        assert (~is_true).sum() == n_artefacts
        assert candidates["score"][is_true].min() > 0.9
        assert candidates["score"][~is_true].max() < 0.1
        assert all("ring" in signs for signs in candidates["signs"][~is_true])


def test_artefacts_surround_the_bright_source(survey, truth):
    bright = places(truth[[np.argmax([flux[0] for flux in truth["mean_flux"]])]])
    candidates = open_dataset(survey / "7-new-images.db").transients()
    artefacts = candidates[candidates["score"] < 0.1]
    assert (artefacts.coordinates.separation(bright[0]) < 4 * u.arcmin).all()


def test_cuts_of_eta_and_v_select_the_variables_the_transients_and_one_artefact(survey, truth):
    selected = open_dataset(survey / "4-variables.db").variables(min_eta=5, min_v=0.1)
    for kind in ("variable", "transient"):
        assert (distances(places(of_kind(truth, kind)), selected.coordinates) < NEAR).all()
    changing = places(truth[truth["kind"] != "steady"])
    assert (distances(selected.coordinates, changing) >= NEAR).sum() == 1
    assert len(selected) == 7


def test_transient_repeats_every_three_hours(survey, light_curves):
    curve = open_dataset(survey / "7-new-images.db").light_curve(candidate=3, band=1280)
    found = {point["taustart_ts"].datetime.hour for point in curve if point["kind"] == "detection"}
    injected = light_curves[(light_curves["name"] == "T0003") & (light_curves["band"] == 0) & (light_curves["snr"] > 5)]
    assert found == {4, 7, 10, 13} == set(injected["timestep"])


def test_spoilt_image_alone_is_left_out(survey):
    images = open_dataset(survey / "7-new-images.db").images()
    assert [Path(url).name for url in images["url"][images["reason"] != ""]] == ["t0005_b01.fits"]


def test_no_source_is_at_the_position_of_the_burst(truth):
    assert (places(truth).separation(SkyCoord(0.05, 45.05, unit="deg")) > 1 * u.arcmin).all()
