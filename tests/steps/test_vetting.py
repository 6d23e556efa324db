"""The signs of candidates of a small survey, as a run stores them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from sqlalchemy import text

from trap.config import PipelineConfig
from trap.db import lightcurves
from trap.db.engine import make_engine, reading
from trap.pipeline import open_run
from trap.signs import Signs
from trap.simulation.survey import SurveyConfig, simulate_survey
from trap.vetting.score import named_signs
from trap.workers.executors import SerialExecutor

SURVEY = SurveyConfig(
    n_timesteps=3,
    n_bands=2,
    size=192,
    n_steady=0,
    n_variables=0,
    n_transients=0,
    band_spacing_hz=1e8,
    beam_fwhm_pix=4.0,
    beam_axis_ratio=1.0,
)
BRIGHT = (96.0, 96.0)
TRUE = (40.0, 150.0)
FLASH, SIDELOBE, BURST = 30.0, 25.0, 28.0
"""S/N of a transient in both bands, of an artefact and its companions, and of a source of one band."""
ARTEFACT = (126.0, 96.0)
ONE_BAND = (150.0, 30.0)
RMS = 1e-4


def beam(column, row, peak):
    y, x = np.mgrid[: SURVEY.size, : SURVEY.size]
    return peak * RMS * np.exp(-4 * math.log(2) * ((x - column) ** 2 + (y - row) ** 2) / SURVEY.beam_fwhm_pix**2)


def sidelobes(peak):
    """Draw peaks of either sign every 60° around the bright source, at one distance, with a mirrored one for each."""
    angles = np.radians(np.arange(0, 360, 60))
    signs = (1, -1, -1, 1, -1, -1)
    return sum(
        beam(BRIGHT[0] + 30 * math.cos(a), BRIGHT[1] + 30 * math.sin(a), sign * peak)
        for a, sign in zip(angles, signs, strict=True)
    )


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Three times in two bands: a bright source; at the last time sidelobes, and two transients."""
    survey = simulate_survey(tmp_path_factory.mktemp("survey"), SURVEY)
    # Steady sources, so that the image resembles the ones before.
    places = [(20, 20), (60, 30), (100, 20), (170, 80), (170, 170), (20, 90), (60, 60), (110, 160)]
    for path in survey.images:
        with fits.open(path, mode="update") as hdus:
            pixels = hdus[0].data[0, 0]
            pixels += beam(*BRIGHT, 3000.0) + sum(beam(*place, 60.0) for place in places)
            if path.name.startswith("t0002"):
                pixels += beam(*TRUE, FLASH)
                if path.name.endswith("b00.fits"):
                    pixels += sidelobes(SIDELOBE) + beam(*ONE_BAND, BURST)
    return survey.images


def run(url, images, **sections):
    config = PipelineConfig().with_options(
        execution={"database": url, "images": tuple(map(str, images))},
        source_extraction={"margin": 5},
        **sections,
    )
    with open_run(config) as dataset:
        for group in dataset.plan.groups:
            dataset.process_group(group, SerialExecutor())
        assert not dataset.summary().failures
        return dataset.dataset_id


def candidates(url, dataset):
    engine = make_engine(url)
    with reading(engine) as connection:
        table = lightcurves.transients(connection, dataset)
    engine.dispose()
    return table


def at(table, place, image="b00"):
    """Return the row of the candidate at a pixel, of one band."""
    header = fits.getheader(table["url"][0])
    x = header["CRPIX1"] - 1 + (table["wm_ra"] + 180) % 360 / header["CDELT1"] * math.cos(math.radians(45))
    x -= 180 / header["CDELT1"] * math.cos(math.radians(45))
    y = header["CRPIX2"] - 1 + (table["wm_decl"] - 45) / header["CDELT2"]
    (row,) = np.flatnonzero((np.hypot(x - place[0], y - place[1]) < 2) & [image in url for url in table["url"]])
    return {name: values[row] for name, values in table.items()}


@pytest.fixture
def table(database_url, images):
    return candidates(database_url, run(database_url, images))


def words(row):
    return named_signs({name: np.array([value]) for name, value in row.items()})[0].split(", ")


