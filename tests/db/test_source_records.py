import numpy as np
import pytest
from processed_survey import process_survey
from sqlalchemy import create_engine, text

from trap.db.lightcurves import light_curve
from trap.db.reader import Reader
from trap.db.source_records import look_of_image, mean_fluxes, next_entry, relations


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    return process_survey(tmp_path_factory.mktemp("records"), n_timesteps=2)


@pytest.fixture
def connection(url):
    with Reader(url).read() as connection:
        yield connection


def test_mean_flux_is_weighted_by_the_errors(connection):
    points = light_curve(connection, 1)
    weight = points["f_int_err"] ** -2.0
    means = mean_fluxes(connection, 1)
    assert means["f_int"][0] == pytest.approx((weight * points["f_int"]).sum() / weight.sum())
    assert means["f_int_err"][0] == pytest.approx(weight.sum() ** -0.5)
    assert means["f_datapoints"][0] == len(points["f_int"])


def test_entries_are_neighbours_in_their_order(connection):
    assert [next_entry(connection, 1, 2, back=back) for back in (True, False)] == [1, 3]
    assert next_entry(connection, 1, 1, back=True) is None
    assert next_entry(connection, 2, 1) is None  # another dataset


def test_image_of_another_dataset_is_not_found(connection):
    assert look_of_image(connection, 1, 1)["url"].endswith("t0000_b00.fits")
    assert look_of_image(connection, 2, 1) is None


def test_relations_name_both_ends_and_whether_the_other_one_exists(url):
    engine = create_engine(url)
    with engine.begin() as changing:
        rows = [(1, 1, 2, 1), (1, 3, 1, 3), (1, 1, 999, 0)]
        for row in rows:
            values = dict(zip(("timestep", "runcat", "origin", "kind"), row, strict=True))
            changing.execute(text("INSERT INTO lineage VALUES (NULL, :timestep, :runcat, :origin, :kind)"), values)
    with Reader(url).read() as connection:
        found = relations(connection, 1)
    assert found["kind"].tolist() == [1, 3, 0]
    assert found["exists"].tolist() == [True, True, False]
    assert not np.isnat(found["taustart_ts"]).any()
