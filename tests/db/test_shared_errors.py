"""Errors that epochs share in the database: stored at the end of a run, and used by everything with a probability."""

from __future__ import annotations

import numpy as np
import pytest
from made_up_survey import Field, sources
from scipy.special import chdtrc
from sqlalchemy import text

from trap.db import shared_errors
from trap.db.comparison import Side, compare_datasets
from trap.db.deletion import delete_dataset
from trap.db.engine import reading, transaction
from trap.db.recomputation import wrong_metrics
from trap.steps.varmetric import refresh_varmetric
from trap.variability.metrics import light_curve_metrics

FIELD = Field()
LOW, HIGH = 120e6, 160e6
N_SOURCES, N_DAYS, ERROR = 40, 24, 1e-3
EAST = 120.0 + 0.1 * np.arange(N_SOURCES)
METRICS = "SELECT runcat, eta_int, f_datapoints, eta_p_value FROM varmetric ORDER BY runcat"


def correlated():
    """Flux densities of constant sources by day; the errors of neighbouring days have a correlation of 0.6."""
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(N_DAYS, N_SOURCES))
    for day in range(1, N_DAYS):
        noise[day] = 0.6 * noise[day - 1] + 0.8 * noise[day]
    return 0.1 + ERROR * noise


def process(dataset, fluxes, days):
    """Take days of a band with correlated errors, and of a brighter one with independent errors on every fourth day."""
    rng = np.random.default_rng(2)
    other = 0.2 + ERROR * rng.normal(size=fluxes.shape)
    for day in days:
        images = [FIELD.image(day, sources(EAST, 10.0, flux=fluxes[day], flux_err=ERROR), freq=LOW)]
        if day % 4 == 1:
            images.append(FIELD.image(day, sources(EAST, 10.0, flux=other[day], flux_err=ERROR), freq=HIGH))
        dataset.process(*images)


@pytest.fixture
def surveyed(make_dataset):
    dataset = make_dataset()
    process(dataset, correlated(), range(N_DAYS))
    return dataset


def p_value(row, lags):
    freedom, scale = shared_errors.SharedErrors(lags=lags).freedom(np.array([row["f_datapoints"]]))
    return chdtrc(freedom, (row["f_datapoints"] - 1) * row["eta_int"] / scale)[0]


def test_probabilities_follow_from_the_stored_correlations(surveyed, ask):
    before = surveyed.rows(METRICS)
    assert [row["eta_p_value"] for row in before] == pytest.approx([p_value(row, np.empty(0)) for row in before])
    assert ask(shared_errors.load_shared_errors, surveyed.id) == {}
    refresh_varmetric(surveyed.store, surveyed.state)

    stored = surveyed.rows("SELECT c.*, freq_central FROM epochcorrelation c JOIN frequencyband b ON b.id = c.band")
    assert {(row["freq_central"], row["stokes"]) for row in stored} == {(LOW, 1)}
    lags = np.array([row["correlation"] for row in sorted(stored, key=lambda row: row["lag"])])
    assert lags[0] == pytest.approx(0.6, abs=0.12)
    after = surveyed.rows(METRICS)
    assert [row["eta_p_value"] for row in after] == pytest.approx([p_value(row, lags) for row in after])
    assert ask(lambda connection: list(wrong_metrics(connection))) == []

    (epochs,) = zip(*ask(shared_errors.effective_epochs, surveyed.id).values(), strict=True)
    freedom, _ = shared_errors.SharedErrors(lags=lags).freedom(np.array([N_DAYS]))
    assert epochs == (LOW, 1, N_DAYS, pytest.approx(freedom[0] + 1))


def test_wrong_probabilities_are_noticed(surveyed, engine, ask):
    surveyed.store.refresh_metrics()
    with transaction(engine) as connection:
        connection.execute(text("UPDATE epochcorrelation SET correlation = correlation / 2"))
    (wrong,) = ask(lambda connection: list(wrong_metrics(connection)))
    assert wrong.startswith(f"{N_SOURCES} values of varmetric.eta_p_value")


