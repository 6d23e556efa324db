"""Variability metrics, streamed and recomputed."""

from __future__ import annotations

import numpy as np
import pytest
from made_up_survey import Field, sources
from scipy.stats import chi2
from sqlalchemy import text

from trap.association.noise_history import NoiseTiles, tiles_within
from trap.db.engine import transaction
from trap.steps import varmetric

FIELD = Field()
LOW, HIGH = 120e6, 160e6
METRICS = "v_int, eta_int, lightcurve_max, lightcurve_avg"


def metrics(dataset, columns=METRICS):
    return dataset.rows(f"SELECT {columns}, b.freq_central FROM varmetric v JOIN frequencyband b ON v.band = b.id")


def test_entry_is_described_by_its_brightest_band_of_the_latest_time(make_dataset):
    dataset = make_dataset()
    for day, (low, high) in enumerate(((1.0, 2.0), (5.0, 3.0))):
        dataset.process(
            FIELD.image(day, sources(123.0, 10.0, flux=low), freq=LOW),
            FIELD.image(day, sources(123.0, 10.0, flux=high), freq=HIGH),
        )
    (row,) = metrics(dataset)
    assert row["freq_central"] == LOW
    assert (row["lightcurve_max"], row["lightcurve_avg"]) == (5.0, 3.0)


@pytest.mark.parametrize("seconds", [-2.0, 2.0, 7000.0])
@pytest.mark.parametrize("order", [(LOW, HIGH), (HIGH, LOW)], ids=["low band first", "high band first"])
def test_metrics_are_of_one_band_if_the_bands_start_at_different_times(make_dataset, seconds, order):
    fluxes = {LOW: np.array([1.0, 5.0, 4.0]), HIGH: np.array([2.0, 3.0, 2.5])}
    error, dataset = 0.5, make_dataset()
    for day in range(3):
        dataset.process(
            *(
                FIELD.image(
                    day + (0.5 if freq == order[0] else 0.5 + seconds / 86400),
                    sources(123.0, 10.0, flux=fluxes[freq][day], flux_err=error),
                    freq=freq,
                )
                for freq in order
            )
        )
    streamed = metrics(dataset, "v.*")
    dataset.store.refresh_metrics()
    # The low band is the brighter one of the latest timestep.
    flux, mean = fluxes[LOW], 10 / 3
    eta = ((flux - mean) ** 2).sum() / error**2 / 2
    expected = {
        **dict.fromkeys(("v_int", "v_peak"), flux.std(ddof=1) / mean),
        **dict.fromkeys(("eta_int", "eta_peak"), eta),
        "eta_p_value": chi2.sf(2 * eta, 2),
        "modulation": np.sqrt(flux.var(ddof=1) - error**2) / mean,
        "f_datapoints": 3,
        "lightcurve_max": 5.0,
        "lightcurve_median": 4.0,
        **dict.fromkeys(("lightcurve_avg", "lightcurve_wavg"), mean),
    }
    for row, median in ((streamed[0], None), (metrics(dataset, "v.*")[0], 4.0)):
        assert row["freq_central"] == LOW
        assert {name: row[name] for name in expected} == pytest.approx({**expected, "lightcurve_median": median})


def test_recomputed_metrics_repair_mixed_ones(make_dataset):
    dataset = make_dataset()
    for day, (low, high) in enumerate(((1.0, 2.0), (5.0, 3.0))):
        dataset.process(
            FIELD.image(day, sources(123.0, 10.0, flux=low), freq=LOW),
            FIELD.image(day + 2e-5, sources(123.0, 10.0, flux=high), freq=HIGH),
        )
    dataset.store.refresh_metrics()
    sound = metrics(dataset, "v.*")
    with transaction(dataset.engine) as connection:
        # As an earlier version mixed them: some columns are of the band that starts last.
        connection.execute(
            text("UPDATE varmetric SET band = (SELECT max(id) FROM frequencyband), v_int = 0.28, v_peak = 0.1")
        )
    dataset.store.refresh_metrics()
    assert metrics(dataset, "v.*") == sound


def test_repeated_flux_breaks_nothing(make_dataset):
    # Fluxes 1, 2, 1: TraP found two rows of the same flux and different V, and lost the timestep.
    dataset = make_dataset()
    for day, flux in enumerate((1.0, 2.0, 1.0)):
        dataset.process(FIELD.image(day, sources(123.0, 10.0, flux=flux)))
    (row,) = metrics(dataset)
    assert row["v_int"] == pytest.approx(3**-0.5 / (4 / 3))


