"""How to call this program again: what is printed to be typed next must work as it stands.

The bare name does not: ``trap`` is a builtin of the shell, which comes before any program of that name.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

__all__ = ["command", "program"]

_NAME = "trap"


def program() -> str:
    """Path of this program, as short as it can be from the working directory; always with a slash in it.

    It is the path that this process was started by, or else that of the program beside the running Python.
    """
    started = Path(sys.argv[0])
    path = started if started.name == _NAME and started.is_file() else Path(sys.executable).with_name(_NAME)
    absolute, relative = os.path.abspath(path), os.path.relpath(path)  # noqa: PTH100 (links stay as they are)
    if os.sep not in relative:
        relative = os.path.join(os.curdir, relative)  # noqa: PTH118 (Path would drop the dot)
    return min(relative, absolute, key=len)


def command(*words: object) -> str:
    """Write a command of this program, to be typed into a shell."""
    return shlex.join((program(), *map(str, words)))
