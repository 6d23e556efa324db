"""The program ``transients`` as a client of a process that has imported it already, for tests that start it many times.

A command takes a second or two to import its libraries, and a run as long again for its worker processes. Here each
command is a fork of one process, with the arguments, variables, working folder and streams of its client. The installed
program itself is tested in ``packaging/``.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager, suppress
from importlib import import_module
from multiprocessing import forkserver
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["warm_program"]

CLIENT = f"""\
#!{sys.executable} -ISE
import json, os, signal, socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect(os.path.join(os.path.dirname(__file__), "socket"))
socket.send_fds(connection, [b"\\0"], [0, 1, 2])
connection.sendall(json.dumps([sys.argv, os.getcwd(), dict(os.environ)]).encode())
connection.shutdown(socket.SHUT_WR)
answers = connection.makefile()
process = int(answers.readline())
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, _frame: os.kill(process, number))
code = os.waitstatus_to_exitcode(int(answers.readline()))
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""
OF_WORKERS = ("trap.pipeline", "trap.report.extracted", "trap.run.inspection", "loaded_kernels")
"""Modules of the server of worker processes, which all commands share."""
OF_COMMANDS = (*OF_WORKERS, "matplotlib.pyplot", "trap.cli.parser", "trap.cli.results", "trap.cli.run")


@contextmanager
def warm_program(environment: Mapping[str, str]) -> Iterator[Path]:
    """Make a folder with a program ``transients``, for the path of other processes.

    Parameters
    ----------
    environment
        Environment variables of the process behind the program. Libraries read some of them, such as the home, on
        import; all commands have these in common.
    """
    # The paths of sockets must be short.
    with tempfile.TemporaryDirectory(prefix="warm-") as name, socket.socket(socket.AF_UNIX) as listener:
        folder = Path(name)
        (folder / "transients").write_text(CLIENT)
        (folder / "transients").chmod(0o755)
        listener.bind(str(folder / "socket"))
        listener.listen()
        process = subprocess.Popen(
            [sys.executable, __file__, str(listener.fileno())], pass_fds=[listener.fileno()],
            env={**environment, "PYTHONPATH": os.pathsep.join(sys.path)}, start_new_session=True,
        )  # fmt: skip
        try:
            yield folder
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def serve(listener: socket.socket) -> NoReturn:
    """Import the program, and fork for each client that comes."""
    for name in OF_COMMANDS:
        import_module(name)
    forkserver.set_forkserver_preload(list(OF_WORKERS))
    forkserver.ensure_running()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the processes that answer
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            answer(connection)
        connection.close()


def answer(connection: socket.socket) -> NoReturn:
    """Execute the command of a client, and send the number of its process and its exit status."""
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    request = json.loads(b"".join(iter(lambda: connection.recv(1 << 16), b"")))
    process = os.fork()
    if process == 0:
        connection.close()
        execute(streams, *request)
    for stream in streams:
        os.close(stream)
    with suppress(OSError):  # the client has been killed
        connection.sendall(f"{process}\n".encode())
        _, status = os.waitpid(process, 0)
        connection.sendall(f"{status}\n".encode())
    os._exit(0)


def execute(streams: Sequence[int], words: list[str], folder: str, variables: Mapping[str, str]) -> NoReturn:
    """Execute a command in this process, and end."""
    from trap.cli import main  # noqa: PLC0415 (imported already)

    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    sys.argv = words
    # The server of worker processes is that of the parent, which alone can ask whether it still runs.
    forkserver._forkserver.ensure_running = forkserver.ensure_running = lambda: None
    forkserver.set_forkserver_preload = lambda _modules: None
    try:
        code = main()
    except SystemExit as end:
        code = end.code
    finish(code)


def finish(code: int) -> NoReturn:
    """End this process as the interpreter would, but do not free the imported modules one by one, for a second."""
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
