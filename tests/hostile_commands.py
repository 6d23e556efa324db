"""Random command lines, environments and folders that no user would write, for every command that ends by itself."""

from __future__ import annotations

import argparse
import os
import random
from pathlib import Path

from trap.cli.parser import make_parser

# Commands of servers, which run until they are stopped, and the demo, which is a survey and a run.
ENDLESS = {"deploy", "worker", "watch", "ui", "live", "demo"}
TEXTS = (
    "", " ", "\0", "a\0b", "\x1b[31m", "a\nb", "\u202e", "\udcff", "é" * 300, "x" * 20_000, "=1+1", "$x", "`x`",
    "[x](y)", "{}", "%s", "%(x)s", "{x}", "../../..", "/", ".", "~", "*", "[", "**/*", "-", "--", "None", "nan",
    "0x10", "1_000",
)  # fmt: skip
NUMBERS = (
    "0", "1", "-1", "2", "3", "-0", "nan", "inf", "-inf", "1e308", "-1e308", "1e400", "1e-320", "0.5", "2147483647",
    "2147483648", "-2147483649", "9223372036854775807", "9223372036854775808", "1" + "0" * 400, "9" * 5000, "",
)  # fmt: skip
URLS = (
    "sqlite://", "sqlite:///", "sqlite:////", "sqlite:///:memory:", "sqlite:///?mode=ro", "postgresql://", "mysql://a/b",
    "://", ":", "postgresql://u@127.0.0.1:1/x", "postgresql://u@127.0.0.1:99999/x", "postgresql://[/x", "http://x",
    "sqlite:///a\0b", "postgresql://u@127.0.0.1:1/x?connect_timeout=x", "sqlite:///%00", "oracle:", "sqlite:///\udcff",
)  # fmt: skip
CONTENTS = {
    "empty.toml": b"",
    "bytes.toml": bytes(range(256)),
    "deep.toml": b"a = " + b"[" * 3000 + b"]" * 3000,
    "dotted.toml": b".".join([b"a"] * 300) + b" = 1",
    "unknown.toml": b"[persistence]\nx = 1\n[y]\n",
    "types.toml": b"persistence = 3\nexecution = [1]\n",
    "dates.toml": b"[persistence]\ndescription = 2026-01-01\n[[reading.given]]\ntaustart_ts = 0001-01-01\n",
    "small.toml": b"[source_extraction]\nback_size_x = 4\nmargin = 60\nextraction_radius_pix = 1e-9\n",
    "extreme.toml": b"[quality]\nrms_rej_sigma = 1e-300\n[persistence]\nrms_est_fraction = 1000\n",
    "wide.toml": b"[association]\nderuiter_radius = 1e9\nbeamwidths_limit = 1e9\n[persistence]\nband_tolerance = 1e9\n",
    "inject.toml": b"[inject]\nBMAJ = nan\nTAU_TIME = 1e400\nDATE-OBS = 2026-01-01\nX = 'a\\nb'\n",
    "job.cfg": b"[persistence]\ndescription = %(x)s\n[database]\nport = 99999999\nhost = [\n",
    "deep.json": b"[" * 3000 + b"]" * 3000,
    "numbers.json": b"[[1e999, 2], [" + b"9" * 400 + b", 0]]",
    "names.json": b'[{"name": "a\\u0000\\u001b", "ra": 1, "dec": 2}, [0, 45]]',
    "bytes.csv": b"ra,dec\n\xff,\x00\n",
    "entities.xml": b'<!DOCTYPE a [<!ENTITY b "b"><!ENTITY c "&b;&b;">]><VOTABLE><a>&c;</a></VOTABLE>',
    "empty.fits": b"",
    "bytes.fits": bytes(range(256)) * 20,
    "header.fits": b"SIMPLE  =                    T".ljust(80) + b"NAXIS   =                   99".ljust(80),
    "text.fits": b"SIMPLE  = 'T'".ljust(2880),
    "a.db": b"SQLite format 3\0" + bytes(100),
    "text.db": b"no database\n" * 10,
    "dump.dump": b"PGDMP",
}


def make_folder(folder: Path) -> None:
    """Fill a folder with files that are no settings, positions, images or databases, and with links and folders."""
    for name, content in CONTENTS.items():
        (folder / name).write_bytes(content)
    (folder / "loop.fits").symlink_to("loop.fits")
    (folder / "dangling.toml").symlink_to("missing")
    for name in ("folder.fits", "folder.toml", "folder.db"):
        (folder / name).mkdir()
    (folder / os.fsdecode(b"\xff.fits")).write_bytes(b"SIMPLE  =")


def commands(parser: argparse.ArgumentParser, *before: str) -> dict[tuple[str, ...], argparse.ArgumentParser]:
    """Return the parser of every command that ends by itself, by the words of the command."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        return {before: parser}
    return {
        words: command
        for name, inner in groups[0].choices.items()
        if name not in ENDLESS
        for words, command in commands(inner, *before, name).items()
    }


COMMANDS = commands(make_parser())


def hostile_words(rng: random.Random, folder: Path, database: str) -> list[str]:
    """Choose a command with random arguments.

    Parameters
    ----------
    rng
        Source of random numbers.
    folder
        Folder of :func:`make_folder`, which may also hold good images.
    database
        URL of a good database, which the command may change.
    """
    words, parser = rng.choice(list(COMMANDS.items()))
    line = list(words)
    for action in parser._actions:
        if isinstance(action, argparse._HelpAction) or (action.option_strings and rng.random() < 0.7):
            if action.dest != "database":
                continue
            line += ["--database", database if rng.random() < 0.7 else _value(rng, action, folder)]
            continue
        line += rng.sample(action.option_strings, 1) if action.option_strings else []
        n = {None: 1, "+": rng.randint(1, 2), "*": rng.randint(0, 2), "?": rng.randint(0, 1)}.get(action.nargs, 0)
        line += [_value(rng, action, folder) for _ in range(n)]
    return line


def hostile_environment(rng: random.Random) -> dict[str, str]:
    """Choose variables of the environment; those of an environment cannot hold NUL."""
    values = [text for text in (*TEXTS, *NUMBERS, *URLS) if "\0" not in text]
    names = (
        "LANG", "TZ", "COLUMNS", "LINES", "TERM", "MPLBACKEND", "MATPLOTLIBRC", "TKP_DBENGINE", "TKP_DBPORT",
        "TKP_DBNAME", "NO_COLOR", "FORCE_COLOR", "XDG_CACHE_HOME", "TRAP_LOG_FORMAT", "PGPORT", "PGCONNECT_TIMEOUT",
    )  # fmt: skip
    return {name: rng.choice(values) for name in rng.sample(names, rng.randint(0, 2))}


def _value(rng: random.Random, action: argparse.Action, folder: Path) -> str:
    """Choose the value of an argument: mostly one of its kind."""
    values: list[object] = [*TEXTS, *sorted(folder.iterdir()) * 5]
    if rng.random() < 0.1:
        values = [*TEXTS, *NUMBERS, *URLS]
    elif action.choices is not None:
        values = [*action.choices, "x"]
    elif action.dest in {"timesteps", "bands", "size", "steady", "variables", "transients", "close_pairs"}:
        values = ["1", "2", "40", "-1", "99999999999", "x"]  # all others would only take long
    elif action.type not in {None, Path}:
        values = [*NUMBERS]
    elif action.dest == "database":
        values = [*URLS, *sorted(folder.glob("*.db"))]
    return str(rng.choice(values))
