"""The packages as a release has them, and the wheel installed into an empty environment outside any checkout."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from installed_program import ROOT, Installation, build, install, interpreter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from typing import Any


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that the processes of this test run share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def alone(shared: Path) -> Callable[[str], AbstractContextManager[Path]]:
    """Return a context in which a process is alone with something shared, with the file that marks it."""

    @contextmanager
    def hold(name: str) -> Iterator[Path]:
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield shared / f"{name}.done"

    return hold


@pytest.fixture(scope="session")
def dist(shared: Path, alone: Callable[..., Any]) -> Path:
    """Folder of the source distribution and the wheel: a release that the environment names, or one built now."""
    if "TRAP_TEST_DIST" in os.environ:
        return Path(os.environ["TRAP_TEST_DIST"])
    out = shared / "dist"
    with alone("dist") as mark:
        if not mark.exists():
            build(out)
            mark.touch()
    return out


@pytest.fixture(scope="session")
def wheel(dist: Path) -> Path:
    """The wheel."""
    (path,) = dist.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def environment(wheel: Path, alone: Callable[..., Any]) -> Iterator[Path]:
    """Environment with the wheel, with the locked versions of the dependencies that the wheel names, and no others."""
    with alone("environment") as mark:
        users, folder = mark.read_text().split(maxsplit=1) if mark.exists() else ("0", "")
        if not folder:
            # The temporary folder of the tests is closed to other users.
            folder = tempfile.mkdtemp(prefix="transients-wheel-")
            Path(folder).chmod(0o755)
            lock = str(ROOT / "requirements.lock")
            install(wheel, Path(folder) / "environment", interpreter(), "--constraint", lock)
            made = Installation(Path(folder) / "environment", Path(folder))
            made.take_kernels()
            made.compile_kernels()
        mark.write_text(f"{int(users) + 1} {folder}")
    yield Path(folder) / "environment"
    with alone("environment") as mark:
        users, folder = mark.read_text().split(maxsplit=1)
        mark.write_text(f"{int(users) - 1} {folder}")
        if int(users) == 1:
            mark.unlink()
            shutil.rmtree(folder)


@pytest.fixture(scope="module")
def installation(environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The installed program, with a folder for the tests of one module."""
    folder = tmp_path_factory.mktemp("installed")
    (folder / "home").mkdir()
    return Installation(environment, folder)
