from __future__ import annotations

import json
import os
import socket
import tomllib

import trap
from trap.db import runs
from trap.db.engine import transaction


def test_run_records_its_machine_software_and_settings(make_dataset, engine, ask, config):
    dataset = make_dataset()
    secret = config.with_options(execution={"database": "postgresql://me:secret@host/sky?password=secret"})
    with transaction(engine) as connection:
        number = runs.start_run(connection, dataset.id, secret)
        runs.end_run(connection, number, "done")
    table = ask(runs.run_table, dataset.id)
    (run,) = ({name: values[i] for name, values in table.items()} for i in range(len(table["id"])))
    assert (run["state"], run["host"], run["pid"]) == ("done", socket.gethostname(), os.getpid())
    assert run["config_hash"] == config.science_hash
    assert {"trap": trap.__version__}.items() <= json.loads(run["software"]).items()
    assert {"numpy", "python", "sqlalchemy"} <= json.loads(run["software"]).keys()
    assert "secret" not in run["config"]
    assert tomllib.loads(run["config"])["source_extraction"]["detection_threshold"] == 6.0
    assert ask(runs.latest_configs) == {dataset.id: run["config"]}


def test_page_of_a_run_is_recorded_without_its_password(make_dataset, engine, ask, config):
    dataset, other = make_dataset(), make_dataset()
    with transaction(engine) as connection:
        for number in (dataset.id, dataset.id, other.id):
            runs.start_run(connection, number, config)
        runs.record_page(connection, dataset.id, "https://me:secret@sky:4200/runs/flow-run/6?tab=logs")
    assert ask(runs.run_table, dataset.id)["page"].tolist() == [None, "https://sky:4200/runs/flow-run/6?tab=logs"]
    assert ask(runs.run_table, other.id)["page"].tolist() == [None]


def test_run_without_an_end_is_recorded_as_killed(make_dataset, engine, ask, config):
    dataset, other = make_dataset(), make_dataset()
    with transaction(engine) as connection:
        for number in (other.id, dataset.id, dataset.id):
            runs.start_run(connection, number, config)
    assert ask(runs.run_table, dataset.id)["state"].tolist() == ["killed", "running"]
    assert ask(runs.run_table, other.id)["state"].tolist() == ["running"]


def test_timestep_knows_the_run_that_stored_it(busy, engine, config):
    from busy_dataset import FIELD  # noqa: PLC0415

    with transaction(engine) as connection:
        number = runs.start_run(connection, busy.id, config)
    busy.process(FIELD.image(7))
    assert busy.column("SELECT run FROM timestep WHERE dataset = :dataset ORDER BY taustart_ts") == [None] * 4 + [
        number
    ]