def test_a_later_run_uses_the_stored_correlations_until_its_end(surveyed, ask):
    refresh_varmetric(surveyed.store, surveyed.state)
    known = surveyed.state.catalogue.shared_errors
    constancy = surveyed.state.catalogue.constancy()
    surveyed.reload()
    loaded = surveyed.state.catalogue.shared_errors
    assert loaded.keys() == known.keys()
    assert all((loaded[key].lags == known[key].lags).all() for key in known)
    assert surveyed.state.catalogue.constancy() == constancy

    (lags,) = (errors.lags for errors in loaded.values())
    surveyed.process(FIELD.image(N_DAYS, sources(EAST, 10.0, flux=0.1, flux_err=ERROR), freq=LOW))
    rows = surveyed.rows(METRICS)
    assert {row["f_datapoints"] for row in rows} == {N_DAYS + 1}
    assert [row["eta_p_value"] for row in rows] == pytest.approx([p_value(row, lags) for row in rows])
    surveyed.store.refresh_metrics()
    assert not np.array_equal(ask(shared_errors.load_shared_errors, surveyed.id).popitem()[1].lags[:1], lags[:1])


def test_several_runs_store_the_same_as_one(surveyed, make_dataset, engine):
    split = make_dataset()
    for days in (range(5), range(5, 22), range(22, N_DAYS)):
        process(split, correlated(), days)
        split.store.refresh_metrics()
        split.reload()
    surveyed.store.refresh_metrics()
    with reading(engine) as connection:
        assert compare_datasets(Side(connection, surveyed.id), Side(connection, split.id)) == []
    with transaction(engine) as connection:
        rows = "lag = 1 AND band IN (SELECT id FROM frequencyband WHERE dataset = :dataset)"
        connection.execute(text(f"DELETE FROM epochcorrelation WHERE {rows}"), {"dataset": split.id})
    with reading(engine) as connection:
        (difference,) = compare_datasets(Side(connection, surveyed.id), Side(connection, split.id))
    assert difference.startswith("correlation of epochs 1 apart at 1.2e+08 Hz, Stokes I, is 0.")
    delete_dataset(engine, surveyed.id)
    delete_dataset(engine, split.id)
    assert split.column("SELECT count(*) FROM epochcorrelation") == [0]


def test_the_sample_does_not_depend_on_row_numbers(surveyed, ask, monkeypatch):
    monkeypatch.setattr(shared_errors, "MAX_CURVES", 25)
    chosen = ask(shared_errors.measure_shared_errors, surveyed.id)
    order = surveyed.column("SELECT id FROM runningcatalog WHERE dataset = :dataset ORDER BY wm_ra, wm_decl")
    sample = ask(shared_errors._sample, surveyed.id)
    # 25 ranks spread evenly over 0 … 39.
    ranks = np.round(np.linspace(0, N_SOURCES - 1, 25)).astype(int)
    assert sample.tolist() == sorted(np.array(order)[ranks].tolist())
    assert len(chosen) == 1


def test_the_metrics_of_all_bands_have_their_own_freedom(surveyed):
    # The entries are described by the brighter band on the days of its images: its epochs are independent.
    surveyed.store.refresh_metrics()
    surveyed.reload()
    statistics = {key: surveyed.state.catalogue.fluxes(key) for key in surveyed.state.catalogue.light_curves}
    low, high = sorted(statistics)
    assert (low in surveyed.state.catalogue.shared_errors, high in surveyed.state.catalogue.shared_errors) == (
        True,
        False,
    )
    other = 0.2 + ERROR * np.random.default_rng(9).normal(size=N_SOURCES)
    surveyed.process(
        FIELD.image(N_DAYS, sources(EAST, 10.0, flux=0.1, flux_err=ERROR), freq=LOW),
        FIELD.image(N_DAYS, sources(EAST, 10.0, flux=other, flux_err=ERROR), freq=HIGH),
    )
    p_values = light_curve_metrics(surveyed.state.catalogue.fluxes(high))["eta_p_value"]
    rows = surveyed.rows(METRICS)
    assert [row["eta_p_value"] for row in rows] == pytest.approx(p_values.tolist())
