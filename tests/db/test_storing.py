from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from busy_dataset import FIELD, REJECTION, forced, state_of
from made_up_survey import sources
from sqlalchemy import func, select, text

from trap.catalogues import Flag
from trap.db.engine import reading
from trap.db.models import Base
from trap.db.overview import dataset_summary, timestep_table
from trap.errors import DatabaseError


def _rows_of_all_tables(engine):
    with reading(engine) as connection:
        tables = Base.metadata.tables.values()
        return {t.name: connection.execute(select(func.count()).select_from(t)).scalar_one() for t in tables}


def test_numbers_of_a_timestep_are_counted(busy, ask):
    table = ask(timestep_table, busy.id)
    assert table["n_images"].tolist() == [2, 1, 2, 2]
    assert table["n_accepted"].tolist() == [2, 1, 2, 1]
    assert table["n_rejected"].tolist() == [0, 0, 0, 1]
    assert table["n_measured"].tolist() == [3, 2, 4, 1]
    # Two sources and two monitored positions; then the transient.
    assert table["n_new_entries"].tolist() == [4, 1, 0, 0]
    assert table["n_newsources"].tolist() == [0, 1, 0, 0]
    assert (table["n_forced_requested"] == table["n_forced_measured"]).all()


def test_seconds_are_added_up_over_the_images(make_dataset, ask):
    dataset = make_dataset()
    one = replace(FIELD.image(0), seconds={"read": 0.25, "fit": 1.0})
    two = replace(FIELD.image(0, freq=180e6), seconds={"read": 0.5})
    dataset.process(one, two)
    (seconds,) = ask(timestep_table, dataset.id)["seconds"]
    assert json.loads(seconds) == {"read": 0.75, "fit": 1.0}


def test_every_measurement_of_an_accepted_image_is_a_point_of_a_light_curve(busy):
    loose = busy.column(
        "SELECT count(*) FROM extractedsource e LEFT JOIN assocxtrsource a ON a.xtrsrc = e.id WHERE a.id IS NULL"
    )
    assert loose == [0]


def test_points_and_statistics_agree(busy):
    differing = busy.rows(
        "SELECT f.f_datapoints, count(*) FROM runningcatalog_flux f"
        " JOIN assocxtrsource a ON a.runcat = f.runcat JOIN extractedsource e ON e.id = a.xtrsrc"
        " JOIN image i ON i.id = e.image AND i.band = f.band"
        " GROUP BY f.id, f.f_datapoints HAVING count(*) <> f.f_datapoints"
    )
    assert differing == []


def test_averages_of_trap_follow_from_the_points(busy):
    rows = busy.rows(
        "SELECT f.id, min(f.avg_f_int) AS a, avg(e.f_int) AS b, min(f.avg_f_int_sq) AS c, avg(e.f_int*e.f_int) AS d,"
        " min(f.avg_f_int_weight) AS e, avg(1/(e.f_int_err*e.f_int_err)) AS f,"
        " min(f.avg_weighted_f_int) AS g, avg(e.f_int/(e.f_int_err*e.f_int_err)) AS h,"
        " min(f.avg_weighted_f_int_sq) AS i, avg(e.f_int*e.f_int/(e.f_int_err*e.f_int_err)) AS j,"
        " min(f.max_f_int) AS k, max(e.f_int) AS l"
        " FROM runningcatalog_flux f JOIN assocxtrsource a ON a.runcat = f.runcat"
        " JOIN extractedsource e ON e.id = a.xtrsrc JOIN image i ON i.id = e.image AND i.band = f.band GROUP BY f.id"
    )
    assert rows
    for row in rows:
        for ours, computed in zip("acegik", "bdfhjl", strict=True):
            assert row[ours] == pytest.approx(row[computed], rel=1e-12)


def test_fork_gives_its_points_to_every_clone_and_leaves_nothing_of_the_parent(busy):
    entries = busy.entries()
    clones = [entry for entry in entries if entry["parent"] is not None]
    # Two images split one entry: the first into two, the second again both of these, or one.
    assert len(clones) >= 2
    assert not {clone["parent"] for clone in clones} & {entry["id"] for entry in entries}
    for clone in clones:
        days = [point["taustart_ts"] for point in busy.light_curve(clone["id"])]
        assert len(days) >= 4
        assert 6 in {point["type"] for point in busy.light_curve(clone["id"])}
    orphans = busy.column(
        "SELECT count(*) FROM assocxtrsource a LEFT JOIN runningcatalog r ON r.id = a.runcat WHERE r.id IS NULL"
    )
    assert orphans == [0]


def test_entry_keeps_the_regions_it_lies_in(busy):
    links = busy.rows("SELECT runcat, distance_deg FROM assocskyrgn")
    entries = [entry["id"] for entry in busy.entries() if not entry["mon_src"]]
    assert sorted(link["runcat"] for link in links) == sorted(entries)


def test_candidate_has_its_ratio_to_the_earlier_noise(busy):
    (row,) = busy.rows("SELECT v.*, n.runcat AS candidate FROM varmetric v JOIN newsource n ON n.id = v.newsource")
    assert row["runcat"] == row["candidate"]
    # 0.7 Jy over noises of 0.1 and 0.3 mJy.
    assert (row["sigma_rms_min"], row["sigma_rms_max"]) == pytest.approx((7000.0, 0.7 / 3e-4))
    # It stays so when the entry gets more points, and the median waits for the end of the run.
    assert row["lightcurve_max"] == 0.75
    assert row["lightcurve_median"] is None


