from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from results_survey import HOSTILE, make_survey, url_of

from trap.db.engine import make_engine, transaction
from trap.db.ratings import rate_candidate
from trap.errors import ConfigError
from trap.results import open_dataset

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)


@pytest.fixture
def rated(database_url):
    """The survey with its candidate, which two people have rated."""
    engine = make_engine(database_url)
    survey = make_survey(engine)
    dataset = open_dataset(url_of(engine), survey.id)
    (number,) = dataset.transients()["newsource"].tolist()
    with transaction(engine) as connection:
        for rater, rating, note in (("Ada", "false", ""), (HOSTILE, "true", HOSTILE), ("Ada", "true", "a flare")):
            rate_candidate(connection, survey.id, number, rating, rater=rater, now=NOW, tags=["pulsar"], note=note)
    yield dataset
    engine.dispose()


def test_ratings_are_rows_for_training(rated):
    rows = rated.ratings()
    (candidate,) = rated.transients()
    assert rows["rating"].tolist() == ["true", "true"]
    assert rows["note"][1] == "a flare"
    assert rows["note"][0] == HOSTILE
    assert rows["rated_ts"][0].isot == "2026-11-29T12:00:00"
    assert rows["f_int"].unit == "Jy"
    assert rows["f_int"][1] == candidate["f_int"]
    assert rows["newsource"].tolist() == [candidate["newsource"]] * 2
    # The transient of the survey is at 124.1 +9.3.
    assert rows.coordinates[0].separation(candidate_place(124.1, 9.3)).arcsec < 1
    assert all(rows[name].info.description for name in rows.colnames)


def candidate_place(ra, dec):
    from astropy.coordinates import SkyCoord  # noqa: PLC0415

    return SkyCoord(ra, dec, unit="deg")


def test_ratings_have_the_filters_of_candidates(rated):
    assert len(rated.ratings("124.1 9.3", radius=10)) == 2
    assert len(rated.ratings("124.1 9.4", radius=10)) == 0
    assert rated.ratings(min_f_int=0.5, columns=["rater"], order="rater", limit=1)["rater"].tolist() == [
        min("Ada", rated.ratings()["rater"].tolist()[0])
    ]
    assert len(rated.ratings(max_f_int=0.5)) == 0
    with pytest.raises(ConfigError, match="no column 'verdict'"):
        rated.ratings(columns=["verdict"])


def test_agreement_and_consensus_are_tables(rated):
    (pair,) = rated.rating_agreement()
    assert (pair["n_common"], pair["agreement"]) == (1, 1.0)
    assert np.isnan(pair["kappa"])
    (row,) = rated.rating_consensus()
    assert (row["n_true"], row["consensus"], row["share"]) == (2, "true", 1.0)
    assert row["newsource"] == rated.transients()["newsource"][0]
    assert len(rated.rating_agreement(until="2000-01-01")) == 0
    assert rated.rating_consensus(near="124.1 9.4", radius=10).colnames == rated.rating_consensus().colnames
