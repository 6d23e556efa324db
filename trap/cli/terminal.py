"""Tools of all commands: command lines to paste into a shell, and errors of files that are written.

Printed hints name the program as a shell finds it: by its name in an activated environment, otherwise by its path.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from trap.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = [
    "INTERRUPTED",
    "RESUME_HINT",
    "command",
    "interrupts_end_at_once",
    "interrupts_raised_again",
    "program",
    "reported_errors",
    "stopped_text",
]

_NAME = "transients"

INTERRUPTED = 130
"""Exit code of a program that was interrupted from the keyboard: 128 plus the number of SIGINT, as in a shell."""
RESUME_HINT = "stored timesteps are kept; to continue, run the same command again"


def program() -> str:
    """Return the words that start this program in a shell: its name if the shell finds it, otherwise its path.

    The path names the program that started this process or, failing that, the program next to the running
    Python interpreter; it is relative to the working directory if that is shorter, and always contains a slash.
    """
    started = Path(sys.argv[0])
    path = started if started.name == _NAME and started.is_file() else Path(sys.executable).with_name(_NAME)
    found = shutil.which(_NAME)
    if found is not None and Path(found).samefile(path):
        return _NAME
    absolute, relative = os.path.abspath(path), os.path.relpath(path)  # noqa: PTH100 (links stay as they are)
    if os.sep not in relative:
        relative = os.path.join(os.curdir, relative)  # noqa: PTH118 (Path would drop the dot)
    return min(relative, absolute, key=len)


def command(*words: object) -> str:
    """Return a command line of this program, quoted for a shell."""
    return shlex.join((program(), *map(str, words)))


def stopped_text(*hints: object) -> str:
    """Return the last line of a program that was interrupted from the keyboard.

    Parameters
    ----------
    hints
        Sentences about the results that are kept.
    """
    return "; ".join((f"{_NAME}: stopped", *map(str, hints)))


@contextmanager
def interrupts_end_at_once(*hints: str) -> Iterator[None]:
    """End this process at an interrupt from the keyboard in the block, without exceptions.

    This is for imports: Python prints and forgets an exception that is raised in a callback of a library. Nothing is
    open in the block that would have to be closed.

    Parameters
    ----------
    hints
        Sentences for the last line, as for :func:`stopped_text`.
    """

    def end(_number: int, _frame: FrameType | None) -> None:
        with suppress(OSError):
            os.write(2, f"{stopped_text(*hints)}\n".encode())
        os._exit(INTERRUPTED)

    if threading.current_thread() is not threading.main_thread():
        yield  # signals are handled in the main thread only
        return
    before = signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def interrupts_raised_again() -> Iterator[None]:
    """Send an interrupt again if it comes in a callback of the garbage collector, where Python would forget it."""
    before = sys.unraisablehook

    def hook(unraisable: sys.UnraisableHookArgs) -> None:
        if unraisable.exc_type is KeyboardInterrupt:
            # A moment later, when the callback has ended.
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        else:
            before(unraisable)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


@contextmanager
def reported_errors(path: Path) -> Iterator[None]:
    """Convert an error of the operating system into a ConfigError that names the file.

    Raises
    ------
    ConfigError
        If the file cannot be written: the folder is missing, permission is denied, or the disk is full.
    """
    try:
        yield
    except OSError as error:
        msg = f"{path}: cannot be written: {error.strerror or error}"
        raise ConfigError(msg) from error
