from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from busy_dataset import FIELD, forced
from made_up_survey import dataset_maker, sources
from sqlalchemy import text

from trap.codes import Flag
from trap.db.backup import dump_database, restore_database
from trap.db.comparison import Side, compare_datasets
from trap.db.datasets import replace_dataset
from trap.db.deletion import delete_dataset
from trap.db.engine import make_engine, reading, transaction
from trap.db.ratings import (
    DEFAULT_TAGS,
    carry_ratings,
    known_tags,
    rate_candidate,
    rated_measurements,
    rating_history,
)
from trap.db.result_tables import count_rows, read_rows, stream_rows
from trap.db.upkeep import check_database
from trap.errors import ConfigError, DatabaseError, NotFoundError
from trap.selection import Cone, Range, Selection

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
PLACES = {1: (123.0, 12.5), 2: (125.5, 8.0)}
"""deg — positions of the transients, by the day of their first detection."""


def days(dataset, *, without=(), shift=0.0):
    """A steady source, and a transient on each of two days; images of the days ``without`` do not exist.

    Positions of the transients are ``shift`` degrees off in declination.
    """
    for day in range(4):
        if day in without:
            continue
        new = [(ra, dec + shift) for start, (ra, dec) in PLACES.items() if start <= day]
        ra, dec = zip((121.0, 10.0), *new, strict=True)
        dataset.process(FIELD.image(day, sources(list(ra), list(dec), flux=1.0)), forced=forced)
    return dataset


@pytest.fixture
def made(engine):
    return days(dataset_maker(engine)())


@pytest.fixture
def candidates(made, ask):
    """Numbers of the candidates, in order of time."""
    return ask(read_rows, "transients", [made.id], order=["taustart_ts"])["newsource"].tolist()


@pytest.fixture
def rate(engine):
    def run(dataset, candidate, rating, rater="Ada", **values):
        with transaction(engine) as connection:
            return rate_candidate(
                connection, dataset.id, candidate, rating, rater=rater, **{"now": NOW, "tags": (), "note": "", **values}
            )

    return run


def test_latest_rating_of_each_person_counts_and_the_history_is_kept(made, candidates, rate, ask):
    first, second = candidates
    rate(made, first, "unsure", tags=["noise", "agn", "Noise"], note="  on the\r\nedge ")
    rate(made, first, "false", rater="Bo")
    rate(made, second, "unsure")
    rate(made, first, "true", now=NOW + timedelta(hours=1), tags=["flaring star"])
    rows = ask(read_rows, "ratings", [made.id])
    assert list(zip(rows["newsource"].tolist(), rows["rater"], rows["rating"], rows["tags"], strict=True)) == [
        (first, "Bo", "false", ""),
        (second, "Ada", "unsure", ""),
        (first, "Ada", "true", "flaring star"),
    ]
    assert rows["rated_ts"][2] == np.datetime64("2026-11-29T13:00")
    assert rows["candidate"][0] == rows["candidate"][2] != rows["candidate"][1]
    history = ask(rating_history, made.id)
    assert history["rating"].tolist() == ["unsure", "false", "unsure", "true"]
    assert (history["tags"][0], history["note"][0]) == ("AGN, noise", "on the\nedge")


def test_ratings_have_the_columns_of_their_candidates(made, candidates, rate, ask):
    for candidate in reversed(candidates):
        rate(made, candidate, "true")
    rows, listed = ask(read_rows, "ratings", [made.id]), ask(read_rows, "transients", [made.id], order=["newsource"])
    order = np.argsort(rows["newsource"])
    for name in ("newsource", "runcat", "xtrsrc", "taustart_ts", "band", "freq_eff", "stokes", "url", "image"):
        assert rows[name][order].tolist() == listed[name].tolist(), name
    for name in ("score", "newness", "f_int", "eta_int", "sigma_rms_min", "det_sigma"):
        np.testing.assert_array_equal(rows[name][order], listed[name], name)
    # The position is the one of the detection, which day 1 and day 2 have made.
    assert rows["ra"][order].tolist() == [PLACES[1][0], PLACES[2][0]]
    assert rows["decl"][order].tolist() == [PLACES[1][1], PLACES[2][1]]
    chunks = ask(lambda connection: list(stream_rows(connection, "ratings", [made.id], chunk=1)))
    assert [chunk["rating_id"].tolist() for chunk in chunks] == [[number] for number in rows["rating_id"].tolist()]


