"""Configurations, logs, backups and the order of images in time."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime

import pytest
import structlog
from structlog.testing import capture_logs

from trap.config import PipelineConfig, write_config
from trap.db.engine import make_engine
from trap.db.schema import upgrade
from trap.errors import ConfigError
from trap.quality import RejectReason
from trap.steps import misc


def at(hour):
    return datetime(2012, 1, 1, hour, tzinfo=UTC)


def test_images_are_grouped_by_time_and_ordered_by_frequency_and_stokes():
    images = [
        misc.ImageMetadataForSort("late", at(2), 1e8),
        misc.ImageMetadataForSort("high", at(1), 2e8),
        misc.ImageMetadataForSort("low V", at(1), 1e8, 4),
        misc.ImageMetadataForSort("low I", at(1), 1e8, 1),
    ]
    assert misc.group_per_timestep(images) == [(at(1), ["low I", "low V", "high"]), (at(2), ["late"])]


def test_no_images_make_no_groups():
    assert misc.group_per_timestep([]) == []


def test_equal_configurations_of_other_datasets_and_machines_match():
    first = PipelineConfig()
    second = first.with_options(persistence={"dataset_id": 3}, execution={"n_workers": 7})
    before = first.model_dump(), second.model_dump()
    assert misc.check_job_configs_match(first, second)
    assert (first.model_dump(), second.model_dump()) == before


def test_different_configurations_do_not_match_and_the_difference_is_logged():
    second = PipelineConfig().with_options(association={"deruiter_radius": 3.0})
    with capture_logs() as events:
        assert not misc.check_job_configs_match(PipelineConfig(), second)
    assert [event["setting"] for event in events] == ["association.deruiter_radius is 5.68 instead of 3.0"]


def test_settings_are_dumped_as_they_are_in_force(tmp_path):
    config = PipelineConfig().with_options(quality={"elliptical_x": 3.0})
    path = misc.dump_configs_to_logdir(tmp_path / "new" / "logs", config)
    assert misc.load_job_config(path) == config


def test_bad_settings_are_named_with_their_file(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text(write_config(PipelineConfig()).replace("force_beam = false", 'force_beam = "perhaps"'))
    with pytest.raises(ConfigError, match=r"bad.toml: source_extraction.force_beam: .*'perhaps'"):
        misc.load_job_config(path)


def test_log_directory_gets_every_event_as_json(tmp_path, capsys):
    try:
        misc.setup_logging(tmp_path / "logs")
        structlog.get_logger().info("sources_extracted", n_sources=3)
    finally:
        structlog.reset_defaults()
    (line,) = (tmp_path / "logs" / "trap.log").read_text().splitlines()
    assert json.loads(line)["n_sources"] == 3
    assert "sources_extracted" in capsys.readouterr().err


def test_backup_is_a_database(tmp_path):
    url = f"sqlite:///{tmp_path / 'trap.db'}"
    engine = make_engine(url)
    upgrade(engine)
    path = misc.dump_database_backup(url, tmp_path / "backups")
    engine.dispose()
    copy = sqlite3.connect(path)
    assert copy.execute("SELECT COUNT(*) FROM rejectreason").fetchone() == (len(RejectReason),)
    copy.close()
