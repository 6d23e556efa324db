"""Opening and closing the dataset of a run."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from trap.catalogues import MonitorPositions
from trap.db.opening import open_dataset
from trap.errors import ConfigError, DatasetLockedError


def test_a_key_finds_the_dataset_that_was_made_with_it(database_url, config):
    keyed = config.with_options(
        execution={"database": database_url}, persistence={"dataset_id": -1, "dataset_key": "field"}
    )
    monitors = MonitorPositions.of(ra=[10.0], dec=[20.0], name=["watched"])
    numbers = []
    for given in (monitors, monitors, None):
        with open_dataset(keyed, given) as store:
            numbers.append(store.dataset_id)
    assert numbers == [numbers[0]] * 3
    others = keyed.with_options(persistence={"dataset_key": "other"})
    with open_dataset(others) as store:
        assert store.dataset_id != numbers[0]


def test_dataset_has_one_writer(database_url, config):
    config = config.with_options(execution={"database": database_url})
    with open_dataset(config) as store:
        again = config.with_options(persistence={"dataset_id": store.dataset_id})
        with pytest.raises(DatasetLockedError), open_dataset(again):
            pass


def test_missing_reference_catalogue_is_reported_before_a_database_is_made(tmp_path, config):
    path = tmp_path / "results.db"
    config = config.with_options(
        execution={"database": f"sqlite:///{path}"}, calibration={"flux_catalogue": str(tmp_path / "nvss.fits")}
    )
    with (
        pytest.raises(ConfigError, match=r"calibration\.flux_catalogue: .*nvss\.fits: No such file"),
        open_dataset(config),
    ):
        pass
    assert not path.exists()


class Interrupted(BaseException):
    """An interruption of a run from outside."""


@pytest.mark.parametrize(
    ("interruption", "state"), [(None, "done"), (Interrupted, "failed"), (KeyboardInterrupt, "stopped")]
)
def test_dataset_remembers_how_its_run_ended(database_url, engine, config, interruption, state):
    config = config.with_options(execution={"database": database_url})

    def run():
        with open_dataset(config):
            if interruption:
                raise interruption

    if interruption:
        with pytest.raises(interruption):
            run()
    else:
        run()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT state FROM dataset")).scalars().all() == [state]
