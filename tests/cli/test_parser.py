"""What the command line accepts, and how little it takes to say so."""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
from pathlib import Path
from pkgutil import resolve_name

import numpy as np
import pytest

import trap
from trap.cli import main
from trap.cli.parser import make_parser
from trap.software import software_versions

HEAVY = (
    "astropy",
    "matplotlib",
    "numpy",
    "photutils",
    "prefect",
    "pydantic",
    "rich",
    "scipy",
    "sqlalchemy",
    "structlog",
)


def commands():
    """Every sub-command, as the words that call it."""

    def below(parser, words):
        groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
        if not groups:
            yield words
        for group in groups:
            for name, sub in group.choices.items():
                yield from below(sub, [*words, name])

    return list(below(make_parser(), []))


@pytest.mark.parametrize("words", [[], *commands()], ids=" ".join)
def test_help_of_every_command_is_shown(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    assert ended.value.code == 0
    assert "usage: transients" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["run"],
        ["live", "--folder", "incoming"],
        ["demo"],
        ["simulate", "sky"],
        ["config", "init"],
        ["config", "show"],
        ["config", "import", "job_params.cfg"],
        ["fix-headers", "inject.cfg", "a.fits"],
        ["inspect", "a.fits"],
        ["extract", "a.fits"],
        ["dataset", "list"],
        ["dataset", "show", "1"],
        ["dataset", "calibration", "1"],
        ["dataset", "rename", "1", "a new name"],
        ["dataset", "delete", "1"],
        ["dataset", "forget", "1", "2026-01-31T12:00:00"],
        ["dataset", "compare", "1", "2"],
        ["db", "init"],
        ["db", "upgrade"],
        ["db", "check"],
        ["db", "vacuum"],
        ["db", "dump", "copy.db"],
        ["db", "restore", "copy.db"],
        ["candidates", "1"],
        ["variables", "1"],
        ["lightcurve", "1", "150.0", "-30.0"],
        ["export", "1", "--what", "sources", "--format", "csv"],
        ["report", "1"],
        ["serve"],
        ["deploy"],
        ["ui"],
        ["worker"],
        ["watch", "/incoming"],
    ],
    ids=" ".join,
)
def test_every_command_has_a_handler(words):
    assert callable(resolve_name(make_parser().parse_args(words).handler))


def test_no_command_is_forgotten_in_the_test_above():
    marks = test_every_command_has_a_handler.pytestmark[0].args[1]
    every = {tuple(words) for words in commands()}
    assert every == {next(known for known in every if tuple(words[: len(known)]) == known) for words in marks}


def test_version_is_shown(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    lines = dict(line.split(" ", 1) for line in capsys.readouterr().out.splitlines())
    assert list(lines)[:3] == ["transients", "commit", "Python"]
    recorded = software_versions()
    assert list(lines.values()) == list(recorded.values())
    assert (lines["transients"], lines["Python"]) == (trap.__version__, platform.python_version())
    assert lines["numpy"] == np.__version__


@pytest.mark.parametrize("called", ["parser.make_parser()", "version.version_text(software.software_versions())"])
def test_help_and_version_wait_for_no_heavy_import(called):
    code = f"import sys; from trap import software; from trap.cli import parser, version; {called}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {name.partition(".")[0] for name in done.stdout.split()} & set(HEAVY)


def test_run_takes_its_options():
    words = ["run", "t.toml", "--images", "a.fits", "b.fits", "--images", "c.fits", "--database", "sqlite:///x.db"]
    words += ["--monitor", "m.json", "--dataset", "3", "--no-prefect", "--log-dir", "logs", "--verbose", "--json-logs"]
    arguments = make_parser().parse_args(words)
    assert arguments.config == Path("t.toml")
    assert arguments.images == ["a.fits", "b.fits", "c.fits"]
    assert (arguments.database, arguments.monitor, arguments.dataset) == ("sqlite:///x.db", Path("m.json"), 3)
    assert (arguments.no_prefect, arguments.log_dir, arguments.verbose, arguments.json_logs) == (
        True,
        Path("logs"),
        True,
        True,
    )


def test_negative_declination_is_no_option():
    for declination in ("-30.0161", "-30:00:58", "-30d00m58s"):
        arguments = make_parser().parse_args(["lightcurve", "1", "149.98", declination])
        assert arguments.position == ["149.98", declination]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["run", "--dataset", "one"], "invalid int value: 'one'"),
        (["demo", "--timesteps", "-1"], "-1 is negative"),
        (["inspect"], "IMAGE"),
        (["extract"], "IMAGE"),
        (["candidates", "1", "--csv", "--json"], "not allowed with"),
    ],
)
def test_wrong_arguments_end_with_2(words, complaint, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["candidats", "1"], "candidates"),
        (["dataset", "lsit"], "list"),
        (["run", "--databse", "sky.db"], "--database"),
        (["candidates", "1", "--format", "jsn"], "json"),
    ],
    ids=" ".join,
)
def test_misspelt_word_is_answered_with_the_nearest(words, near, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert capsys.readouterr().err.rstrip().endswith(f"; did you mean {near}?")
