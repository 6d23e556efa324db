"""Datasets for the interface in Python: made-up measurements in both databases, and a survey with real pixels."""

from __future__ import annotations

import shutil

import pytest
from processed_survey import process_survey
from results_survey import make_survey, url_of

from trap.db.engine import make_engine
from trap.results import open_dataset


@pytest.fixture(scope="session")
def _survey_sqlite(_migrated_sqlite, tmp_path_factory):
    path = tmp_path_factory.mktemp("results") / "trap.db"
    shutil.copy(_migrated_sqlite, path)
    engine = make_engine(f"sqlite:///{path}")
    yield make_survey(engine)
    engine.dispose()


@pytest.fixture(scope="session")
def _survey_postgresql(postgres):
    with postgres.database() as url:
        engine = make_engine(url)
        yield make_survey(engine)
        engine.dispose()


@pytest.fixture
def survey(dialect, request):
    """Return the dataset of :func:`make_survey`; it is not to be changed."""
    return request.getfixturevalue(f"_survey_{dialect}")


@pytest.fixture
def opened(survey):
    """Return the survey as a notebook opens it."""
    return open_dataset(url_of(survey.engine), survey.id)


@pytest.fixture
def steady(survey):
    """Return the number of the entry at 122.0 +10.0."""
    return next(row["id"] for row in survey.entries() if abs(row["wm_ra"] - 122.0) < 0.01)


@pytest.fixture
def transient(survey):
    """Return the number of the entry at 124.1 +9.3."""
    return next(row["id"] for row in survey.entries() if abs(row["wm_ra"] - 124.1) < 0.01)


@pytest.fixture(scope="session")
def pictures_url(tmp_path_factory):
    return process_survey(tmp_path_factory.mktemp("pictures"))


@pytest.fixture
def pictures(pictures_url):
    """Return a dataset of simulated images, whose files exist."""
    return open_dataset(pictures_url, 1)
