from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from contextlib import suppress
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from sqlalchemy import create_engine, text

import trap.live.live_run
import trap.pipeline
from trap.cli import main
from trap.cli.live import find_live_runner
from trap.cli.run import find_runner
from trap.cli.terminal import program
from trap.config import load_config
from trap.errors import ConfigError


@pytest.fixture
def images(survey, tmp_path):
    """A folder of the test's own with three of the survey's images."""
    folder = tmp_path / "images"
    folder.mkdir()
    for path in sorted(survey.glob("t*.fits"))[:3]:
        (folder / path.name).symlink_to(path)
    return folder


def run(tmp_path, *words):
    return main(["run", "--database", f"sqlite:///{tmp_path / 'trap.db'}", *map(str, words)])


def one_line(capsys):
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("transients: ")
    assert captured.err.count("\n") == 1
    return captured.err


def rows(tmp_path, query):
    engine = create_engine(f"sqlite:///{tmp_path / 'trap.db'}")
    with engine.connect() as connection:
        found = connection.execute(text(query)).all()
    engine.dispose()
    return found


def test_run_prints_its_results_and_the_next_commands(images, tmp_path, run_in_process, capsys):
    assert run(tmp_path, "--images", f"{images}/*.fits") == 0
    assert run_in_process == ["prefect"]
    output = capsys.readouterr().out
    assert "dataset 1: 3 timesteps stored, 3 images, 3 accepted" in output
    assert f"now: {program()} candidates 1 --database sqlite:///{tmp_path / 'trap.db'}\n" in output


def test_part_that_is_not_searched_is_in_the_summary_and_in_the_dataset(images, tmp_path, run_in_process, capsys):
    empty = images / "t9999_b00.fits"
    data, header = fits.getdata(min(images.glob("*.fits")), header=True)
    header["DATE-OBS"] = "2027-01-01T00:00:00"
    fits.writeto(empty, np.full_like(data, np.nan), header)
    settings = tmp_path / "trap.toml"
    settings.write_text("[source_extraction]\nextraction_radius_pix = 40\n")
    # The image without values is rejected, and has no searched part.
    assert run(tmp_path, settings, "--images", f"{images}/*.fits") == 3
    setting = "source_extraction.extraction_radius_pix"
    assert f"up to 69 % of each of 3 images was not searched: {setting}" in capsys.readouterr().out
    assert main(["dataset", "show", "1", "--database", f"sqlite:///{tmp_path / 'trap.db'}"]) == 0
    assert f"69 % of the image was not searched: {setting}" in capsys.readouterr().out


@pytest.mark.parametrize("compiled", [True, False])
def test_first_run_announces_the_compilation(images, tmp_path, run_in_process, monkeypatch, capsys, compiled):
    monkeypatch.setattr("trap.cli.run.is_compiled", lambda: compiled)
    run(tmp_path, "--images", f"{images}/*.fits")
    assert ("compiling, once" in capsys.readouterr().err) is not compiled


def test_no_prefect_asks_for_the_local_runner(images, tmp_path, run_in_process):
    run(tmp_path, "--images", f"{images}/*.fits", "--no-prefect")
    assert run_in_process == ["local"]


def test_second_run_adds_nothing_and_reports_it(images, tmp_path, run_in_process, capsys):
    run(tmp_path, "--images", f"{images}/*.fits")
    before = rows(tmp_path, "SELECT count(*) FROM extractedsource")
    capsys.readouterr()
    assert run(tmp_path, "--images", f"{images}/*.fits", "--dataset", "1") == 0
    assert "3 images were already in dataset 1: nothing added" in capsys.readouterr().out
    assert rows(tmp_path, "SELECT count(*) FROM extractedsource") == before


def test_same_command_continues_the_dataset_unless_a_new_one_is_requested(images, tmp_path, run_in_process, capsys):
    run(tmp_path, "--images", f"{images}/*.fits")
    assert run(tmp_path, "--images", f"{images}/*.fits") == 0
    assert "3 images were already in dataset 1: nothing added" in capsys.readouterr().out
    assert run(tmp_path, "--images", f"{images}/*.fits", "--new-dataset") == 0
    assert "dataset 2: 3 timesteps stored" in capsys.readouterr().out


