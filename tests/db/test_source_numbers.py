"""Numbers of all sources for charts: the same as the tables of results have."""

import numpy as np
import pytest
from results_survey import make_survey
from sqlalchemy import text

from trap.config import PipelineConfig
from trap.db.datasets import insert_dataset
from trap.db.engine import transaction
from trap.db.lightcurves import light_curve_statistics
from trap.db.result_tables import read_rows
from trap.db.source_numbers import candidate_positions, dataset_state, entry_positions, metric_points
from trap.variability.metrics import modulation_v, weighted_eta


@pytest.fixture
def survey(engine):
    return make_survey(engine)


@pytest.fixture(params=[False, True], ids=["one dataset", "two datasets"])
def shared(survey, engine, request):
    """Return the survey, alone or next to another dataset that has one of its sources."""
    if request.param:
        moved = max(row["id"] for row in survey.entries())
        with transaction(engine) as connection:
            other = insert_dataset(connection, PipelineConfig())
            connection.execute(text(f"UPDATE runningcatalog SET dataset = {other} WHERE id = {moved}"))
    return survey


@pytest.mark.parametrize("flux", ["int", "peak"])
def test_stored_metrics_are_those_of_the_table_of_sources(shared, ask, flux):
    points = ask(metric_points, shared.id, flux=flux)  # in any order
    order = np.argsort(points["runcat"])
    found = {name: values[order] for name, values in points.items()}
    table = ask(read_rows, "sources", [shared.id])
    assert found["runcat"].tolist() == table["runcat"].tolist()
    assert found["eta"].tolist() == table[f"eta_{flux}"].tolist()
    assert found["v"].tolist() == np.nan_to_num(table[f"v_{flux}"]).tolist()
    assert found["n"].tolist() == table["f_datapoints"].tolist()
    assert found["candidate"].tolist() == (~np.ma.getmaskarray(table["newsource"])).tolist()


def test_metrics_of_a_band_follow_from_its_light_curves(shared, ask):
    columns, statistics = ask(light_curve_statistics, shared.id)
    bands = np.unique(columns["band"])
    assert len(bands) == 2
    for band in bands.tolist():
        rows = columns["band"] == band
        found = ask(metric_points, shared.id, band=band)  # in any order
        order, expected = np.argsort(found["runcat"]), np.argsort(columns["runcat"][rows])
        assert found["runcat"][order].tolist() == columns["runcat"][rows][expected].tolist()
        assert found["eta"][order].tolist() == weighted_eta(statistics[rows])[expected].tolist()
        assert found["v"][order].tolist() == modulation_v(statistics[rows])[expected].tolist()


def test_v_of_other_stokes_parameters_is_absolute(survey, engine, ask):
    first, second, third = sorted(row["id"] for row in survey.entries())
    with transaction(engine) as connection:
        connection.execute(text(f"UPDATE varmetric SET stokes = 4, v_int = -0.25 WHERE runcat = {first}"))
        connection.execute(text(f"UPDATE varmetric SET v_int = NULL WHERE runcat = {second}"))
        connection.execute(text(f"UPDATE varmetric SET v_int = -0.5 WHERE runcat = {third}"))
    found = ask(metric_points, survey.id)
    v = dict(zip(found["runcat"].tolist(), found["v"].tolist(), strict=True))
    assert v == {first: 0.25, second: 0.0, third: -0.5}
    assert ask(metric_points, survey.id, stokes=4)["runcat"].tolist() == [first]


def test_positions_are_those_of_entries_and_candidates(shared, ask):
    table = ask(read_rows, "sources", [shared.id])
    found = np.sort(ask(entry_positions, shared.id), order="runcat")  # in any order
    assert found["runcat"].tolist() == table["runcat"].tolist()
    assert found["ra"].tolist() == table["wm_ra"].tolist()
    assert found["dec"].tolist() == table["wm_decl"].tolist()
    candidates = ask(read_rows, "transients", [shared.id])
    assert sorted(ask(candidate_positions, shared.id)["runcat"]) == sorted(candidates["runcat"])


def test_state_changes_with_timesteps_and_runs(survey, engine, ask):
    before = ask(dataset_state, survey.id)
    assert ask(dataset_state, survey.id) == before
    with transaction(engine) as connection:
        connection.execute(text("UPDATE dataset SET state = 'done'"))
    after = ask(dataset_state, survey.id)
    assert after != before
    with transaction(engine) as connection:
        connection.execute(text("DELETE FROM timestep WHERE id = (SELECT max(id) FROM timestep)"))
    assert ask(dataset_state, survey.id) != after
