"""Runs without any setting, on made-up images with the traits of real ones: the right candidates and flux densities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from astropy.io import fits
from real_images import DATA, needs_real_images
from simulated_field import header_of
from sqlalchemy import create_engine, text

from trap import angles
from trap.config import PipelineConfig
from trap.images.beam import Beam
from trap.pipeline import run_locally
from trap.simulation.pixels import noise_transfer, render_noise, render_sources

ARCSEC = 1 / 3600
RA, DEC = 150.0, 30.0
SEED, SIZE, RMS = 5, 300, 1e-4
"""Seed of the pixels, their number along a side, and their noise in Jy/beam.

Noise alone exceeds 5 σ about once in 50 of these runs and is then a possible candidate too: with the seeds 1 to 4 and
6 to 8 this happened in 1 of 35 runs (seed 8, VLASS-like, 5.1 σ), so that not every seed passes.
"""
QUERIES = {
    "points": "SELECT a.runcat, r.wm_ra, r.wm_decl, e.f_int, e.f_int_err, e.extract_type, i.freq_eff, i.taustart_ts"
    " FROM assocxtrsource a JOIN extractedsource e ON a.xtrsrc = e.id JOIN image i ON e.image = i.id"
    " JOIN runningcatalog r ON r.id = a.runcat ORDER BY i.taustart_ts, i.freq_eff",
    "candidates": "SELECT DISTINCT r.wm_ra, r.wm_decl FROM newsource n JOIN runningcatalog r ON n.runcat = r.id",
}


@dataclass(frozen=True, kw_only=True)
class Telescope:
    """The beam (arcsec and degrees) and the pixels (arcsec) of a made-up telescope."""

    bmaj: float
    bmin: float
    bpa: float
    pixel: float

    def write(self, path, rng, hour, sources, freq=1.4e9):
        """Write an image of sources: offsets to the west and the north (arcsec), and flux densities (Jy)."""
        beam = Beam(bmaj=self.bmaj * ARCSEC, bmin=self.bmin * ARCSEC, bpa=self.bpa)
        form = beam.quadratic_form(-self.pixel * ARCSEC, self.pixel * ARCSEC)
        west, north, flux = np.array(sources).T
        # The reference pixel is the middle of the image.
        x, y = (SIZE - 1) / 2 + west / self.pixel, (SIZE - 1) / 2 + north / self.pixel
        data = render_sources(x, y, flux, beam_form=form, shape=(SIZE, SIZE))
        data = data + RMS * render_noise(rng, noise_transfer(form, (SIZE, SIZE)), (SIZE, SIZE))
        header = header_of(beam, SIZE)
        header.update(CDELT1=-self.pixel * ARCSEC, CDELT2=self.pixel * ARCSEC, CRVAL3=freq, RESTFRQ=freq)
        header.update({"DATE-OBS": f"2026-01-01T{hour:02d}:00:00", "TELESCOP": "SIMULATED"})
        fits.writeto(path, data.astype(np.float32), header)


def run(images, database, **options):
    """Run with the defaults; returns the summary and the rows of the queries."""
    url = f"sqlite:///{database}"
    execution = {"images": tuple(map(str, images)), "database": url, "n_workers": 1}
    summary = run_locally(PipelineConfig().with_options(execution=execution, **options))
    engine = create_engine(url)
    with engine.connect() as connection:
        rows = {name: connection.execute(text(query)).mappings().all() for name, query in QUERIES.items()}
    engine.dispose()
    return summary, rows


def near(rows, west, north, arcsec=2.0):
    """Rows of entries near an offset."""
    ra, dec = RA - west * ARCSEC / np.cos(np.radians(DEC)), DEC + north * ARCSEC
    return [row for row in rows if angles.separation(row["wm_ra"], row["wm_decl"], ra, dec) / ARCSEC < arcsec]


def assert_steady(rows, source, n_points):
    """Hold one entry to a point in every image, with the flux density within five errors."""
    points = near(rows["points"], *source[:2])
    assert len(points) == n_points
    assert len({point["runcat"] for point in points}) == 1
    for point in points:
        assert point["f_int"] == pytest.approx(source[2], abs=5 * point["f_int_err"])


def assert_all_accepted(summary):
    assert [image.result.against for image in summary.images if image.result.findings] == []
    assert summary.left_out == []


def spread(rng, n, reach, distance):
    """Offsets of n sources within a square, no two closer than a distance, and flux densities from 20 to 200 σ."""
    places = []
    while len(places) < n:
        place = rng.uniform(-reach, reach, 2)
        if all(np.hypot(*(place - other)) > distance for other in places):
            places.append(place)
    return [(*place, RMS * flux) for place, flux in zip(places, rng.uniform(20, 200, n), strict=True)]


TELESCOPES = {
    "MeerKAT-like": Telescope(bmaj=8.0, bmin=7.0, bpa=20.0, pixel=1.5),
    "VLASS-like": Telescope(bmaj=7.8, bmin=3.0, bpa=-50.0, pixel=1.0),
    "ASKAP-like": Telescope(bmaj=15.0, bmin=12.0, bpa=80.0, pixel=2.5),
}


@pytest.mark.parametrize("name", TELESCOPES)
def test_transient_is_the_only_candidate_and_its_light_curve_begins_before_it(name, tmp_path):
    telescope, rng = TELESCOPES[name], np.random.default_rng(SEED)
    reach = 0.44 * SIZE * telescope.pixel
    transient, *steady = spread(rng, 15, reach, 4 * telescope.bmaj)
    for hour in range(6):
        sources = [transient, *steady] if hour == 3 else steady
        telescope.write(tmp_path / f"t{hour}.fits", rng, hour, sources)
    summary, rows = run(sorted(tmp_path.glob("*.fits")), tmp_path / "trap.db")
    assert_all_accepted(summary)
    assert rows["candidates"] == near(rows["candidates"], *transient[:2])
    assert len(rows["candidates"]) == 1
    for source in steady:
        assert_steady(rows, source, 6)
    curve = near(rows["points"], *transient[:2])
    assert [point["extract_type"] for point in curve] == [1, 1, 1, 0, 1, 1]
    for hour, point in enumerate(curve):
        expected = transient[2] if hour == 3 else 0.0
        assert point["f_int"] == pytest.approx(expected, abs=5 * point["f_int_err"])


def test_source_in_four_bands_of_unlike_beams_is_one_entry(tmp_path):
    rng = np.random.default_rng(SEED)
    beams = {freq: Telescope(bmaj=18 / freq, bmin=9 / freq, bpa=10, pixel=2.2 / freq) for freq in (2.1, 3.0, 5.5, 9.0)}
    transient, *steady = spread(rng, 4, 25.0, 22.0)
    for hour in range(4):
        for freq, telescope in beams.items():
            sources = [transient, *steady] if hour >= 2 else steady
            telescope.write(tmp_path / f"t{hour}_{freq}.fits", rng, hour, sources, freq * 1e9)
    summary, rows = run(sorted(tmp_path.glob("*.fits")), tmp_path / "trap.db")
    assert_all_accepted(summary)
    assert len({point["runcat"] for point in rows["points"]}) == 4
    assert rows["candidates"] == near(rows["candidates"], *transient[:2])
    assert len(rows["candidates"]) == 1
    for source in (transient, *steady):
        assert_steady({"points": [p for p in rows["points"] if str(p["taustart_ts"]) >= "2026-01-01 02"]}, source, 8)


def test_new_source_one_beam_from_a_fading_core_is_a_candidate(tmp_path):
    telescope, rng = TELESCOPES["MeerKAT-like"], np.random.default_rng(SEED)
    others = spread(rng, 10, 180.0, 32.0)
    others = [source for source in others if np.hypot(*source[:2]) > 40]
    core, new = (0.0, 0.0), (-telescope.bmaj, 0.0)
    fluxes = [100 * RMS] * 3 + [100 * RMS / 2.8] * 3
    for hour, flux in enumerate(fluxes):
        there = [(*new, 80 * RMS)] if hour >= 3 else []
        telescope.write(tmp_path / f"t{hour}.fits", rng, hour, [(*core, flux), *there, *others])
    summary, rows = run(sorted(tmp_path.glob("*.fits")), tmp_path / "trap.db")
    assert_all_accepted(summary)
    assert len(rows["candidates"]) == 1
    assert len(near(rows["candidates"], *new)) == 1
    curve = near(rows["points"], *core)
    assert [point["f_int"] for point in curve] == pytest.approx(fluxes, rel=0.1)
    assert len({point["runcat"] for point in curve}) == 1


@needs_real_images
def test_simulated_askap_field_has_its_three_transients(tmp_path):
    summary, rows = run(sorted((DATA / "vast_simulated").glob("epoch*.fits")), tmp_path / "trap.db")
    assert summary.left_out == []
    transients = [(150.0205, -29.9778), (150.0207, -30.0000), (150.0038, -30.0000)]
    assert len(rows["candidates"]) == len(transients)
    for ra, dec in transients:
        distances = [angles.separation(row["wm_ra"], row["wm_decl"], ra, dec) for row in rows["candidates"]]
        assert min(distances) < 3 * ARCSEC


@needs_real_images
def test_afterglow_is_seen_in_images_with_long_beams(tmp_path):
    folder = DATA / "ami_grb130427a"
    images = [folder / f"AMILA_GRB130427A_{day}.fits" for day in ("20130429", "20130504")]
    # The two headers give bands that overlap; the tolerance joins narrower ones.
    summary, rows = run(images, tmp_path / "trap.db", persistence={"band_tolerance": 2e9})
    assert summary.left_out == []
    assert len({point["runcat"] for point in rows["points"]}) == 1
    assert [point["f_int"] for point in rows["points"]] == pytest.approx([0.914e-3, 0.508e-3], rel=0.2)
    assert [point["extract_type"] for point in rows["points"]] == [0, 0]
    other, _ = run(sorted((DATA / "ami_grb120422a").glob("*.fits")), tmp_path / "other.db")
    assert other.left_out == []
