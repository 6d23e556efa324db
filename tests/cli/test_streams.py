from __future__ import annotations

import errno
import fcntl
import io
import os
import subprocess
import sys
import threading
from contextlib import closing

import pytest

from trap.cli import main
from trap.cli.streams import _Descriptor, _plain, _protected, output_failure
from trap.db.engine import make_engine

MODULE = (sys.executable, "-m", "trap")
# Workers of other processes take seconds to start.
IN_PROCESS = """
import sys
import trap.cli.run
from trap.cli import main
from trap.pipeline import open_run
from trap.workers.executors import SerialExecutor

def run_here(config, **options):
    with open_run(config, **options) as dataset:
        for group in dataset.plan.groups:
            dataset.process_group(group, SerialExecutor())
        return dataset.summary()

trap.cli.run.find_runner = lambda _name: run_here
sys.exit(main())
"""


def shell(command, *arguments, **variables):
    """Run a command line of a shell in which ``"$@"`` is the program."""
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}", "bash", *map(str, arguments)],
        env={**os.environ, **variables},
        capture_output=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize(
    "command",
    [
        'ln -s /dev/full "${@: -1}/trap.log"; "$@" 2>&1 | head -c 1',
        'ln -s /dev/full "${@: -1}/trap.toml"; "$@" <&- >&- 2>&-',
    ],
    ids=["closed pipe", "closed"],
)
def test_run_stores_everything_whatever_becomes_of_its_output(survey, tmp_path, command):
    logs = tmp_path / "logs"
    logs.mkdir()
    words = ["run", "--images", f"{survey}/t*.fits", "--database", f"{tmp_path}/x.db", "--log-dir", logs]
    done = shell(command, sys.executable, "-c", IN_PROCESS, *words)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    with make_engine(f"sqlite:///{tmp_path / 'x.db'}").connect() as connection:
        assert connection.exec_driver_sql("SELECT COUNT(*) FROM image").scalar() == 4


def test_lost_results_of_a_query_are_an_error_and_a_closed_pipe_is_none(database):
    words = (*MODULE, "dataset", "list", "--database", database)
    done = shell('"$@" >/dev/full; echo $?; "$@" | true; echo $?', *words)
    assert done.stdout == b"1\n0\n"
    assert done.stderr == b"transients: standard output: cannot be written: No space left on device\n"


def test_help_needs_no_output():
    full, closed = shell('"$@" >/dev/full', *MODULE, "--help"), shell('"$@" >&- 2>&-', *MODULE, "run", "--help")
    assert (full.returncode, full.stderr, closed.returncode) == (0, b"", 0)


def test_terminal_without_greek_letters_gets_their_names(database):
    done = shell('"$@"', *MODULE, "candidates", "1", "--database", database, PYTHONIOENCODING="latin-1:strict")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"newness sigma" in done.stdout


def test_file_opened_first_does_not_become_standard_output(tmp_path):
    done = shell('"$@" >&- 2>&-', *MODULE, "config", "init", tmp_path / "trap.toml")
    assert done.returncode == 0
    assert "written" not in (tmp_path / "trap.toml").read_text("utf-8")


def test_text_of_other_programs_is_utf_8(tmp_path):
    file = tmp_path / "trap.toml"
    file.write_text('[persistence]\ndescription = "Größe"\n', encoding="utf-8")
    done = shell('"$@"', *MODULE, "config", "show", file, PYTHONIOENCODING="ascii")
    assert 'description = "Größe"' in done.stdout.decode("utf-8")


def test_slow_terminal_gets_everything():
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETFL, os.O_NONBLOCK)
    stream, received = _protected(None, writer), []
    with closing(os.fdopen(reader, "rb")) as pipe:
        thread = threading.Thread(target=lambda: received.append(pipe.read()))
        threading.Timer(0.1, thread.start).start()
        stream.write("x" * 300_000)  # a pipe holds 65,536
        stream.flush()
        os.close(writer)
        while not received:
            thread.join(0.1) if thread.ident else threading.Event().wait(0.05)
    assert received == [b"x" * 300_000]


def test_first_failure_is_kept_and_nothing_is_raised(monkeypatch):
    with open("/dev/full", "wb", buffering=0) as full:  # noqa: PTH123
        stream = _protected(None, full.fileno())
        print("lost", file=stream, flush=True)
        monkeypatch.setattr(sys, "stdout", stream)
        assert output_failure() == os.strerror(errno.ENOSPC)
        monkeypatch.undo()


def test_unknown_characters_are_escaped():
    error = UnicodeEncodeError("ascii", "a±é\udcff", 1, 4, "not in range")
    assert _plain(error) == ("+-\\xe9\\udcff", 4)


def test_streams_of_tests_are_not_replaced(capsys):
    before = sys.stdout
    assert main(["config", "show"]) == 0
    assert sys.stdout is before
    assert not isinstance(getattr(before.buffer, "raw", io.BytesIO()), _Descriptor)
    assert "[source_extraction]" in capsys.readouterr().out
