"""Execute the blocks of code in pages of the documentation, as a reader would paste them.

    python checks/pages.py docs/tutorial/*.md

Each page has an empty folder, a bash and a Python process of its own. The programs ``transients`` and ``python`` are
found by PATH, so that the pages can also be followed in another environment. Outputs that a page shows are compared
with the real ones; ``…`` in them stands for any text, and alone in a line for any lines. Directives are comments before
a block, which readers do not see:

``<!-- prepared: survey -->``
    At the top of a page: the folder has a simulated survey ``images/`` and its results ``trap.db`` from the beginning.
``<!-- continues: PAGE -->``
    At the top of a page: its folder is that of the page before, as lessons of a tutorial go on from each other. Give
    the pages in their order.
``<!-- file: NAME -->``
    The block is written to a file.
``<!-- not run: REASON -->``
    The block is not executed.
``<!-- fails: CODE -->``
    The last command of the block exits with this code.
``<!-- until: TEXT -->``
    The last command of the block is a server: the page goes on when it has printed the text, and stops it at its end.
"""

import argparse
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import IO, Self, cast

from blocks import Block, read_blocks, read_commands

PREPARED = {
    "survey": """\
transients simulate images --timesteps 10 --bands 2 --size 256 --seed 7 --steady 40 --variables 3 --transients 3
transients run --no-prefect --quiet --images 'images/*.fits' --database trap.db
""",
}
"""Commands that fill the prepared folders."""
VARIABLES = {"MPLBACKEND": "agg", "PYTHONUTF8": "1", "COLUMNS": "120"}
"""Environment variables of every page."""
TIMEOUT_SECONDS = 240
MARK = "\0end"
"""Printed after the output of each block, with its exit code. No program prints the character NUL."""
END = "\nprintf '\\0end %s\\n' $?\n"
"""Lines of bash that print the mark."""
PYTHON = f"""\
import sys, traceback
names = {{"__name__": "__main__"}}
while size := sys.stdin.buffer.readline():
    code, status = sys.stdin.buffer.read(int(size)).decode(), 0
    try:
        exec(compile(code, "page", "exec"), names)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stderr.flush()
    print({MARK!r}, status, flush=True)
"""


class PageError(Exception):
    """A block of a page fails, or has another output than the page shows."""


class Session:
    """A process that executes pieces of code one after the other, as a shell does.

    Parameters
    ----------
    command
        The program with its arguments.
    folder
        Its working folder.
    environment
        Its environment variables.
    """

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder,
            env=dict(environment), start_new_session=True,
        )  # fmt: skip
        self._input, self._output = cast("IO[bytes]", self._process.stdin), cast("IO[bytes]", self._process.stdout)

    def execute(self, text: str) -> tuple[str, int]:
        """Send text to the process; return what it prints before the mark, and the exit code after the mark."""
        self._input.write(text.encode())
        self._input.flush()
        timer = threading.Timer(TIMEOUT_SECONDS, self.close)
        timer.start()
        output = []
        try:
            for line in iter(self._output.readline, b""):
                before, mark, status = line.decode().partition(MARK)
                output.append(before)
                if mark:
                    return "".join(output), int(status)
        finally:
            timer.cancel()
        raise PageError(f"the process ended, or went on for {TIMEOUT_SECONDS} s, after:\n{''.join(output)}")

    def close(self) -> None:
        """End the process, and all processes that it started."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(self._process.pid, number)
                self._process.wait(timeout=20)
        for pipe in (self._input, self._output):
            with suppress(BrokenPipeError):
                pipe.close()


class Page:
    """The folder of a page, and the processes that execute its blocks.

    Parameters
    ----------
    folder
        An existing folder.
    environment
        Environment variables of the processes.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = environment
        self._sessions: dict[str, Session] = {}

    def __enter__(self) -> Self:
        """Return the page itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all processes of the page."""
        for session in self._sessions.values():
            session.close()

    def execute(self, block: Block) -> None:
        """Execute a block, or write it to its file. Blocks of other languages are only read.

        Raises
        ------
        PageError
            If the block fails, or has another output than the page shows.
        """
        if "file" in block.directives:
            (self._folder / block.directives["file"]).write_text(block.text, encoding="utf-8")
        elif block.language == "toml":
            tomllib.loads(block.text)
        elif "not run" in block.directives:
            return
        elif block.language == "python":
            output, status = self._session("python").execute(f"{len(block.text.encode())}\n{block.text}")
            compare(block.output, output, status)
        elif block.language == "console":
            *earlier, last = read_commands(block)
            for command in earlier:
                self._run_command(command.text, command.output)
            if "until" in block.directives:
                self._start_server(last.text, block.directives["until"])
            else:
                self._run_command(last.text, last.output, int(block.directives.get("fails", 0)))

    def _session(self, language: str) -> Session:
        if language not in self._sessions:
            command = ["bash"] if language == "console" else ["python", "-u", "-c", PYTHON]
            self._sessions[language] = Session(command, self._folder, self._environment)
        return self._sessions[language]

    def _run_command(self, command: str, shown: str | None, expected: int = 0) -> None:
        output, status = self._session("console").execute(f"eval {quote(command)} </dev/null 2>&1{END}")
        try:
            compare(shown, output, status, expected)
        except PageError as error:
            raise PageError(f"$ {command}\n{error}") from None

    def _start_server(self, command: str, until: str) -> None:
        """Start a command in the background; return when it has printed a text."""
        with tempfile.NamedTemporaryFile("r", encoding="utf-8") as log:
            self._session("console").execute(f"eval {quote(command)} </dev/null >{log.name} 2>&1 &{END}")
            deadline = time.monotonic() + TIMEOUT_SECONDS
            output = ""
            while until not in output:
                time.sleep(0.1)
                output += log.read()
                if time.monotonic() > deadline:
                    raise PageError(f"$ {command}\ndid not print {until!r} but:\n{output}")


