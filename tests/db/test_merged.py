"""Several datasets read as one."""

import numpy as np
import pytest
from made_up_survey import START, Field, sources

from trap.angles import separation
from trap.db.engine import reading
from trap.db.merging import merge_datasets
from trap.errors import DatasetNotFoundError, TrapError
from trap.variability.metrics import light_curve_metrics

FIELD = Field()
N_SOURCES = 30
SPACING = 0.5


def _sky(rng):
    """Return a grid of sources around the field, and their flux densities."""
    rows, columns = np.divmod(np.arange(N_SOURCES), 6)
    ra, dec = 123 + SPACING * (columns - 2.5), 10 + SPACING * (rows - 2)
    return ra, dec, 1.0 + rng.random(N_SOURCES)


def _season(make_dataset, rng, sky, days, *, gain=1.0, shift=0.0, shown=slice(None), freq=140e6):
    """Process the images of one season."""
    ra, dec, flux = (values[shown] for values in sky)
    dataset = make_dataset()
    for day in days:
        measured = gain * rng.normal(flux, 0.01)
        found = sources(ra + shift, dec, flux=measured, flux_err=np.full(len(flux), 0.01 * gain))
        dataset.process(FIELD.image(day, found, freq=freq))
    return dataset


@pytest.fixture
def seasons(make_dataset):
    """Return the sky and two seasons: the second is 10 % brighter, and lacks the first source."""
    rng = np.random.default_rng(5)
    sky = _sky(rng)
    first = _season(make_dataset, rng, sky, range(3))
    second = _season(make_dataset, rng, sky, range(400, 404), gain=1.1, shown=slice(1, None), freq=140.5e6)
    return sky, first, second


def test_each_source_of_two_seasons_is_one_source(engine, seasons):
    (ra, dec, _), first, second = seasons
    with reading(engine) as connection:
        merged = merge_datasets(connection, [first.id, second.id])
        entries = merged.entries(connection)
    numbers, n_entries = np.unique(entries.source, return_counts=True)
    assert sorted(n_entries.tolist()) == [1] + [2] * (N_SOURCES - 1)
    assert numbers.tolist() == sorted(entries.entry[entries.dataset == first.id].tolist())
    nearest = separation(entries.ra[:, None], entries.dec[:, None], ra, dec).min(axis=1)
    assert nearest.max() < 1e-6


def test_the_gain_of_the_later_season_is_measured_and_removed(engine, seasons):
    (ra, dec, flux), first, second = seasons
    with reading(engine) as connection:
        merged = merge_datasets(connection, [first.id, second.id])
        entries = merged.entries(connection, (ra[7], dec[7], 0.01))
        points = merged.light_curves(connection, entries)
    assert entries.dataset.tolist() == [first.id, second.id]
    assert points["dataset"].tolist() == [first.id] * 3 + [second.id] * 4
    assert (np.diff(points["taustart_ts"]).astype(float) > 0).all()
    assert points["taustart_ts"][0] == np.datetime64(START.replace(tzinfo=None))
    assert points["dataset_gain"][:3].tolist() == [1, 1, 1]
    assert points["dataset_gain"][3:] == pytest.approx([1.1] * 4, rel=5e-3)
    assert points["f_int"] == pytest.approx([flux[7]] * 7, abs=0.05)


def test_the_metrics_of_a_merged_source_are_those_of_its_points(engine, seasons):
    _, first, second = seasons
    with reading(engine) as connection:
        merged = merge_datasets(connection, [first.id, second.id])
        entries = merged.entries(connection)
        columns, statistics = merged.statistics(connection, entries)
        whole = merged.light_curves(connection, entries)
        for row, source in enumerate(columns["source"].tolist()):
            points = {name: values[whole["source"] == source] for name, values in whole.items()}
            n = len(points["f_int"])
            assert statistics["n"][row] == n
            assert points["f_datapoints"].tolist() == list(range(1, n + 1))
            assert columns["v_int"][row] == pytest.approx(points["f_int"].std(ddof=1) / points["f_int"].mean())
            assert columns["v_int"][row] == pytest.approx(points["v_int"][-1])
            # The error of the gain weakens the difference of the two seasons only.
            assert columns["eta_int"][row] == pytest.approx(points["eta_int"][-1], rel=0.2)
    assert columns["n_datasets"].tolist() == [1 if n == 3 else 2 for n in statistics["n"].tolist()]
    assert (columns["eta_p_value"] > 1e-4).all()  # all sources are steady
    assert columns["freq_central"].tolist() == [140e6] * len(statistics)  # overlapping bands are one
    assert columns["modulation"] == pytest.approx(light_curve_metrics(statistics)["modulation"])


def test_a_cone_selects_the_sources_within_it_nearest_first(engine, seasons):
    (ra, dec, _), first, second = seasons
    with reading(engine) as connection:
        merged = merge_datasets(connection, [first.id, second.id])
        everywhere = merged.entries(connection)
        near = merged.entries(connection, (ra[7], dec[7], 0.6))
    distance = separation(near.ra, near.dec, ra[7], dec[7])
    assert (np.diff(distance) >= 0).all()
    assert distance.max() <= 0.6
    expected = separation(everywhere.ra, everywhere.dec, ra[7], dec[7]) <= 0.6
    assert sorted(near.entry.tolist()) == sorted(everywhere.entry[expected].tolist())


def test_one_dataset_is_read_as_it_is(engine, seasons):
    _, first, _ = seasons
    with reading(engine) as connection:
        merged = merge_datasets(connection, [first.id])
        columns, _ = merged.statistics(connection, merged.entries(connection))
    stored = first.rows(
        "SELECT v_int, eta_int, eta_p_value FROM varmetric v JOIN runningcatalog r ON v.runcat = r.id"
        " WHERE r.dataset = :dataset ORDER BY r.id"
    )
    for name in ("v_int", "eta_int", "eta_p_value"):
        assert columns[name].tolist() == pytest.approx([row[name] for row in stored])


def test_datasets_that_cannot_be_merged_are_refused(engine, seasons):
    _, first, second = seasons
    with reading(engine) as connection:
        with pytest.raises(DatasetNotFoundError):
            merge_datasets(connection, [first.id, second.id + 99])
        with pytest.raises(TrapError, match="different datasets"):
            merge_datasets(connection, [first.id, first.id])
        with pytest.raises(TrapError, match="none"):
            merge_datasets(connection, [])


def test_an_empty_dataset_adds_nothing(engine, seasons, make_dataset):
    _, first, _ = seasons
    empty = make_dataset()
    with reading(engine) as connection:
        merged = merge_datasets(connection, [empty.id, first.id])
        columns, _ = merged.statistics(connection, merged.entries(connection))
        nothing = merge_datasets(connection, [empty.id])
        assert len(nothing.statistics(connection, nothing.entries(connection))[1]) == 0
    assert len(columns["source"]) == N_SOURCES
