"""The software behind a result: version, commit, and the libraries that shape it.

``transients --version`` and the record of each run are made of the same list. Nothing slow is imported.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from trap import __version__

__all__ = ["LIBRARIES", "UNKNOWN", "commit", "commit_of_checkout", "install_command", "software_versions"]

LIBRARIES = {
    "numpy": "arithmetic, sums and percentiles",
    "scipy": "least-squares fits, neighbours on the sky, labels of islands, distributions",
    "numba": "compiles the loops over pixels",
    "llvmlite": "the compiler behind numba: it chooses and orders the operations",
    "astropy": "FITS files, projections, times, frames, statistics",
    "pyerfa": "time scales and rotations of frames",
    "astropy-iers-data": "leap seconds",
    "astropy-healpix": "tiles of the noise of the sky",
    "photutils": "background and noise maps, segmentation",
    "h5py": "reads LOFAR images in HDF5",
    "python-casacore": "reads CASA image tables",
    "pyarrow": "reads and writes Parquet",
    "mocpy": "coverage maps",
    "sqlalchemy": "stores and selects results",
    "psycopg2-binary": "stores results in PostgreSQL",
    "prefect": "runs and retries the steps",
    "distributed": "measures on other machines",
}
"""Libraries whose versions may affect a result or its storage, with the part that each has. Some are optional."""

UNKNOWN = "unknown"
"""Commit of a program that was installed neither from a package of this project nor as a git checkout."""
RECORD = "commit.txt"
"""File in this package with the commit, in packages only: the build writes it."""
CODE = ("trap", "flows", "deployments", "prefect.yaml", "pyproject.toml")
"""Parts of a checkout whose local changes are changes of the program."""
N_DIGITS = 12
"""Number of digits of a commit that are shown. They are unique in any project."""
ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
"""Environment variables that lead git to another repository; a hook of git sets them."""
GIT_SECONDS = 10.0
"""Time limit of git. On a network file system it may hang."""


def software_versions() -> dict[str, str]:
    """Return the versions of this program, of Python and of the installed libraries that shape results, by name."""
    versions = {"trap": __version__, "commit": commit(), "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:  # optional libraries
            continue
    return versions


def commit() -> str:
    """Return the commit of this program: recorded in a package, read from git in a checkout, or else 'unknown'."""
    package = Path(__file__).parent
    try:
        return (package / RECORD).read_text().strip()
    except OSError:
        return commit_of_checkout(package.parent)


def commit_of_checkout(folder: Path) -> str:
    """Return the commit of a git checkout, with a remark if its code has local changes; 'unknown' without git.

    Parameters
    ----------
    folder
        Top folder of the checkout. A repository around it, such as one with an environment in it, does not count.
    """
    git = shutil.which("git")
    if git is None or not (folder / ".git").exists():
        return UNKNOWN
    words = ["status", "--porcelain=v2", "--branch", "--untracked-files=normal", "--", *CODE]
    # git must not write, since other processes may be at work in the checkout, and must not read another repository.
    environment = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    try:
        done = subprocess.run(  # noqa: S603 (git, with words of our own)
            [git, "--no-optional-locks", "-C", str(folder), *words],
            capture_output=True, text=True, errors="replace", check=True, timeout=GIT_SECONDS, env=environment,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return UNKNOWN
    heads = [line.split()[-1] for line in done.stdout.splitlines() if line.startswith("# branch.oid")]
    if not heads or heads[0] == "(initial)":
        return UNKNOWN
    has_changes = any(not line.startswith("#") for line in done.stdout.splitlines())
    return heads[0][:N_DIGITS] + (" with local changes" if has_changes else "")


def install_command(extra: str) -> str:
    """Return the shell command that installs an optional part.

    Parameters
    ----------
    extra
        Name of the extra in ``pyproject.toml``.
    """
    return f"pip install 'trap-transients[{extra}]'"
