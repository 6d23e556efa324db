"""Runs over images whose flux scale and positions are wrong by known amounts, with the settings left alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from sqlalchemy import create_engine, text

from trap.catalogues import MonitorPositions
from trap.config import PipelineConfig
from trap.db.calibrations import calibrations
from trap.db.comparison import Side, compare_datasets
from trap.db.upkeep import check_database
from trap.pipeline import run_locally
from trap.simulation.comparison import nearest
from trap.simulation.survey import SurveyConfig, simulate_survey

N_TIMES = 16
SHIFT = 4.0
RADIUS = 10 / 3600
"""Distance of positions of one source: less than half a beam, more than any shift."""
OFF = {"calibration": {"positions": "off", "flux_scale": "off"}}
"""Settings without calibration."""


@dataclass
class Run:
    """A database and what it holds of the sources of the truth."""

    engine: object
    calibrations: dict
    entries: dict


def columns_of(connection, query):
    """Return the columns of a query; NULL is NaN."""
    result = connection.execute(query)
    rows = [[np.nan if value is None else value for value in row] for row in result]
    return {name: np.array([row[place] for row in rows]) for place, name in enumerate(result.keys())}


def run(folder, name, images, monitors=None, **options):
    url = f"sqlite:///{folder / name}.db"
    config = PipelineConfig().with_options(
        execution={"images": tuple(map(str, images)), "database": url, "n_workers": 1}, **options
    )
    run_locally(config, monitors=monitors)
    engine = create_engine(url)
    with engine.connect() as connection:
        entries = columns_of(
            connection,
            text(
                "SELECT r.id, r.wm_ra, r.wm_decl, r.mon_src, v.eta_int, v.f_datapoints, v.modulation, v.lightcurve_wavg"
                " FROM runningcatalog r JOIN varmetric v ON v.runcat = r.id"
            ),
        )
        return Run(engine, calibrations(connection, 1), entries)


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """A field with gains that scatter by a tenth, shifts of a sixth of the beam, and one bright variable."""
    config = SurveyConfig(
        seed=11, n_timesteps=N_TIMES, n_bands=1, size=384, n_steady=110, steady_sigma=(15.0, 400.0), n_transients=0,
        n_variables=1, variable_sigma=(600.0, 601.0), modulation=(0.2, 0.201), gain_scatter=0.1, shift_arcsec=SHIFT,
    )  # fmt: skip
    return simulate_survey(tmp_path_factory.mktemp("calibrated"), config)


@pytest.fixture(scope="module")
def calibrated(survey):
    steady = survey.truth.sources[survey.truth.sources["kind"] == "steady"]
    chosen = np.argsort(steady["max_snr"].reshape(len(steady), -1)[:, 0])[-3:]
    watched = MonitorPositions.of(
        ra=np.array(steady["ra"])[chosen], dec=np.array(steady["dec"])[chosen], name=np.array(["a", "b", "c"])
    )
    return run(survey.directory, "calibrated", survey.images, watched)


@pytest.fixture(scope="module")
def uncalibrated(survey):
    return run(survey.directory, "uncalibrated", survey.images, **OFF)


def of_kind(run, survey, kind):
    """Return the entries of the sources of a kind, with the rows of these sources in the truth."""
    truth = survey.truth.sources
    rows = nearest(
        run.entries["wm_ra"], run.entries["wm_decl"], np.array(truth["ra"]), np.array(truth["dec"]), radius=RADIUS
    )
    chosen = (rows >= 0) & (np.array(truth["kind"])[rows] == kind) & (run.entries["mon_src"] == 0)
    return {name: values[chosen] for name, values in run.entries.items()}, rows[chosen]


def test_gains_and_shifts_are_recovered_with_their_errors(survey, calibrated):
    truth, found = survey.truth.images, calibrated.calibrations
    assert found["flux_applied"][1:].all()
    assert found["position_applied"][1:].all()
    assert found["flux_note"][0] == "the first image of its band sets the flux scale"
    # Gains and shifts are known relative to their means.
    pulls = {"gain": (found["gain"] / found["gain"].mean() - truth["gain"] / truth["gain"].mean()) / found["gain_err"]}
    for name in ("shift_ew", "shift_ns"):
        difference = (found[name] - found[name].mean()) - (truth[name] - truth[name].mean())
        pulls[name] = difference / found[f"{name}_err"]
    for name, values in pulls.items():
        assert abs(np.mean(values)) < 0.3, name
        assert 0.55 < np.std(values) < 1.5, name
    relative = found["gain"] / found["gain"].mean() / (truth["gain"] / truth["gain"].mean())
    assert np.abs(relative - 1).max() < 0.005


def test_steady_sources_are_steady_and_the_variable_keeps_its_modulation(survey, calibrated, uncalibrated):
    steady, _ = of_kind(calibrated, survey, "steady")
    spoilt, _ = of_kind(uncalibrated, survey, "steady")
    assert np.median(spoilt["eta_int"]) > 3
    # Of χ²/15 the mean of 110 values is 1 ± 0.035.
    assert steady["eta_int"].mean() == pytest.approx(1, abs=0.1)
    assert steady["eta_int"].max() < 3.5
    variable, rows = of_kind(calibrated, survey, "variable")
    expected = survey.truth.sources["modulation"][rows]
    assert variable["modulation"] == pytest.approx(np.array(expected), rel=0.03)
    assert len(calibrated.entries["id"]) <= len(survey.truth.sources) + 3 + 2


def test_monitored_positions_are_measured_where_the_images_show_them(survey, calibrated):
    is_watched = calibrated.entries["mon_src"] == 1
    assert is_watched.sum() == 3

    assert (calibrated.entries["f_datapoints"][is_watched] == N_TIMES).all()
    steady, _ = of_kind(calibrated, survey, "steady")
    rows = nearest(
        calibrated.entries["wm_ra"][is_watched], calibrated.entries["wm_decl"][is_watched], steady["wm_ra"],
        steady["wm_decl"], radius=RADIUS,
    )  # fmt: skip
    ratio = calibrated.entries["lightcurve_wavg"][is_watched] / steady["lightcurve_wavg"][rows]
    assert ratio.mean() == pytest.approx(1, abs=0.05)
    # The first images are too few to tell how far the first one, which sets the positions, is off itself.
    assert calibrated.entries["modulation"][is_watched].max() < 0.06


def test_raw_and_corrected_values_are_both_stored(calibrated):
    with calibrated.engine.connect() as connection:
        rows = columns_of(
            connection,
            text(
                "SELECT e.f_int, e.f_int_raw, e.ra, e.ra_raw, e.gain_err, c.gain, c.flux_applied FROM extractedsource e"
                " JOIN calibration c ON c.image = e.image WHERE e.f_int IS NOT NULL"
            ),
        )
    assert check_database(calibrated.engine) == []
    applied = rows["flux_applied"] == 1
    assert np.isnan(rows["f_int_raw"][~applied].astype(float)).all()
    ratio = rows["f_int_raw"][applied].astype(float) / rows["f_int"][applied].astype(float)
    assert ratio == pytest.approx(rows["gain"][applied], rel=0.02)
    assert (rows["gain_err"][applied].astype(float) > 0).all()


def test_a_series_in_several_runs_has_the_same_numbers(survey, calibrated):
    watched = None
    for n_images in (1, 3, 9, N_TIMES):
        parts = run(survey.directory, "in_parts", survey.images[:n_images], watched)
    whole = run(survey.directory, "whole", survey.images)
    with parts.engine.connect() as first, whole.engine.connect() as second:
        assert list(compare_datasets(Side(first, 1), Side(second, 1))) == []


def test_perfect_images_are_left_as_they_are(tmp_path):
    config = SurveyConfig(
        seed=4, n_timesteps=8, n_bands=1, size=320, n_steady=60, steady_sigma=(10.0, 300.0), n_variables=0,
        n_transients=0,
    )  # fmt: skip
    survey = simulate_survey(tmp_path, config)
    found = run(tmp_path, "perfect", survey.images).calibrations
    assert not found["flux_applied"].any()
    assert not found["position_applied"].any()
    formal = 0.6 * config.beam_fwhm_pix * config.pixel_scale_arcsec / 20
    assert (found["ew_sys_err"][1:].astype(float) < 0.1 * formal).all()
    assert all(found["flux_note"])


@pytest.mark.parametrize("n_steady", [0, 2, 5])
def test_fields_of_few_sources_say_so(n_steady, tmp_path):
    config = SurveyConfig(
        seed=2, n_timesteps=3, n_bands=1, size=192, n_steady=n_steady, steady_sigma=(40.0, 90.0), n_variables=0,
        n_transients=0, gain_scatter=0.2, shift_arcsec=5.0,
    )  # fmt: skip
    survey = simulate_survey(tmp_path, config)
    found = run(tmp_path, "few", survey.images).calibrations
    is_applied = found["flux_applied"][1:].astype(bool)
    if n_steady < 5:
        assert not is_applied.any()
        assert all("at least 5 (calibration.min_matches)" in note for note in found["position_note"][1:])
    else:
        assert (found["n_position_matches"][1:] == 5).all()
    numbers = np.array(found["gain"][1:][is_applied], float)
    assert np.isfinite(numbers).all()
