"""Every command of the installed wheel runs, outside any checkout."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import sqlite3

import pytest
from installed_program import SERVICES

import trap
from trap import software
from trap.cli.parser import make_parser

pytestmark = pytest.mark.timeout(1200)  # one process does all the work, before the first test

JOB = "[source_extraction]\ndetection_threshold = 10\n[persistence]\ndescription = 'of TraP'\n"
SURVEY = "--timesteps 4 --bands 1 --size 128 --steady 8 --variables 1 --transients 1"
STEPS = (
    ("config init trap.toml", "trap.toml"),
    ("config import job_params.cfg --output job.toml", "job.toml"),
    ("config show job.toml", "detection_threshold = 10"),
    (f"simulate sky {SURVEY}", "4 images in sky"),
    ("run one.toml --no-prefect --images sky/*.fits --database trap.db --name first", "4 images, 4 accepted"),
    ("inspect sky/t0000_b00.fits --config one.toml --plot inspected.png", "1 image: 1 usable"),
    ("fix-headers fix.toml sky/t0000_b00.fits --dry-run", "NCORE"),
    ("extract sky/t0000_b00.fits --csv --regions --skymodel --votable --rms-map --output-dir found", "point like"),
    ("run one.toml --no-prefect --images sky/*.fits --database trap.db --name second --new-dataset", "4 accepted"),
    ("dataset list --database trap.db", "first(.|\n)*second"),
    ("dataset show 1 --database trap.db --all", "detection_threshold"),
    ("dataset calibration 1 --database trap.db --plot calibration.png", "gain"),
    ("dataset compare 1 2 --database trap.db", "1 +first|same|differ"),
    ("dataset rename 2 renamed --database trap.db", "renamed"),
    ("dataset forget 2 2026-01-01T03:00:00 --yes --database trap.db", ""),
    ("dataset delete 3 --yes --database trap.db", ""),
    ("candidates 1 --database trap.db", "candidate"),
    ("variables 1 --database trap.db", "entry"),
    ("lightcurve 1 --entry 1 --database trap.db --plot curve.png --cutouts cutouts.png", "forced|blind"),
    ("export 1 --what sources --format votable --output sources.xml --database trap.db", ""),
    ("export 1 --what lightcurves --format fits --output curves.fits --database trap.db", ""),
    ("export 1 --what coverage --format moc --output area.fits --database trap.db", ""),
    ("report 1 --output report.html --database trap.db", "report.html"),
    ("db init --database new.db", ""),
    ("db upgrade --database trap.db", ""),
    ("db check --database trap.db", ""),
    ("db vacuum --database trap.db", ""),
    ("db dump copy.dump --database trap.db", "copy.dump"),
    ("db restore copy.dump --database restored.db", ""),
    ("demo demo --no-prefect --timesteps 3 --bands 1 --size 128", "no problems"),
)
"""Commands in the order of their use, and a text that each prints."""
WITHOUT_EXTRAS = (
    ("export 1 --what sources --format parquet --output a.parquet --database trap.db", "parquet"),
    ("export 1 --what sources --format hats --output hats --database trap.db", "hats"),
    ("inspect table.image", "casa"),
    ("run --no-prefect --images sky/*.fits --database new.db --dask tcp://127.0.0.1:1", "dask"),
)
"""Commands that need a library which only an extra brings."""
ORDINARY_USER = 65534


@pytest.fixture(scope="module")
def results(installation):
    """Results of all steps, by the words of each: exit code, output and messages."""
    (installation.folder / "job_params.cfg").write_text(JOB)
    (installation.folder / "fix.toml").write_text("[fix-headers]\nncore = 41\n")
    (installation.folder / "one.toml").write_text("[execution]\nn_workers = 1\n")
    (installation.folder / "table.image").mkdir()
    (installation.folder / "table.image" / "table.dat").touch()
    steps = [step for step, _ in (*STEPS, *WITHOUT_EXTRAS)]
    return installation.run_all(steps)


@pytest.mark.parametrize(("step", "text"), STEPS)
def test_command_runs(results, step, text):
    code, output, messages = results[step]
    assert code == 0, output + messages
    assert re.search(text, output + messages), output + messages
    assert "Traceback" not in messages


@pytest.mark.parametrize(("step", "extra"), WITHOUT_EXTRAS)
def test_without_an_extra_one_line_names_the_command_that_installs_it(results, step, extra):
    code, output, messages = results[step]
    assert code in {1, 3}
    assert software.install_command(extra) in output + messages
    assert "Traceback" not in messages


@pytest.mark.parametrize("step", [step for step, _ in STEPS])
def test_file_that_a_command_names_is_written(results, installation, step):
    names = re.findall(r"(?:--output|-o|--plot|--cutouts|dump|init) (\S+\.\w+)", step)
    for name in names:
        assert (installation.folder / name).stat().st_size > 0


def test_every_command_is_among_the_steps_or_the_services():
    def commands(parser, words=()):
        groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
        if not groups:
            yield " ".join(words)
        for group in groups:
            for name, below in group.choices.items():
                yield from commands(below, (*words, name))

    every = set(commands(make_parser()))
    tested = {" ".join(shlex.split(step)[:n]) for step, _ in STEPS for n in (1, 2)} | set(SERVICES)
    assert every - tested == set()


def test_program_has_the_version_and_the_commit_of_its_source(installation):
    first, second, *libraries = installation.run("--version").splitlines()
    assert first == f"transients {trap.__version__}"
    assert second == f"commit {software.commit()}"
    assert any(line.startswith("numpy ") for line in libraries)


def test_record_of_a_run_agrees_with_the_version_that_is_shown(results, installation):
    assert results[STEPS[-1][0]][0] == 0
    with sqlite3.connect(installation.folder / "trap.db") as connection:
        ((software_of_run,),) = connection.execute("SELECT DISTINCT software FROM run").fetchall()
    recorded = [f"{name} {version}" for name, version in json.loads(software_of_run).items()]
    shown = installation.run("--version").splitlines()
    assert recorded == [f"trap {trap.__version__}", shown[1], shown[2].lower(), *shown[3:]]


def test_nothing_is_imported_from_the_checkout(installation):
    words = ("-c", "import sys, trap, flows; print(trap.__file__, flows.__file__, sys.path)")
    done = installation.call("python", *words)
    assert str(installation.packages) in done.stdout
    assert str(trap.__path__[0]) not in done.stdout


@pytest.mark.skipif(os.getuid() != 0, reason="only root may start a program as another user")
def test_user_who_can_write_neither_the_installation_nor_a_home_runs_the_pipeline(
    results, installation, tmp_path_factory
):
    if not str(os.path.realpath(installation.programs / "python")).startswith("/usr/"):
        pytest.skip("the interpreter lies in a folder that other users cannot read")
    folder = installation.environment.parent / "of-another-user"
    folder.mkdir()
    os.chown(folder, ORDINARY_USER, ORDINARY_USER)
    sky = folder / "sky"
    sky.mkdir()
    for image in (installation.folder / "sky").glob("*.fits"):
        (sky / image.name).write_bytes(image.read_bytes())
    user = {
        "cwd": folder, "user": ORDINARY_USER, "group": ORDINARY_USER, "extra_groups": [],
        "env": installation.all_variables(HOME="/nonexistent", TMPDIR=str(folder)),
    }  # fmt: skip
    installation.run("run", "--no-prefect", "--images", "sky/*.fits", "--database", "own.db", **user)
    shown = installation.run("dataset", "show", "1", "--database", "own.db", **user)
    assert "4 images, 4 accepted" in shown