def test_flux_densities_that_cancel_are_stored_without_a_relative_step(make_dataset):
    # The average of 1 and -1 is 0: the step between them is 2 Jy, but has no size relative to it.
    dataset = make_dataset()
    for day, flux in enumerate((1.0, -1.0)):
        dataset.process(FIELD.image(day, sources(123.0, 10.0, flux=flux)))
    (row,) = metrics(dataset, "m_max, vs_max")
    assert row["m_max"] is None
    assert row["vs_max"] == pytest.approx(-2 / (2**0.5 * 5e-4))


def test_recomputed_metrics_equal_streamed_ones_and_have_a_median(make_dataset):
    dataset = make_dataset()
    for day, (low, high) in enumerate(((1.0, 2.0), (5.0, 3.0), (2.0, 2.0), (4.0, 1.0))):
        dataset.process(
            FIELD.image(day, sources([123.0, 124.0], 10.0, flux=[low, high]), freq=LOW),
            FIELD.image(day, sources(123.0, 10.0, flux=high), freq=HIGH),
        )
    streamed = metrics(dataset)
    with transaction(dataset.engine) as connection:
        varmetric.execute_store_varmetric(connection, dataset.id)
        varmetric.execute_store_varmetric(connection, dataset.id)
    for before, after in zip(streamed, metrics(dataset), strict=True):
        assert after == pytest.approx(before, rel=1e-12)
    medians = dataset.column("SELECT lightcurve_median FROM varmetric ORDER BY runcat")
    assert medians == [3.0, 2.0]


def test_metrics_of_a_candidate_keep_its_significance(make_dataset):
    dataset = make_dataset(source_extraction={"detection_threshold": 10.0})
    dataset.process(FIELD.image(0))
    dataset.process(FIELD.image(1, sources(123.0, 10.0, flux=0.03)))
    dataset.process(FIELD.image(2, sources(123.0, 10.0, flux=0.02)))
    with transaction(dataset.engine) as connection:
        varmetric.execute_store_varmetric(connection, dataset.id)
    (row,) = dataset.rows("SELECT newsource, sigma_rms_min, sigma_rms_max FROM varmetric")
    assert row["newsource"] is not None
    assert (row["sigma_rms_min"], row["sigma_rms_max"]) == pytest.approx((300.0, 100.0))


def test_forked_candidate_keeps_its_significance_at_the_position(make_dataset):
    tiles, *_ = tiles_within(5, 123.0, 10.0, 10.0)
    looked = NoiseTiles(order=5, tile=tiles, rms=np.full(len(tiles), 2e-4, np.float32))
    dataset = make_dataset(association={"method": "trap"})
    dataset.process(FIELD.image(0, noise_tiles=looked))
    dataset.process(FIELD.image(1, sources(123.0, 10.0, flux=0.5)))
    dataset.process(FIELD.image(2, sources([122.9999, 123.0001], [9.9995, 10.0005], flux=0.2)))
    rows = dataset.rows("SELECT sigma_local, n_looks FROM newsource")
    assert rows == [{"sigma_local": pytest.approx(2500.0), "n_looks": 1}] * 2


def test_metrics_are_of_one_stokes_parameter_and_name_it(make_dataset):
    # Two sources in I and V: the first is brighter in I, the second in V, where it is negative.
    dataset, place = make_dataset(), ([123.0, 124.0], 10.0)
    for day, step in enumerate((0.0, 0.002)):
        of_i, of_v = np.array([0.030, 0.020 + step]), np.array([-0.010 - step, -0.040])
        dataset.process(
            FIELD.image(day, sources(*place, flux=of_i)), FIELD.image(day, sources(*place, flux=of_v), stokes=4)
        )
    query = "SELECT stokes, lightcurve_avg, eta_int, modulation FROM varmetric ORDER BY runcat"
    rows = dataset.rows(query)
    assert [(row["stokes"], row["eta_int"], row["modulation"]) for row in rows] == [(1, 0.0, 0.0), (4, 0.0, 0.0)]
    assert [row["lightcurve_avg"] for row in rows] == pytest.approx([0.030, -0.040])
    assert dataset.column("SELECT count(*) FROM runningcatalog") == [2]
    assert dataset.column("SELECT count(*) FROM frequencyband") == [1]
    curves = dataset.rows("SELECT stokes, f_datapoints, avg_f_int FROM runningcatalog_flux ORDER BY runcat, stokes")
    assert [(row["stokes"], row["f_datapoints"]) for row in curves] == [(1, 2), (4, 2)] * 2
    assert [row["avg_f_int"] for row in curves] == pytest.approx([0.030, -0.011, 0.021, -0.040])
    with transaction(dataset.engine) as connection:
        varmetric.execute_store_varmetric(connection, dataset.id)
    assert dataset.rows(query) == rows