SELECTED = [
    (Selection(near=Cone(ra=123.0, dec=12.5, radius=0.01)), ["first"]),
    (Selection(near=Cone(ra=123.0, dec=12.6, radius=0.09)), []),
    (Selection(since=datetime(2012, 1, 3, tzinfo=UTC)), ["second"]),
    (Selection(bands=(140e6,), stokes=(1,)), ["first", "second"]),
    (Selection(stokes=(4,)), []),
    (Selection(ranges=(Range(column="decl", low=10.0),)), ["first"]),
    (Selection(without_flags=int(Flag.EDGE), candidates_only=True), ["first", "second"]),
    (Selection(entries=()), []),
]


def test_ratings_are_selected_like_candidates(made, candidates, rate, ask):
    for candidate, note in zip(candidates, ("first", "second"), strict=True):
        rate(made, candidate, "true", note=note)
    for selection, expected in SELECTED:
        assert ask(read_rows, "ratings", [made.id], selection)["note"].tolist() == expected, selection
        assert ask(count_rows, "ratings", [made.id], selection) == len(expected)


RATED = [
    ({"rating": "true"}, ["first"]),
    ({"rating": ["true", "unsure"]}, ["first", "second"]),
    # The rating of Ada that a later one replaces does not count.
    ({"rating": "false"}, []),
    ({"tag": "noise"}, ["second"]),
    ({"tag": "NOISE, pulsar"}, ["first", "second"]),
    ({"tag": "ΣTAR"}, ["second"]),
    ({"tag": "pul"}, []),
    ({"tag": "%"}, []),
    ({"tag": "noise", "rating": "true"}, []),
]


def test_candidates_and_sources_are_selected_by_ratings_and_tags(made, candidates, rate, ask):
    rate(made, candidates[0], "false", tags=["noise"])
    rate(made, candidates[0], "true", tags=["pulsar"])
    rate(made, candidates[1], "unsure", rater="Bo", tags=["noise", "Σtar"])
    names = dict(zip(candidates, ("first", "second"), strict=True))
    entries = dict(zip(*(ask(read_rows, "transients", [made.id])[one].tolist() for one in ("newsource", "runcat")),
                       strict=True))  # fmt: skip
    for keywords, expected in RATED:
        selection = Selection.of(**keywords)
        found = ask(read_rows, "transients", [made.id], selection, order=["taustart_ts"])["newsource"].tolist()
        assert [names[number] for number in found] == expected, keywords
        for table in ("sources", "lightcurves"):
            rows = ask(read_rows, table, [made.id], selection)
            assert set(rows["runcat"].tolist()) == {entries[number] for number in found}, keywords
        assert len(ask(read_rows, "ratings", [made.id], selection)["rater"]) == len(expected)
        assert ask(count_rows, "measurements", [made.id], selection) == len(rows["runcat"])
    with pytest.raises(ConfigError, match="table images has no ratings to select by"):
        ask(read_rows, "images", [made.id], Selection.of(rating="true"))
    with pytest.raises(ConfigError, match="rating maybe: no rating; choose from true, false, unsure"):
        Selection.of(rating="maybe")
    with pytest.raises(ConfigError, match="without a meaning"):
        Selection.of(tag="a\0")


def test_candidate_without_a_rating_of_a_person_is_found(made, candidates, rate, ask):
    triggers = ask(read_rows, "transients", [made.id], order=["taustart_ts"])["xtrsrc"].tolist()
    assert ask(rated_measurements, [made.id]).tolist() == []
    rate(made, candidates[0], "false")
    rate(made, candidates[1], "false", rater="Bo")
    assert ask(rated_measurements, [made.id], rater="Ada").tolist() == triggers[:1]
    assert ask(rated_measurements, [made.id]).tolist() == sorted(triggers)


def test_ratings_outlive_a_timestep_that_is_left_out_and_put_back(made, candidates, rate, engine, ask):
    rate(made, candidates[0], "true", tags=["pulsar"])
    rate(made, candidates[1], "false", rater="Bo")
    # Without the day of the first transient, its source is first seen on the next day: another detection.
    other = days(dataset_maker(engine)(), without=[1])
    with transaction(engine) as connection:
        replace_dataset(connection, made.id, other.id)
    delete_dataset(engine, made.id)
    rows = ask(read_rows, "ratings", [other.id])
    assert rows["rating"].tolist() == ["true", "false"]
    assert rows["newsource"].mask.tolist() == [True, False]
    assert np.isnan(rows["score"][0])
    assert (rows["ra"][0], rows["tags"][0], rows["url"][0]) == (PLACES[1][0], "pulsar", "")
    assert check_database(engine) == []
    # The image is made again, and a calibration moves its sources by a third of a beam (216 arcsec) or less.
    again = days(dataset_maker(engine)(), shift=0.019)
    with transaction(engine) as connection:
        replace_dataset(connection, other.id, again.id)
    delete_dataset(engine, other.id)
    rows = ask(read_rows, "ratings", [again.id])
    found = ask(read_rows, "transients", [again.id], order=["taustart_ts"])["newsource"].tolist()
    assert rows["newsource"].tolist() == found
    # A person who rates again replaces the rating of the earlier computation.
    rate(again, found[0], "unsure")
    rows = ask(read_rows, "ratings", [again.id])
    assert dict(zip(rows["rater"], rows["rating"], strict=True)) == {"Ada": "unsure", "Bo": "false"}


