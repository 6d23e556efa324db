"""A dataset that forgets timesteps is the dataset that never had them."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime

import numpy as np
import pytest

from trap.catalogues import MonitorPositions
from trap.cli import main
from trap.config import PipelineConfig
from trap.db.comparison import Side, Tolerances, compare_datasets
from trap.db.datasets import number_of_key
from trap.db.engine import make_engine, reading, transaction
from trap.db.ratings import rate_candidate
from trap.db.result_tables import read_rows
from trap.pipeline import run_locally
from trap.results import open_dataset
from trap.simulation.survey import SurveyConfig, simulate_survey

N_TIMES = 4
MONITORS = MonitorPositions.of(ra=[0.01], dec=[45.01], name=["field"])


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """Images of four timesteps, one hour apart, with a transient."""
    folder = tmp_path_factory.mktemp("survey")
    config = SurveyConfig(n_timesteps=N_TIMES, n_bands=1, size=96, n_steady=4, n_variables=1, n_transients=1)
    simulate_survey(folder, config)
    return folder


@pytest.fixture
def images(survey, tmp_path):
    shutil.copytree(survey, tmp_path / "images")
    return sorted(str(path) for path in (tmp_path / "images").rglob("*.fits"))


@pytest.fixture
def sqlite_url(tmp_path):
    return f"sqlite:///{tmp_path / 'trap.db'}"


def process_into(database_url):
    def run(images, **persistence):
        execution = {"database": database_url, "images": tuple(images), "n_workers": 1}
        config = PipelineConfig().with_options(execution=execution, persistence={"dataset_id": -1} | persistence)
        return run_locally(config, monitors=MONITORS).dataset_id

    return run


@pytest.fixture
def process(database_url):
    return process_into(database_url)


def forget(number, *times, database, yes=("--yes",)):
    return main(["dataset", "forget", str(number), *times, *yes, "--database", database])


def differences(database, first, second):
    engine = make_engine(database)
    with reading(engine) as connection:
        found = compare_datasets(Side(connection, first), Side(connection, second), Tolerances())
    engine.dispose()
    return found


def rate_candidates(database, number):
    """Rate all candidates of a dataset; return the starts of their images."""
    engine = make_engine(database)
    with transaction(engine) as connection:
        rows = read_rows(connection, "transients", [number])
        for candidate in rows["newsource"].tolist():
            rate_candidate(connection, number, candidate, "true", rater="Ada", now=datetime.now(UTC))
    engine.dispose()
    assert len(rows["newsource"]) > 0
    return np.datetime_as_string(rows["taustart_ts"], unit="s").tolist()


@pytest.mark.parametrize(
    ("times", "kept"),
    [
        (["2026-01-01T03:00:00"], [0, 1, 2]),
        (["2026-01-01T01:00:00+01:00", "2026-01-01 02:00"], [1, 3]),
    ],
)
def test_result_is_that_of_a_dataset_that_never_had_the_timesteps(process, images, database_url, capsys, times, kept):
    number = process(images, dataset_key="field")
    starts = rate_candidates(database_url, number)
    assert forget(number, *times, database=database_url) == 0
    assert f"replaces dataset {number}" in capsys.readouterr().out
    reference = process([images[place] for place in kept])
    engine = make_engine(database_url)
    with reading(engine) as connection:
        replacement = number_of_key(connection, "field")
    engine.dispose()
    assert replacement not in {None, number}
    assert differences(database_url, replacement, reference) == []
    # Ratings stay, also that of a candidate without earlier images, which is none any more.
    rows, left = (getattr(open_dataset(database_url, replacement), name)() for name in ("ratings", "transients"))
    assert rows["taustart_ts"].isot.tolist() == starts
    assert [number for number in rows["newsource"].tolist() if number is not None] == left["newsource"].tolist()


def test_database_of_the_current_folder_needs_no_option(images, sqlite_url, monkeypatch, tmp_path, capsys):
    number = process_into(sqlite_url)(images)
    monkeypatch.chdir(tmp_path)
    assert main(["dataset", "forget", str(number), "2026-01-01T03:00:00", "--yes"]) == 0
    assert f"replaces dataset {number}" in capsys.readouterr().out


def test_later_images_are_added_after_a_wrong_date_was_forgotten(images, sqlite_url):
    process = process_into(sqlite_url)
    number = process([*images[:2], images[3]], dataset_key="night")
    assert forget(number, "2026-01-01T03:00:00", database=sqlite_url) == 0
    engine = make_engine(sqlite_url)
    with reading(engine) as connection:
        replacement = number_of_key(connection, "night")
    engine.dispose()
    assert process(images[2:3], dataset_id=replacement) == replacement
    assert differences(sqlite_url, replacement, process(images[:3])) == []


WRONG_TIMES = [
    (["2026-01-01T09:00:00"], "the nearest starts at 2026-01-01T03:00:00"),
    (["yesterday"], "'yesterday' is no time"),
    (["2026-01-01T03:00:00", "2027-01-01"], "no timestep starts at 2027-01-01"),
]


def test_a_time_that_is_no_timestep_changes_nothing(images, sqlite_url, capsys):
    process = process_into(sqlite_url)
    number = process(images)
    for times, message in WRONG_TIMES:
        assert forget(number, *times, database=sqlite_url) == 1
        assert message in capsys.readouterr().err
    assert differences(sqlite_url, number, process(images)) == []


def test_a_dataset_stays_if_an_image_is_gone_or_nobody_confirms(images, sqlite_url, tmp_path, capsys):
    process = process_into(sqlite_url)
    number = process(images)
    assert forget(number, "2026-01-01T03:00:00", database=sqlite_url, yes=()) == 1
    assert "confirm with --yes" in capsys.readouterr().err
    (tmp_path / "images" / images[0].rpartition("/")[2]).unlink()
    assert forget(number, "2026-01-01T03:00:00", database=sqlite_url) == 1
    assert f"1 of 3 images are gone or were replaced since, for example {images[0]}" in capsys.readouterr().err