def compare(shown: str | None, output: str, status: int, expected: int = 0) -> None:
    """Compare the output and the exit code of a block with those that a page shows.

    Parameters
    ----------
    shown
        Output on the page, with ``…`` for any text; None for an output that the page does not show.
    output
        The real output. White space at the ends of lines does not matter.
    status
        The real exit code.
    expected
        The exit code that the page expects.

    Raises
    ------
    PageError
        If they differ.
    """
    if status != expected:
        raise PageError(f"exit code {status} instead of {expected}:\n{output}")
    if shown is None:
        return
    lines = [line.rstrip() for line in shown.strip("\n").splitlines()]
    pattern = "".join(
        r"(?:.*\n)*?" if line == "…" else re.escape(line).replace("…", ".*") + r"[ \t]*\n" for line in lines
    )
    if re.fullmatch(pattern, output.strip("\n") + "\n") is None:
        raise PageError(f"the page shows:\n{shown}\nbut the output is:\n{output}")


def run_page(page: Path, prepared: Path, environment: Mapping[str, str], folder: Path) -> None:
    """Execute the blocks of a page in order.

    Parameters
    ----------
    page
        A Markdown file.
    prepared
        Folder of the prepared folders, which are made at their first use.
    environment
        Environment variables of the processes.
    folder
        Working folder of the page. It must not exist, except for a page that continues another one.

    Raises
    ------
    PageError
        If a block fails, or has another output than the page shows. The message has its place.
    """
    environment = {**environment, **VARIABLES}
    blocks = read_blocks(page)
    names = {block.directives["prepared"] for block in blocks if "prepared" in block.directives}
    if names:
        shutil.copytree(prepare(names.pop(), prepared, environment), folder)
    elif not continues(page):
        folder.mkdir(parents=True)
    with Page(folder, environment) as opened:
        for block in blocks:
            try:
                opened.execute(block)
            except (PageError, ValueError) as error:
                raise PageError(f"{page}:{block.line}: {error}") from None


def continues(page: Path) -> bool:
    """Return whether a page is executed in the folder that another page has left.

    Parameters
    ----------
    page
        A Markdown file.
    """
    return any("continues" in block.directives for block in read_blocks(page))


def prepare(name: str, root: Path, environment: Mapping[str, str]) -> Path:
    """Make a prepared folder, unless it exists, and return it. Other processes may ask for it at the same time.

    Parameters
    ----------
    name
        A key of :data:`PREPARED`.
    root
        Folder of the prepared folders.
    environment
        Environment variables of the commands.
    """
    folder = root / name
    root.mkdir(parents=True, exist_ok=True)
    with (root / f"{name}.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (lock.seek(0) or lock.read()):
            folder.mkdir()
            subprocess.run(
                ["bash", "-e", "-c", PREPARED[name]], cwd=folder, env=dict(environment), check=True, capture_output=True
            )
            lock.write("made")
    return folder


def main(arguments: Sequence[str] | None = None) -> int:
    """Execute pages; return 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="+", type=Path, help="Markdown files")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the folder of each page in this folder")
    options = parser.parse_args(arguments)
    failed = False
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for page in options.pages:
            started = time.monotonic()
            if not continues(page):
                folder = (options.keep or Path(temporary)) / page.stem
            try:
                run_page(page, Path(temporary, "prepared"), os.environ, folder)
            except PageError as error:
                failed = True
                print(error)
            else:
                print(f"{page}: {time.monotonic() - started:.0f} s")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