def test_detection_a_beam_away_is_another_one(made, candidates, rate, engine, ask):
    rate(made, candidates[0], "true")
    # Half of the beam of the made-up telescope is 0.03 degrees.
    other = days(dataset_maker(engine)(), shift=0.0301)
    with transaction(engine) as connection:
        carry_ratings(connection, made.id, other.id)
    assert ask(read_rows, "ratings", [other.id])["newsource"].mask.tolist() == [True]


def test_ratings_of_a_dataset_and_its_replacement_are_put_together(made, candidates, rate, engine, ask):
    rate(made, candidates[0], "true")
    other = days(dataset_maker(engine)())
    number = ask(read_rows, "transients", [other.id], order=["taustart_ts"])["newsource"].tolist()[0]
    rate(other, number, "false", rater="Bo")
    with transaction(engine) as connection:
        replace_dataset(connection, made.id, other.id)
    rows = ask(read_rows, "ratings", [other.id])
    assert rows["newsource"].tolist() == [number, number]
    assert len(set(rows["candidate"].tolist())) == 1
    with pytest.raises(DatabaseError, match="is being deleted"):
        rate(made, candidates[0], "true")


def test_clone_of_a_forked_candidate_has_its_rating(made, candidates, rate, engine, ask):
    before = ask(read_rows, "transients", [made.id], order=["taustart_ts"])
    rate(made, candidates[0], "true")
    with transaction(engine) as connection:
        connection.execute(
            text(
                "INSERT INTO newsource (runcat, trigger_xtrsrc, previous_limits_image, newsource_type) SELECT runcat,"
                f" trigger_xtrsrc, previous_limits_image, newsource_type FROM newsource WHERE id = {candidates[0]}"
            )
        )
    assert ask(read_rows, "ratings", [made.id])["newsource"].tolist() == [candidates[0]]
    clone = made.column("SELECT max(id) FROM newsource")[0]
    rate(made, clone, "false", rater="Bo")
    rate(made, clone, "unsure")
    rows = ask(read_rows, "ratings", [made.id])
    assert dict(zip(rows["rater"], rows["rating"], strict=True)) == {"Ada": "unsure", "Bo": "false"}
    assert set(rows["xtrsrc"].tolist()) == {before["xtrsrc"][0]}


@pytest.mark.usefixtures("database_url")
def test_ratings_go_with_a_deleted_dataset_and_no_other(made, candidates, rate, engine, ask):
    other = days(dataset_maker(engine)())
    number = ask(read_rows, "transients", [other.id])["newsource"].tolist()[0]
    rate(made, candidates[0], "true")
    rate(other, number, "true")
    delete_dataset(engine, made.id)
    assert other.rows("SELECT dataset FROM ratedcandidate") == [{"dataset": other.id}]
    assert len(other.rows("SELECT id FROM rating")) == 1


def test_comparison_lists_ratings_that_differ(made, candidates, rate, engine, ask):
    other = days(dataset_maker(engine)())
    theirs = ask(read_rows, "transients", [other.id], order=["taustart_ts"])["newsource"].tolist()

    def differences():
        with reading(engine) as connection:
            return compare_datasets(Side(connection, made.id), Side(connection, other.id))

    rate(made, candidates[0], "true", note="clear")
    assert differences() == []
    rate(other, theirs[0], "true", note="clear")
    assert differences() == []
    rate(other, theirs[0], "false")
    rate(other, theirs[1], "unsure", rater="Bo")
    assert differences() == [
        "rating of 123.00000 +12.50000, 140 MHz, 2012-01-02 00:00:00 by Ada is true · clear, in the second false",
        "rating of 125.50000 +8.00000, 140 MHz, 2012-01-03 00:00:00 by Bo is in the second only",
    ]


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_dump_has_the_ratings(database_url, empty_database_url, dialect, tmp_path):
    engine = make_engine(database_url)
    mine = days(dataset_maker(engine)())
    with transaction(engine) as connection:
        number = read_rows(connection, "transients", [mine.id])["newsource"].tolist()[0]
        rate_candidate(connection, mine.id, number, "true", rater="Ada", now=NOW, note="naïve 'note'")
    dump_database(database_url, tmp_path / "all.dump")
    restore_database(empty_database_url, tmp_path / "all.dump")
    restored = make_engine(empty_database_url)
    with reading(engine) as first, reading(restored) as second:
        assert rating_history(second, mine.id)["note"].tolist() == ["naïve 'note'"]
        assert compare_datasets(Side(first, mine.id), Side(second, mine.id)) == []
    engine.dispose()
    restored.dispose()