def test_renamed_dataset_is_continued_by_the_same_command(images, tmp_path, run_in_process, capsys):
    words = ("--images", f"{images}/*.fits")
    run(tmp_path, *words)
    assert main(["dataset", "rename", "1", "first try", "--database", f"sqlite:///{tmp_path / 'trap.db'}"]) == 0
    assert run(tmp_path, *words) == 0
    assert "3 images were already in dataset 1: nothing added" in capsys.readouterr().out


def test_new_images_of_a_known_field_start_a_dataset_with_advice(images, tmp_path, run_in_process, capsys):
    first, second, third = sorted(images.glob("*.fits"))
    run(tmp_path, "--images", first)
    assert "same field" not in capsys.readouterr().out
    advice = (
        "new dataset {}; dataset 1 ('TraP dataset') holds the same field, bands and settings: "
        "to extend it, add --dataset 1"
    )
    run(tmp_path, "--images", second)
    assert advice.format(2) in capsys.readouterr().out.splitlines()
    for words in (("--new-dataset",), ("--name", "own")):
        run(tmp_path, "--images", third, *words)
        assert "same field" not in capsys.readouterr().out
    run(tmp_path, "--images", first, third)
    assert "same field" not in capsys.readouterr().out


def test_dataset_is_created_and_extended_by_its_name(images, tmp_path, run_in_process, capsys):
    first, second, third = sorted(images.glob("*.fits"))
    run(tmp_path, "--images", first, "--name", "pulsar")
    run(tmp_path, "--images", second, "--name", "pulsar")
    run(tmp_path, "--images", third, "--name", "other")
    assert rows(tmp_path, "SELECT dataset, count(*) FROM image GROUP BY dataset ORDER BY dataset") == [(1, 2), (2, 1)]
    assert rows(tmp_path, "SELECT id, description FROM dataset ORDER BY id") == [(1, "pulsar"), (2, "other")]
    # A name given later by a rename counts too, unless several datasets have it.
    for number in (1, 2):
        main(["dataset", "rename", str(number), "field", "--database", f"sqlite:///{tmp_path / 'trap.db'}"])
        capsys.readouterr()
        code = run(tmp_path, "--images", third, "--name", "field")
        assert code == number - 1
    assert "several datasets are named 'field': 1, 2; select one by its number, with --dataset" in one_line(capsys)


def test_name_of_a_dataset_with_other_settings_is_refused(images, tmp_path, run_in_process, capsys):
    run(tmp_path, "--images", f"{images}/*.fits", "--name", "pulsar")
    file = tmp_path / "trap.toml"
    file.write_text("[association]\nderuiter_radius = 3.0\n")
    capsys.readouterr()
    assert run(tmp_path, file, "--images", f"{images}/*.fits", "--name", "pulsar") == 1
    assert "dataset 1 was made with other settings: association.deruiter_radius is 3.0" in one_line(capsys)
    assert run(tmp_path, file, "--images", f"{images}/*.fits", "--name", "pulsar", "--new-dataset") == 0
    assert rows(tmp_path, "SELECT description FROM dataset") == [("pulsar",), ("pulsar",)]


def test_name_and_number_of_a_dataset_exclude_each_other(images, tmp_path, capsys):
    assert run(tmp_path, "--images", f"{images}/*.fits", "--name", "pulsar", "--dataset", "1") == 1
    assert "--name and --dataset both select a dataset; to rename dataset 1:" in one_line(capsys)


def test_other_settings_are_listed_and_refused_unless_a_new_dataset_is_requested(
    images, tmp_path, run_in_process, capsys
):
    run(tmp_path, "--images", f"{images}/*.fits")
    file = tmp_path / "trap.toml"
    file.write_text("[association]\nderuiter_radius = 3.0\n")
    capsys.readouterr()
    assert run(tmp_path, file, "--images", f"{images}/*.fits") == 1
    error = one_line(capsys)
    assert "association.deruiter_radius is 3.0 instead of 5.68" in error
    assert "--new-dataset" in error
    assert run(tmp_path, file, "--images", f"{images}/*.fits", "--new-dataset") == 0