def test_forked_candidate_stays_one_for_every_clone(make_dataset):
    dataset = make_dataset()
    dataset.process(FIELD.image(0, sources(120.0, 9.0)))
    dataset.process(FIELD.image(1, sources(123.0, 10.0, flux=0.9)))
    with dataset.engine.begin() as connection:
        connection.execute(text("UPDATE newsource SET score = 0.25, ring_sigma = 4.5"))
    dataset.process(FIELD.image(2, sources([123.0, 123.0], [9.9995, 10.0005], flux=0.8)))
    rows = dataset.rows(
        "SELECT v.runcat, n.runcat AS candidate, sigma_rms_min, score, ring_sigma, edge_distance"
        " FROM varmetric v JOIN newsource n ON n.id = v.newsource"
    )
    clones = {entry["id"] for entry in dataset.entries() if entry["parent"] is not None}
    assert {row["runcat"] for row in rows} == {row["candidate"] for row in rows} == clones
    assert [row["sigma_rms_min"] for row in rows] == pytest.approx([9000.0, 9000.0])
    assert [(row["score"], row["ring_sigma"], row["edge_distance"]) for row in rows] == [(0.25, 4.5, None)] * 2


def test_monitored_positions_know_their_entries(busy):
    rows = busy.rows("SELECT m.ra, r.wm_ra, r.mon_src FROM monitor m JOIN runningcatalog r ON r.id = m.runcat")
    assert len(rows) == 2
    for row in rows:
        assert row["wm_ra"] == pytest.approx(row["ra"])
        assert row["mon_src"]


def test_timestep_that_fails_at_its_last_statement_leaves_nothing_behind(busy, engine, monkeypatch):
    before, remembered = _rows_of_all_tables(engine), state_of(busy.state)
    day = FIELD.image(4, sources([122.0, 125.0], [10.0, 10.0]))

    def fail(*_given):
        raise DatabaseError("disk full")

    with monkeypatch.context() as broken:
        broken.setattr("trap.db.storing.save_metrics", fail)
        with pytest.raises(DatabaseError, match="disk full"):
            busy.process(day, forced=forced)
    assert _rows_of_all_tables(engine) == before
    busy.reload()
    assert state_of(busy.state) == remembered
    busy.process(day, forced=forced)
    assert _rows_of_all_tables(engine)["timestep"] == before["timestep"] + 1


def test_same_image_is_not_stored_twice(busy, engine):
    before = _rows_of_all_tables(engine)
    again = FIELD.image(0)
    later = replace(again, metadata=FIELD.image(9).metadata)
    with pytest.raises(DatabaseError, match=r"(?i)content_hash"):
        busy.process(later)
    assert _rows_of_all_tables(engine) == before


def test_timestep_without_any_source_is_stored(make_dataset, ask):
    dataset = make_dataset()
    dataset.process(FIELD.image(0))
    dataset.process(FIELD.image(1).rejected(REJECTION))
    assert ask(timestep_table, dataset.id)["n_measured"].tolist() == [0, 0]


def _days(dataset, n_sources, freqs):
    """Three days with everything in them: new, known, forked and missed sources."""
    dec = np.linspace(5.0, 15.0, n_sources)
    everything, half = sources(121.0, dec), sources(121.0, dec[::2])
    pairs = sources(np.repeat(121.0, 2 * n_sources), np.repeat(dec, 2) + np.tile([-5e-4, 5e-4], n_sources))
    yield [FIELD.image(0, half, freq=freq) for freq in freqs]
    yield [FIELD.image(1, everything, freq=freq) for freq in freqs]
    yield [FIELD.image(2, pairs, freq=freqs[0]), *(FIELD.image(2, freq=freq) for freq in freqs[1:])]


def test_number_of_statements_depends_neither_on_sources_nor_on_images_nor_on_history(make_dataset, statements):
    counts = []
    for n_sources, freqs in ((4, [140e6, 180e6]), (40, [140e6, 150e6, 160e6, 170e6, 180e6])):
        dataset = make_dataset((123.5, 10.5))
        for images in _days(dataset, n_sources, freqs):
            statements.clear()
            dataset.process(*images, forced=forced)
            counts.append(len(statements))
    few, many = counts[:3], counts[3:]
    assert few == many
    assert max(counts) <= 45


def test_timestep_and_dataset_count_the_measurements_left_out_by_reason(make_dataset, ask):
    dataset = make_dataset()
    for day, flags in enumerate([[0, Flag.EDGE], [0, Flag.EDGE, Flag.FIT_FAILED]]):
        found = sources(123.0 + np.arange(len(flags)), 10.0)
        dataset.process(FIELD.image(day, found.with_columns(flags=np.array(flags, np.int32))))
    stored = ask(timestep_table, dataset.id)
    assert (stored["n_dropped_edge"].tolist(), stored["n_dropped_unfitted"].tolist()) == ([1, 1], [0, 1])
    assert stored["n_measured"].tolist() == [1, 1]
    summary = ask(dataset_summary, dataset.id)
    assert [summary[f"n_dropped_{reason}"] for reason in ("edge", "unfitted", "masked")] == [2, 1, 0]