def test_check_finds_ratings_that_no_program_has_stored(made, candidates, rate, engine):
    rate(made, candidates[0], "true")
    assert check_database(engine) == []
    with transaction(engine) as connection:
        connection.execute(text("UPDATE rating SET rating = 'maybe'"))
    assert check_database(engine) == ["1 ratings are none of true, false and unsure, or by nobody"]
    with transaction(engine) as connection:
        connection.execute(text("DELETE FROM rating"))
    assert check_database(engine) == ["1 rated candidates have no rating"]


def test_people_rate_at_once_while_a_run_writes(made, candidates, database_url, engine):
    engine = make_engine(database_url)
    mine = days(dataset_maker(engine)(), without=[3])
    with reading(engine) as connection:
        number = read_rows(connection, "transients", [mine.id])["newsource"].tolist()[0]
    barrier, failures = threading.Barrier(5), []

    def work(task):
        barrier.wait()
        try:
            task()
        except Exception as error:  # noqa: BLE001 (of any thread)
            failures.append(error)

    def rate_often(rater):
        for _ in range(5):
            with transaction(engine) as connection:
                rate_candidate(connection, mine.id, number, "true", rater=rater, now=NOW)

    tasks = [lambda rater=rater: rate_often(rater) for rater in ("Ada", "Bo", "Cy", "Di")]
    tasks.append(lambda: mine.process(FIELD.image(3, sources([121.0, 123.0], [10.0, 12.5], flux=1.0)), forced=forced))
    threads = [threading.Thread(target=work, args=[task]) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(mine.rows("SELECT id FROM ratedcandidate")) == 1
    assert len(mine.rows("SELECT id FROM rating")) == 20
    with reading(engine) as connection:
        assert sorted(read_rows(connection, "ratings", [mine.id])["rater"]) == ["Ada", "Bo", "Cy", "Di"]
    assert check_database(engine) == []
    engine.dispose()


def test_new_tags_are_offered_after_the_usual_ones(made, candidates, rate, ask):
    assert ask(known_tags) == list(DEFAULT_TAGS)
    rate(made, candidates[0], "true", tags=["XRB", "ULX ", "  noise", ""])
    assert ask(known_tags) == [*DEFAULT_TAGS, "ULX", "XRB"]
    assert ask(read_rows, "ratings", [made.id])["tags"].tolist() == ["noise, ULX, XRB"]


REFUSED = [
    ({"rating": "perhaps"}, "rating perhaps is none of true, false, unsure"),
    ({"rater": " \n"}, "the name of the rater must have 1 to 100 characters, got 0"),
    ({"rater": "x" * 101}, "got 101"),
    ({"tags": ["a, b"]}, "without a comma"),
    ({"tags": [str(n) for n in range(21)]}, "at most 20 tags"),
    ({"tags": ["y" * 101]}, "a tag must have 1 to 100 characters"),
    ({"note": "z" * 10_001}, "at most 10000 characters, got 10001"),
]


def test_unsuitable_ratings_are_refused(made, candidates, rate):
    for values, message in REFUSED:
        with pytest.raises(ConfigError, match=message):
            rate(made, candidates[0], **{"rating": "true", **values})
    assert made.rows("SELECT id FROM ratedcandidate") == []


def test_hostile_text_is_kept_as_text(made, candidates, rate, ask):
    note = "<script>alert(1)</script> '; DROP TABLE rating; -- \ud800 \0 ok"
    rate(made, candidates[0], "true", rater="Ro\x1b[31mbert\n', 'true')", tags=["<b>"], note=note)
    rows = ask(read_rows, "ratings", [made.id])
    assert rows["rater"].tolist() == ["Ro\\x1b[31mbert ', 'true')"]
    assert rows["note"].tolist() == ["<script>alert(1)</script> '; DROP TABLE rating; -- ? \ufffd ok"]
    assert rows["tags"].tolist() == ["<b>"]


def test_candidate_of_another_dataset_is_no_candidate(made, candidates, rate, engine):
    other = days(dataset_maker(engine)())
    with pytest.raises(NotFoundError, match=rf"dataset {other.id} has no transient candidate {candidates[0]}"):
        rate(other, candidates[0], "true")