def test_signs_of_a_transient_and_of_a_sidelobe_are_stored_and_order_them(table):
    true, artefact = at(table, TRUE), at(table, ARTEFACT)
    assert table["score"].tolist() == sorted(table["score"], reverse=True)
    assert true["score"] > 0.99
    assert artefact["score"] < 0.1
    assert words(true) == [""]
    assert {"ring", "mirror"} <= set(words(artefact))
    # 30 pixels are 7.5 beams. The noise of S/N 25 is 4 %.
    assert artefact["bright_distance"] == pytest.approx(7.5, abs=0.1)
    assert artefact["bright_ratio"] == pytest.approx(3000 / SIDELOBE, rel=0.15)
    assert artefact["mirror_ratio"] == pytest.approx(1, abs=0.2)
    assert true["bright_distance"] == pytest.approx(math.hypot(56, 54) / 4, abs=0.1)
    assert true["brightest_ratio"] == pytest.approx(3000 / FLASH, rel=0.15)
    # The column of TRUE is 40.5 pixels from the side, and the margin takes 5 of them.
    assert true["edge_distance"] == pytest.approx((40.5 - 5) / 4, abs=0.1)
    assert true["n_in_image"] == np.count_nonzero(["b00" in url for url in table["url"]])


def test_transient_of_one_band_is_absent_from_the_other(table):
    found = at(table, ONE_BAND)
    # From 1.28 to 1.38 GHz an index of -4 leaves 0.74 of the flux density and error; the other band has 0 ± 1.1 RMS.
    least, error = ((1.28 / 1.38) ** 4 * found[name] / RMS for name in ("f_peak", "f_peak_err"))
    assert least == pytest.approx(0.74 * BURST, rel=0.15)
    assert found["absent_sigma"] == pytest.approx(least / math.hypot(1.1, error, 0.1 * least), abs=1.5)
    assert "one-band" in words(found)
    assert at(table, TRUE)["absent_sigma"] < 0


def test_timestep_without_candidates_examines_nothing(database_url, images):
    class Recorder(SerialExecutor):
        names: list[str] = []  # noqa: RUF012 (of this test)

        def submit(self, step, *arguments, **options):
            self.names.append(step.__name__)
            return super().submit(step, *arguments, **options)

    config = PipelineConfig().with_options(execution={"database": database_url, "images": tuple(map(str, images[:4]))})
    with open_run(config) as dataset:
        for group in dataset.plan.groups:
            dataset.process_group(group, Recorder())
    assert "measure_image" in Recorder.names
    assert "examine_candidates" not in Recorder.names


def test_candidate_stays_without_its_image(database_url, images, tmp_path, monkeypatch):
    """An image may be deleted as soon as it was measured; the signs that need its pixels are unknown then."""
    copies = [tmp_path / path.name for path in images]
    for path, copy in zip(images, copies, strict=True):
        copy.write_bytes(path.read_bytes())
    from trap.run import vetting  # noqa: PLC0415 (the module is changed)

    vet = vetting.vet_images

    def vet_later(*arguments):
        for copy in copies:
            Path(copy).unlink(missing_ok=True)
        return vet(*arguments)

    dataset_config = {"transient_search": {"backward_fits": 0}}
    monkeypatch.setattr(vetting, "vet_images", lambda *a: vet_later(*a) if len(a[1][0].new_sources) else vet(*a))
    table = candidates(database_url, run(database_url, copies, **dataset_config))
    row = at_of(table, images, TRUE)
    assert np.isnan([row["ring_sigma"], row["negative_ratio"], row["absent_sigma"]]).sum() >= 2
    assert row["bright_ratio"] == pytest.approx(100, rel=0.15)
    assert row["score"] > 0.99


def at_of(table, images, place):
    """Find a candidate of images that are gone by the header of another copy of them."""
    by_name = {path.name: str(path) for path in images}
    kept = {**table, "url": np.array([by_name[Path(url).name] for url in table["url"]], object)}
    return at(kept, place)


def test_candidates_of_earlier_versions_come_last_without_a_score(database_url, images):
    dataset = run(database_url, images)
    engine = make_engine(database_url)
    names = ", ".join(f"{name} = NULL" for name in Signs.columns())
    best = candidates(database_url, dataset)["newsource"][0]
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE newsource SET {names} WHERE id = {best}"))
    engine.dispose()
    table = candidates(database_url, dataset)
    assert table["newsource"][-1] == best
    assert np.isnan(table["score"][-1])
    assert named_signs(table)[-1] == ""
