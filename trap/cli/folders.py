"""The environment of the libraries: folders of caches for accounts without a home, and docstrings.

Such accounts are common in containers: a user id without an entry in the list of users, or a home folder that is
mounted read-only. Libraries then fail at their import, or make a folder named ``~`` in the working directory.
"""

from __future__ import annotations

import os
import pwd
import stat
import sys
import tempfile
from pathlib import Path

from trap.errors import ConfigError

__all__ = ["private_folder", "provide_docstrings", "provide_folders"]

VARIABLES = {
    "XDG_CACHE_HOME": "cache",
    "XDG_CONFIG_HOME": "config",
    "MPLCONFIGDIR": "matplotlib",
    "PREFECT_HOME": "prefect",
}
"""Variables that name a folder, with its place below the temporary folder."""
ASTROPY = ("cache/astropy", "config/astropy")
"""Folders that astropy uses only if they exist."""
OPTIMIZE = "PYTHONOPTIMIZE"
DROPS_DOCSTRINGS = 2
"""Level of Python's optimisation that drops docstrings."""


def provide_docstrings() -> None:
    """Start this program again if the environment makes Python drop docstrings, which photutils needs at its import.

    Raises
    ------
    ConfigError
        If an option of the interpreter makes Python drop them.
    """
    if sys.flags.optimize < DROPS_DOCSTRINGS:
        return
    options = [option for option in sys.orig_argv[1:] if option.startswith("-O")]
    if options or os.environ.get(OPTIMIZE) == "1":
        msg = "python -OO drops docstrings, which photutils needs; use -O, or PYTHONOPTIMIZE=1"
        raise ConfigError(msg)
    os.environ[OPTIMIZE] = "1"
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 (the same command line)


def provide_folders() -> None:
    """Point the libraries to a temporary folder of this user, if the home folder cannot be written.

    Variables that are set remain as they are. Processes that this one starts inherit the others.
    """
    home = _home()
    if home is not None and home.is_dir() and os.access(home, os.W_OK | os.X_OK):
        os.environ.setdefault("HOME", str(home))
        return
    folder = private_folder()
    for name, place in VARIABLES.items():
        os.environ.setdefault(name, str(folder / place))
    for place in (*VARIABLES.values(), *ASTROPY):
        (folder / place).mkdir(parents=True, exist_ok=True)
    if home is None or not home.is_dir():
        os.environ["HOME"] = str(folder)


def _home() -> Path | None:
    """Return the home folder by the environment or the list of users; None if neither names one."""
    if os.environ.get("HOME"):
        return Path(os.environ["HOME"])
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return None


def private_folder() -> Path:
    """Return a temporary folder that only this user can write; the same for all its runs, unless its name is taken."""
    folder = Path(tempfile.gettempdir()) / f"transients-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return Path(tempfile.mkdtemp(prefix="transients-"))
    if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o022:
        return folder
    return Path(tempfile.mkdtemp(prefix="transients-"))
