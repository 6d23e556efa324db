"""Calibrated images in the database: the same values come back, and a resumed run goes on with them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from busy_dataset import FIELD, MESH, REJECTION, forced, state_of
from made_up_survey import sources
from sqlalchemy import func, select, text

from trap.association.noise_history import NoiseTiles, tiles_within
from trap.calibration.displacement import Displacement
from trap.calibration.records import Astrometry, FluxScale, ImageCalibration
from trap.db import upkeep
from trap.db.calibrations import calibrations, load_calibration
from trap.db.comparison import Side, compare_datasets
from trap.db.dataset_state import load_state
from trap.db.deletion import delete_dataset
from trap.db.engine import reading, transaction
from trap.db.lightcurves import light_curve
from trap.db.limits import upper_limits
from trap.db.models import Calibration
from trap.db.recomputation import wrong_metrics
from trap.db.upkeep import check_database
from trap.steps.varmetric import refresh_varmetric

FIELD_OF_DISPLACEMENTS = Displacement(
    ra=123.0,
    dec=10.0,
    scale=1 / 3,
    shift=(1e-4 / 3, -2e-4 / 7),
    linear=(1e-6 / 3, 0.0, -1e-7, 2e-6 / 9),
    knots=((0.1, -0.2), (1 / 3, 2 / 3)),
    width=0.7,
    weights=((1e-5 / 3, 0.0), (-1e-6 / 7, 1e-6)),
)
RELATIVE_ERROR = (0.01 / 3) / (11 / 9)
APPLIED = ImageCalibration(
    n_calibrators=41,
    astrometry=Astrometry(
        reference="running catalogue",
        n_matches=40,
        model="field",
        is_applied=True,
        shift_ew=1 / 3,
        shift_ns=-2 / 7,
        shift_ew_err=0.1 / 3,
        shift_ns_err=0.1 / 7,
        scatter_before=1.7,
        scatter=0.2 / 3,
        ew_sys_err=0.1 / 9,
        ns_sys_err=0.0,
        displacement=FIELD_OF_DISPLACEMENTS,
    ),
    flux_scale=FluxScale(
        reference="running catalogue", n_matches=39, is_applied=True, gain=11 / 9, gain_err=0.01 / 3, scatter=0.02 / 3
    ),
    compactness=1 + 1e-3 / 3,
    compactness_err=1e-3,
    patch_gain=0.04,
    patch_snr=2.5,
    patch_ra=359.9,
    patch_dec=-1e-9,
)
MEASURED = ImageCalibration(
    n_calibrators=6,
    astrometry=Astrometry(n_matches=6, model="shift", shift_ew=0.0, shift_ns=0.25, note="shift of 1.2σ"),
    flux_scale=FluxScale(gain=0.95, gain_err=0.05, offset=1e-3 / 3, offset_err=2e-3, note="gain of 1σ"),
)
FITTED = ("x", "y", "ra", "dec", "f_peak", "f_peak_err", "f_int", "f_int_err", "rms", "semimajor", "semiminor", "pa")


def image(day, found, **changes):
    """An image that was searched, with tiles of noise; a part of them is finer."""
    tiles, ra, _ = tiles_within(6, 123.0, 10.0, 5.0)
    finer = NoiseTiles(order=7, tile=4 * tiles[:3], rms=np.full(3, 1e-4 / 3, np.float32))
    noise = np.where(ra > 124.0, 2e-4 / 7, 1e-4 / (3 + day)).astype(np.float32)
    searched = NoiseTiles(order=6, tile=tiles[3:], rms=noise[3:], finer=(finer,))
    return replace(FIELD.image(day, found, **changes), background=MESH, noise_tiles=searched)


def process_series(dataset, *, reload=False):
    """Four days: a calibrated image and its rejected companion, one without significance, and two calibrated ones."""
    for day, calibration in enumerate((APPLIED, MEASURED, APPLIED, APPLIED)):
        found = sources([122.0, 124.0 + day, 123.0], [10.0, 9.0, 11.0], flux=[1 / 3, 0.7 + day, 0.1])
        companions = [image(day, found, freq=180e6).rejected(REJECTION)] if day == 0 else []
        dataset.process(
            image(day, calibration.correct(found)),
            *companions,
            forced=lambda asked, done=calibration: done.correct_fits(forced(asked), asked),
            calibration=calibration,
        )
        if reload:
            dataset.reload()
    return dataset


@pytest.fixture
def series(make_dataset):
    return process_series(make_dataset((123.5, 10.5)))


def whole_state(state):
    """The state with its calibrations, the noise on the sky, and the images that new sources are fitted in."""
    noise = {
        key: {
            (order, number): (area.tile.tobytes(), area.looked[["rms", "n", "depth"]].tolist())
            for order, layer in of.items()
            for number, area in layer.areas.items()
        }
        for key, of in state.looks._noise._layers.items()
    }
    histories = {
        key: (one.gains, one.shifts_ew, one.shifts_ns, repr(list(one.recent)))
        for key, one in state.calibrations._series.items()
    }
    earlier = [
        (one.url, repr(one.calibration), *(getattr(one.sources, name).tobytes() for name in FITTED))
        for one in state.earlier_images
    ]
    histories["mean"] = state.calibrations.mean_shift(0)
    return {**state_of(state), "noise": noise, "calibrations": histories, "earlier": earlier}


def test_loaded_state_of_calibrated_images_equals_the_state_in_memory_to_the_last_bit(series, ask, config):
    ours, theirs = whole_state(series.state), whole_state(ask(load_state, series.id, config))
    assert len(ours["earlier"]) == 4
    assert ours == theirs


def test_resumed_run_of_calibrated_images_ends_in_the_state_of_an_uninterrupted_one(make_dataset, ask):
    unbroken, broken = process_series(make_dataset()), process_series(make_dataset(), reload=True)
    ours, theirs = whole_state(unbroken.state), whole_state(broken.state)
    for name in ("fluxes", "noise", "calibrations", "earlier"):
        assert ours[name] == theirs[name]
    with reading(unbroken.engine) as connection:
        sides = Side(connection, unbroken.id), Side(connection, broken.id)
        assert compare_datasets(*sides) == []


@pytest.mark.parametrize("calibration", [APPLIED, MEASURED, ImageCalibration()])
def test_calibration_comes_back_to_the_last_bit(make_dataset, ask, calibration):
    dataset = make_dataset()
    dataset.process(image(0, sources(122.0, 10.0)), calibration=calibration)
    (number,) = dataset.column("SELECT id FROM image")
    # Unlike equality, this holds for NaN too.
    assert repr(ask(load_calibration, number)) == repr(calibration)


def test_calibrations_are_listed_in_order_of_time(series, ask):
    listed = ask(calibrations, series.id)
    assert listed["url"].tolist() == [f"day{day}-140000000.0" for day in range(4)]
    assert listed["gain"].tolist() == [11 / 9, 0.95, 11 / 9, 11 / 9]
    assert listed["flux_applied"].tolist() == [True, False, True, True]
    assert listed["position_note"].tolist() == ["", "shift of 1.2σ", "", ""]
    assert np.isnan(listed["position_scatter"]).tolist() == [False, True, False, False]
    assert listed["patch_decl"][0] == -1e-9
    of_image = {"image", "url", "taustart_ts", "freq_central", "band", "stokes"}
    assert set(listed) == of_image | set(Calibration.__table__.columns.keys()) - {"id"}


def test_uncorrected_values_are_stored_where_something_changed(series, ask):
    (entry,) = series.column("SELECT id FROM runningcatalog WHERE wm_ra < 122.5")
    curve = ask(light_curve, entry)
    assert curve["f_int_raw"][[0, 2, 3]] == pytest.approx(1 / 3, rel=1e-12)
    assert curve["f_int"] == pytest.approx([3 / 11, 1 / 3, 3 / 11, 3 / 11], rel=1e-12)
    assert curve["ra_raw"][[0, 2, 3]].tolist() == [122.0] * 3
    assert abs(curve["ra"][0] - 122.0) > 1e-5
    assert curve["gain_err"][[0, 2, 3]] == pytest.approx([RELATIVE_ERROR] * 3, rel=1e-12)
    raw = [curve[name][1] for name in ("ra_raw", "decl_raw", "f_peak_raw", "f_int_raw", "gain_err")]
    assert np.isnan(raw).all()


def test_error_of_the_gain_counts_in_light_curves_and_not_in_the_errors_of_points(series, ask):
    (entry,) = series.column("SELECT id FROM runningcatalog WHERE wm_ra < 122.5")
    curve = ask(light_curve, entry)
    noise, flux = 5e-4, curve["f_int"]
    assert curve["f_int_err"] == pytest.approx([noise / (11 / 9), noise, *[noise / (11 / 9)] * 2], rel=1e-12)
    weight = 1 / (curve["f_int_err"] ** 2 + (np.array([1, 0, 1, 1]) * RELATIVE_ERROR * flux) ** 2)
    mean = (weight * flux).sum() / weight.sum()
    (eta,) = series.column(f"SELECT eta_int FROM varmetric WHERE runcat = {entry}")
    assert eta == pytest.approx((weight * (flux - mean) ** 2).sum() / 3, rel=1e-9)


def test_noise_of_earlier_images_is_on_the_scale_of_corrected_flux_densities(series, ask):
    limits = ask(upper_limits, series.id, 122.0, 10.0)
    tile = [np.float32(1e-4 / (3 + day)) for day in range(4)]
    assert limits["rms"] == pytest.approx([tile[0] * 9 / 11, tile[1], tile[2] * 9 / 11, tile[3] * 9 / 11], rel=1e-7)
    # The source of the second day, compared with the image of the first one, which was calibrated.
    rows = series.rows(
        "SELECT v.sigma_rms_min, v.sigma_rms_max, e.f_int FROM varmetric v JOIN newsource n ON n.id = v.newsource"
        " JOIN extractedsource e ON e.id = n.trigger_xtrsrc ORDER BY n.id"
    )
    assert rows[0]["f_int"] == 1.7
    assert (rows[0]["sigma_rms_min"], rows[0]["sigma_rms_max"]) == pytest.approx(
        (1.7 / (1e-4 * 9 / 11), 1.7 / (3e-4 * 9 / 11)), rel=1e-9
    )


SPOILT = {
    "DELETE FROM calibration WHERE id = (SELECT min(id) FROM calibration)": "1 accepted images have no calibration",
    "UPDATE calibration SET displacement = NULL": "3 calibrations are applied without a displacement",
    "UPDATE calibration SET gain = -gain": "3 calibrations are applied without",
    "UPDATE calibration SET position_applied = (1 = 0)": "have uncorrected values against",
    "UPDATE extractedsource SET f_peak_raw = NULL": "have uncorrected values against",
    "UPDATE extractedsource SET f_int_raw = 2 * f_int_raw": "by more than their calibration explains",
    "UPDATE extractedsource SET decl_raw = decl_raw + 5": "by more than their calibration explains",
    "UPDATE extractedsource SET gain_err = 10 * gain_err": "runningcatalog_flux.wsum_f_int differ",
}
"""Statements that damage a database, and a part of what a check reports."""


@pytest.mark.usefixtures("database_url")
def test_impossible_calibrations_are_found(series, engine):
    refresh_varmetric(series.store)
    assert check_database(engine) == []
    for spoil, finding in SPOILT.items():
        with engine.connect() as connection:
            connection.execute(text(spoil))
            found = [*upkeep._broken_rules(connection), *wrong_metrics(connection)]
            connection.rollback()
        assert any(finding in line for line in found), spoil
    assert check_database(engine) == []


def test_another_gain_is_a_difference_of_datasets(make_dataset, engine):
    first, second = (process_series(make_dataset()) for _ in range(2))
    with transaction(engine) as connection:
        connection.execute(
            text("UPDATE calibration SET gain = 1.5 WHERE image IN (SELECT id FROM image WHERE dataset = :n)"),
            {"n": second.id},
        )
    with reading(engine) as connection:
        differences = compare_datasets(Side(connection, first.id), Side(connection, second.id))
    assert len(differences) == 4
    assert all(line.startswith("gain of the calibration of image") for line in differences)


def test_deletion_of_a_dataset_deletes_its_calibrations(series, engine):
    delete_dataset(engine, series.id)
    with reading(engine) as connection:
        assert connection.execute(select(func.count()).select_from(Calibration)).scalar_one() == 0
