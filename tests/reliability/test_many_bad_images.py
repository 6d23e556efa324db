"""Two hundred good images with fifty bad ones among them give what the good ones alone give."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from astropy.io import fits
from sqlalchemy import create_engine, text

from trap.config import PipelineConfig
from trap.dataset.outcomes import ExitCode
from trap.pipeline import open_run
from trap.simulation.survey import SurveyConfig, simulate_survey
from trap.workers.executors import SerialExecutor

N_GOOD, N_OF_EACH = 200, 5
SKY = SurveyConfig(n_timesteps=N_GOOD // 2, n_bands=2, size=64, n_steady=3, n_variables=1, n_transients=1)


def no_file(hdus, path):
    path.write_text("no image")


def cut_short(hdus, path):
    hdus.writeto(path)
    path.write_bytes(path.read_bytes()[:9000])


def without(*keywords):
    def spoil(hdus, path):
        for keyword in keywords:
            del hdus[0].header[keyword]
        hdus.writeto(path)

    return spoil


def with_keywords(**values):
    def spoil(hdus, path):
        hdus[0].header.update({name.replace("_", "-"): value for name, value in values.items()})
        hdus.writeto(path)

    return spoil


def with_pixels(make):
    def spoil(hdus, path):
        hdus[0].data = make(hdus[0].data).astype(np.float32)
        hdus.writeto(path)

    return spoil


def point_spread(data):
    """The transform of some baselines in the place of the sky."""
    u, v = np.random.default_rng(2).normal(0, 0.05, (2, 300))
    y, x = np.indices(data.shape[-2:]) - data.shape[-1] // 2
    return np.cos(2 * np.pi * (u[:, None, None] * x + v[:, None, None] * y)).mean(axis=0).reshape(data.shape)


KINDS = {
    "no FITS file": (no_file, "unreadable: no FITS file"),
    "truncated": (cut_short, "unreadable: the file is truncated"),
    "no beam": (without("BMAJ", "BMIN", "BPA"), "beam invalid: no restoring beam"),
    "no projection": (without("CTYPE1", "CTYPE2"), "unreadable: the first two axes are not"),
    "bad date": (with_keywords(DATE_OBS="01-JUL-8"), "unreadable: DATE-OBS = '01-JUL-8': not a date"),
    "no values": (with_pixels(lambda data: np.full_like(data, np.nan)), "contains NaN: no pixel has a finite value"),
    "flat": (with_pixels(np.ones_like), "data is flat: all pixels are 1"),
    "noisy": (with_pixels(lambda data: 1e8 * data), "RMS invalid: RMS value not within min and max"),
    "too elliptical, and so wide that it covers every band": (
        with_keywords(BMAJ=0.04, BMIN=0.003, CDELT3=1e9),
        "beam invalid: Beam too elliptical",
    ),
    "point-spread function": (with_pixels(point_spread), "point-spread function: peak 1"),
}


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    simulate_survey(folder, SKY)
    return sorted(folder.glob("t*.fits"))


@pytest.fixture(scope="module")
def bad(tmp_path_factory, good):
    """Ten kinds of bad images, by their paths; half of them in timesteps of their own."""
    folder, made = tmp_path_factory.mktemp("bad"), {}
    for kind, (spoil, _) in KINDS.items():
        for number in range(N_OF_EACH):
            path = folder / f"{kind.replace(' ', '_')}_{number}.fits"
            made[path] = kind
            step = len(made) * 2 % SKY.n_timesteps
            with fits.open(good[2 * step]) as hdus:
                if number % 2:
                    start = SKY.start + timedelta(seconds=(step + 0.5) * SKY.cadence_seconds)
                    hdus[0].header["DATE-OBS"] = start.replace(tzinfo=None).isoformat()
                spoil(hdus, path)
    assert len(made) == 50
    return made


def process(images, database):
    config = PipelineConfig().with_options(
        execution={"images": tuple(map(str, images)), "database": f"sqlite:///{database}"},
        source_extraction={"extraction_radius_pix": 0.0, "margin": 2, "back_size_x": 32, "back_size_y": 32},
    )
    with open_run(config) as dataset:
        executor = SerialExecutor()
        for group in dataset.plan.groups:
            dataset.process_group(group, executor)
        return dataset.summary()


def light_curves(database):
    """Everything measured and associated, without the numbers of rows."""
    query = text(
        "SELECT i.url, b.freq_central, e.extract_type, a.type, a.r, a.v_int, a.eta_int, a.f_datapoints,"
        " r.wm_ra, r.wm_decl, r.datapoints, e.ra, e.decl, e.f_peak, e.f_int, e.f_int_err, s.centre_ra, s.xtr_radius"
        " FROM assocxtrsource a JOIN extractedsource e ON a.xtrsrc = e.id JOIN image i ON e.image = i.id"
        " JOIN frequencyband b ON i.band = b.id JOIN runningcatalog r ON a.runcat = r.id"
        " JOIN skyregion s ON i.skyrgn = s.id ORDER BY i.taustart_ts, i.freq_eff, e.ra, e.decl, a.runcat, a.type"
    )
    candidates = text(
        "SELECT i.url, e.ra, n.newsource_type FROM newsource n JOIN extractedsource e ON n.trigger_xtrsrc = e.id"
        " JOIN image i ON e.image = i.id ORDER BY i.url, e.ra"
    )
    with create_engine(f"sqlite:///{database}").connect() as connection:
        return connection.execute(query).all(), connection.execute(candidates).all()


@pytest.mark.timeout(900)
def test_bad_images_cost_themselves_and_change_nothing(good, bad, tmp_path):
    alone = process(good, tmp_path / "alone.db")
    together = process([*bad, *good], tmp_path / "together.db")

    accepted = [image.result.metadata.url for image in together.images if image.result.rejection is None]
    assert sorted(accepted) == sorted(map(str, good))
    assert together.failures == ()
    assert together.exit_code is ExitCode.IMAGES_LEFT_OUT

    reasons = dict(together.left_out)
    assert set(reasons) == set(map(str, bad))
    for path, kind in bad.items():
        assert reasons[str(path)].startswith(KINDS[kind][1]), (kind, reasons[str(path)])

    assert alone.exit_code is ExitCode.COMPLETE
    curves, candidates = light_curves(tmp_path / "alone.db")
    assert len(curves) > 2 * N_GOOD
    assert light_curves(tmp_path / "together.db") == (curves, candidates)
