from __future__ import annotations

import pytest
from busy_dataset import FIELD, forced, process_busy_days
from db_servers import module_engine
from made_up_survey import dataset_maker, sources
from sqlalchemy import text

from trap.db.comparison import MAX_SHOWN, Side, Tolerances, compare_contents, compare_datasets
from trap.db.engine import reading
from trap.errors import DatasetNotFoundError


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def engine(request, tmp_path_factory):
    """Open a database for all tests of this module, which add datasets and undo other changes."""
    with module_engine(request.param, request, tmp_path_factory) as opened:
        yield opened


@pytest.fixture(scope="module")
def twins(engine):
    """Two datasets of the same images; with entries on top of each other, which a fork has left."""
    options = {"monitors": [(123.5, 10.5), (120.1, 9.9)], "association": {"method": "trap", "beamwidths_limit": 1.0}}
    return [process_busy_days(dataset_maker(engine)(**options)) for _ in range(2)]


@pytest.fixture
def compare(twins, engine):
    """Compare the twins, after a change that is undone."""

    def run(tolerances=None, *, change="SELECT 1"):
        with engine.connect() as connection:
            connection.execute(text(change))
            return compare_datasets(*(Side(connection, twin.id) for twin in twins), tolerances)

    return run


def test_datasets_of_the_same_images_hold_the_same(compare):
    assert compare(Tolerances(position_arcsec=1e-6, relative=0.0)) == []


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ("UPDATE extractedsource SET f_int = f_int * 1.001 WHERE id = {point}", "f_int along the light curve of entry"),
        ("UPDATE runningcatalog SET wm_decl = wm_decl + 0.001 WHERE id = {entry}", "is in the second only"),
        ("UPDATE varmetric SET eta_int = 77 WHERE runcat = {entry}", "in the second 77.0"),
        ("UPDATE timestep SET state = 'late' WHERE dataset = {dataset} AND n_rejected = 1", "timestep"),
        ("DELETE FROM assocxtrsource WHERE xtrsrc = {point}", "points of entry"),
        ("UPDATE config SET value = '9.0' WHERE dataset = {dataset} AND key = 'detection_threshold'", "instead of 9.0"),
        ("UPDATE image SET content_hash = 'another' WHERE id = {image}", "image another is in the second only"),
    ],
)
def test_every_difference_is_listed(compare, twins, change, difference):
    (row,) = twins[1].rows(
        "SELECT r.dataset, r.id AS entry, a.xtrsrc AS point, e.image FROM runningcatalog r"
        " JOIN assocxtrsource a ON a.runcat = r.id JOIN extractedsource e ON e.id = a.xtrsrc"
        " WHERE r.dataset = :dataset AND NOT r.mon_src ORDER BY r.id DESC, a.xtrsrc LIMIT 1"
    )
    assert any(difference in line for line in compare(change=change.format(**row)))
    assert compare() == []


def test_differences_within_the_tolerances_are_ignored(compare, twins):
    entries = f"SELECT id FROM runningcatalog WHERE dataset = {twins[1].id}"
    change = f"UPDATE varmetric SET v_int = v_int * 1.001 WHERE runcat IN ({entries})"
    assert compare(change=change) != []
    assert compare(Tolerances(relative=0.01), change=change) == []


def test_many_differences_are_counted_and_not_all_listed(make_dataset, engine):
    first, second = make_dataset(), make_dataset()
    first.process(FIELD.image(0, sources(122.0, [8.0 + n / 10 for n in range(20)])), forced=forced)
    with reading(engine) as connection:
        differences = compare_datasets(Side(connection, first.id), Side(connection, second.id))
    entries = [line for line in differences if line.startswith("entry")]
    assert len(entries) == MAX_SHOWN
    assert f"… and {20 - MAX_SHOWN} more such" in differences


def test_missing_dataset_raises_an_error(twins, engine):
    with reading(engine) as connection, pytest.raises(DatasetNotFoundError):
        compare_datasets(Side(connection, twins[0].id), Side(connection, 10**6))


def test_contents_of_two_datasets_are_matched(make_dataset, ask):
    first, second = make_dataset(), make_dataset()
    # One source in both with twice the flux density, one in the first only, a new one in the second only.
    first.process(FIELD.image(0, sources([123.0, 123.5], 10.0)))
    second.process(FIELD.image(0, sources([123.0001], 10.0, flux=0.03)))
    first.process(FIELD.image(1, sources([123.0], 10.0)))
    second.process(FIELD.image(1, sources([123.0001, 122.5], 10.0, flux=[0.03, 0.015])))

    def compare(connection):
        return compare_contents(Side(connection, first.id), Side(connection, second.id))

    contents = ask(compare)
    assert contents.n_common_images == 2
    assert contents.n_matched == 1
    assert contents.flux_ratio == pytest.approx([2.0])
    assert contents.settings == contents.removed == ()
    assert [(round(ra, 3), round(dec, 3)) for _, ra, dec in contents.added] == [(122.5, 10.0)]