def test_monitored_positions_are_added_to_a_dataset_once(images, tmp_path, run_in_process, capsys):
    monitor = tmp_path / "monitor.json"
    words = ("--images", f"{images}/*.fits", "--monitor", monitor)
    monitor.write_text("[[0.02, 45.02]]")
    run(tmp_path, *words)
    monitor.write_text('[{"name": "pulsar", "ra": 0.03, "dec": 45.02}, {"name": "far", "ra": 90, "dec": 0}]')
    capsys.readouterr()
    assert run(tmp_path, *words) == 0
    output = capsys.readouterr().out
    assert "2 monitored positions added, measured in 3 of 3 earlier images\n" in output
    assert "1 of 3 monitored positions never measured: far (outside all images)\n" in output
    before = rows(tmp_path, "SELECT * FROM extractedsource")
    assert run(tmp_path, *words) == 0
    assert "added" not in capsys.readouterr().out.replace("nothing added", "")
    assert rows(tmp_path, "SELECT * FROM extractedsource") == before


def test_bad_images_are_listed_with_their_reasons(images, tmp_path, run_in_process, capsys):
    first = min(images.glob("*.fits"))
    (images / "broken.fits").write_bytes(first.read_bytes()[:4000])
    data, header = fits.getdata(first, header=True)
    fits.writeto(images / "empty.fits", np.full_like(data, np.nan), header)
    del header["BMAJ"]
    fits.writeto(images / "beamless.fits", data, header)
    assert run(tmp_path, "--images", f"{images}/*.fits") == 3
    output = capsys.readouterr().out
    assert "3 images left out:" in output
    for name, reason in (("broken", "unreadable: "), ("empty", "contains NaN"), ("beamless", "beam invalid")):
        (line,) = [line for line in output.splitlines() if f"{name}.fits" in line]
        assert reason in line
    assert "3 accepted" in output


def test_options_go_before_the_file(images, tmp_path, run_in_process):
    file = tmp_path / "trap.toml"
    file.write_text(
        '[persistence]\ndescription = "mine"\n[execution]\nimages = ["nowhere.fits"]\ndatabase = "sqlite:///other.db"\n'
    )
    assert run(tmp_path, file, "--images", *sorted(images.glob("*.fits"))) == 0
    assert rows(tmp_path, "SELECT description FROM dataset") == [("mine",)]


def test_monitored_positions_are_measured(images, tmp_path, run_in_process):
    monitor = tmp_path / "monitor.json"
    monitor.write_text('[{"name": "nothing there", "ra": 0.02, "dec": 45.02}]')
    assert run(tmp_path, "--images", f"{images}/*.fits", "--monitor", monitor) == 0
    assert rows(tmp_path, "SELECT name FROM monitor") == [("nothing there",)]
    assert rows(tmp_path, "SELECT count(*) FROM extractedsource WHERE extract_type = 2") == [(3,)]


def test_logs_and_settings_go_to_the_folder(images, tmp_path, run_in_process):
    logs = tmp_path / "logs"
    assert run(tmp_path, "--images", f"{images}/*.fits", "--log-dir", logs) == 0
    events = [json.loads(line)["event"] for line in (logs / "trap.log").read_text().splitlines()]
    assert "run_planned" in events
    assert load_config(logs / "trap.toml").execution.images == (f"{images}/*.fits",)


def test_json_logs_are_json(images, tmp_path, run_in_process, capsys):
    run(tmp_path, "--images", f"{images}/*.fits", "--json-logs")
    assert all(json.loads(line)["event"] for line in capsys.readouterr().err.splitlines())


def test_progress_is_shown_on_a_terminal_alone(images, tmp_path, run_in_process, capsys, monkeypatch):
    run(tmp_path, "--images", f"{images}/*.fits")
    assert "timesteps" not in capsys.readouterr().err.replace("timesteps=", "")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    run(tmp_path, "--images", f"{images}/*.fits", "--new-dataset")
    assert "3/3" in capsys.readouterr().err


