"""``transients serve``: the address is printed, Ctrl-C is the normal end, and strangers need a token."""

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest
from processed_survey import process_survey

from trap.cli import main


@pytest.fixture(scope="module")
def database(tmp_path_factory) -> str:
    return process_survey(tmp_path_factory.mktemp("served"), n_timesteps=2)


@contextmanager
def serving(*words, end=signal.SIGINT, **variables):
    """Start the command; yield the process and its first line, and end it as a user or a system does."""
    process = subprocess.Popen(
        [sys.executable, "-m", "trap", "serve", *words, "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **variables},
    )  # fmt: skip
    try:
        yield process, process.stdout.readline()
    finally:
        process.send_signal(end)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")


def status(address: str) -> int:
    try:
        with urllib.request.urlopen(address) as answer:  # noqa: S310 (the address of a server of this test)
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_pages_are_read_only_and_for_this_machine(database):
    with serving(database) as (_, line):
        assert "read-only: http://127.0.0.1:" in line
        assert status(line.rsplit(": ", 1)[-1].strip()) != 500


def test_pages_for_other_machines_need_the_token_that_is_printed(database):
    with serving(database, "--host", "0.0.0.0", end=signal.SIGTERM, TRANSIENTS_TOKEN="a-long-secret") as (_, line):  # noqa: S104, S106
        address, _, secret = line.rsplit(": ", 1)[-1].strip().partition("?token=")
        assert secret == "a-long-secret"  # noqa: S105
        assert status(address.replace("0.0.0.0", "127.0.0.1")) == 401  # noqa: S104


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("nothing.db",), "nothing.db does not exist"),
        (("--host", "192.0.2.1"), "choose others with --host and --port"),
    ],
)
def test_impossible_start_is_one_line(database, words, problem, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["serve", *([database] if words[0] == "--host" else []), *words]) == 1
    errors = capsys.readouterr().err
    assert problem in errors
    assert errors.count("\n") == 1


def test_busy_port_is_named(database, capsys):
    with serving(database) as (_, line):
        port = line.rsplit(":", 1)[-1].strip().rstrip("/")
        assert main(["serve", database, "--port", port]) == 1
    assert f"port {port}" in capsys.readouterr().err


def test_short_token_is_refused(database, capsys, monkeypatch):
    monkeypatch.setenv("TRANSIENTS_TOKEN", "short")
    assert main(["serve", database]) == 1
    assert "at least 8" in capsys.readouterr().err


def test_server_imports_neither_compilers_nor_plots():
    script = (
        "import sys; from trap.web.app import make_app; import trap.cli.serve;"
        "heavy = {'numba', 'matplotlib', 'trap.pipeline', 'photutils'} & set(sys.modules); print(sorted(heavy))"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed == "[]\n"
