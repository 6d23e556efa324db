"""The command line that calls this program again, for printed hints that can be pasted into a shell.

The bare name would not work: ``trap`` is a builtin of the shell, which takes precedence over programs.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

__all__ = ["command", "program"]

_NAME = "trap"


def program() -> str:
    """Return the path of this program, relative to the working directory if that is shorter.

    The path always contains a slash. It is the path that started this process or, failing that, the path of the
    program next to the running Python interpreter.
    """
    started = Path(sys.argv[0])
    path = started if started.name == _NAME and started.is_file() else Path(sys.executable).with_name(_NAME)
    absolute, relative = os.path.abspath(path), os.path.relpath(path)  # noqa: PTH100 (links stay as they are)
    if os.sep not in relative:
        relative = os.path.join(os.curdir, relative)  # noqa: PTH118 (Path would drop the dot)
    return min(relative, absolute, key=len)


def command(*words: object) -> str:
    """Return a command line of this program, quoted for a shell."""
    return shlex.join((program(), *map(str, words)))