def test_password_is_neither_stored_nor_printed(images, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PGPASSWORD", "")
    seen = []

    def runner(config, **_):
        seen.append(config)
        raise ConfigError(config.execution.database)

    monkeypatch.setattr("trap.cli.run.find_runner", lambda _name: runner)
    assert main(["run", "--images", str(images), "--database", "postgresql://me:secret@host/sky"]) == 1
    assert seen[0].execution.database == "postgresql://me@host/sky"
    assert os.environ["PGPASSWORD"] == "secret"
    captured = capsys.readouterr()
    assert "secret" not in captured.out + captured.err


def test_no_images_is_one_line(tmp_path, run_in_process, capsys):
    assert run(tmp_path) == 1
    assert "no images given" in one_line(capsys)


def test_pattern_without_images_is_one_line(tmp_path, run_in_process, capsys):
    assert run(tmp_path, "--images", tmp_path / "*.fits") == 1
    assert "no image matches" in one_line(capsys)


def test_missing_configuration_is_one_line(tmp_path, run_in_process, capsys):
    assert run(tmp_path, tmp_path / "no.toml") == 1
    assert "no.toml: cannot read the configuration" in one_line(capsys)


def test_missing_dataset_is_one_line(images, tmp_path, run_in_process, capsys):
    assert run(tmp_path, "--images", f"{images}/*.fits", "--dataset", "7") == 1
    assert "no dataset 7" in one_line(capsys)


def test_unreachable_database_is_one_line(images, run_in_process, capsys):
    database = "postgresql://nobody@127.0.0.1:1/nothing"
    assert main(["run", "--images", f"{images}/*.fits", "--database", database]) == 1
    assert "cannot open the database" in one_line(capsys)


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (
            ("--new-dataset",),
            "to continue, add --dataset and the number shown by: {trap} dataset list --database {database}\n",
        ),
        ((), "to continue, run the same command again\n"),
        (("--dataset", "1"), "to continue, run the same command again\n"),
    ],
)
def test_interrupt_ends_with_130_and_a_hint_to_continue(images, tmp_path, monkeypatch, capsys, options, hint):
    def runner(_config, **_):
        raise KeyboardInterrupt

    monkeypatch.setattr("trap.cli.run.find_runner", lambda _name: runner)
    assert run(tmp_path, "--images", f"{images}/*.fits", *options) == 130
    line = one_line(capsys)
    assert line.startswith("transients: stopped; stored timesteps are kept")
    assert line.endswith(hint.format(trap=program(), database=f"sqlite:///{tmp_path / 'trap.db'}"))


@pytest.mark.parametrize("seconds", [0.3, 1.5, 4.0, 6.0, 9.0])
def test_interrupt_at_any_moment_ends_with_one_line(survey, tmp_path, seconds):
    words = ["run", "--images", f"{survey}/t*.fits", "--no-prefect", "--database", f"sqlite:///{tmp_path / 'trap.db'}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "trap", *words], stderr=subprocess.PIPE, text=True, start_new_session=True, cwd=tmp_path
    )
    time.sleep(seconds)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=100)
    assert "Traceback" not in errors
    if process.returncode != 0:  # on a fast machine, the run may have ended before
        assert process.returncode == 130
        hint = "stored timesteps are kept; to continue, run the same command again"
        assert errors.splitlines()[-1] == f"transients: stopped; {hint}"


def test_interrupt_after_the_run_leaves_its_exit_code():
    # The interpreter gives the signal back to the operating system before it frees its memory, which takes a while.
    script = (
        "import atexit, os, signal, sys\n"
        "from trap.cli import main\n"
        "atexit.register(os.kill, os.getpid(), signal.SIGINT)\n"
        "sys.argv = ['transients', 'config', 'show']\n"
        "sys.exit(main())\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_interrupt_of_what_stores_nothing_promises_nothing(tmp_path, monkeypatch, capsys):
    def simulate(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("trap.cli.simulate.simulate_survey", simulate)
    assert main(["simulate", str(tmp_path)]) == 130
    assert one_line(capsys) == "transients: stopped\n"


def test_local_runner_is_the_pipeline():
    assert find_runner("local") is trap.pipeline.run_locally


def test_prefect_runner_is_a_flow_of_ours():
    assert find_runner("prefect").__module__ == "flows.process_dataset"


def test_unknown_runner_is_refused():
    with pytest.raises(ConfigError, match="no runner 'dask' is installed"):
        find_runner("dask")


def test_live_runners_are_a_group_of_their_own(monkeypatch):
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    declared = EntryPoints(
        EntryPoint(name, target, group)
        for group, targets in project["entry-points"].items()
        for name, target in targets.items()
    )
    monkeypatch.setattr("trap.cli.run.entry_points", declared.select)
    assert find_live_runner("local") is trap.live.live_run.run_live_locally
    assert find_live_runner("prefect").__module__ == "flows.live"
    assert find_runner("local") is trap.pipeline.run_locally
    with pytest.raises(ConfigError, match="no runner 'dask' is installed .*'trap.live_runners'"):
        find_live_runner("dask")
