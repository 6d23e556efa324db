"""The source distribution is the source tree, and the wheel all that runs and nothing else."""

from __future__ import annotations

import email
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from installed_program import ROOT

import trap
from trap import software

NAME = f"trap_transients-{trap.__version__}"
RECORD = "trap/commit.txt"
INSTALLED = (
    "prefect.yaml",
    "deployments/automations.yaml",
    "deployments/process.yaml",
    "deployments/docker.yaml",
    "deployments/kubernetes.yaml",
)


@pytest.fixture(scope="module")
def tracked():
    """Files of the project."""
    if not (ROOT / ".git").exists():
        pytest.skip("no git repository, so the files of the project are not known")
    done = subprocess.run(["git", "-C", ROOT, "ls-files"], capture_output=True, text=True, check=True)
    return {name for name in done.stdout.splitlines() if (ROOT / name).exists()}


@pytest.fixture(scope="module")
def archive(wheel):
    """The wheel, opened."""
    with zipfile.ZipFile(wheel) as file:
        yield file


def test_source_distribution_is_the_source_tree_with_the_commit(dist, tracked):
    with tarfile.open(dist / f"{NAME}.tar.gz") as file:
        names = {name.removeprefix(f"{NAME}/") for name in file.getnames()}
        commit = file.extractfile(f"{NAME}/{RECORD}").read().decode().strip()
    assert names >= tracked | {"PKG-INFO", RECORD}
    assert names - tracked - {"PKG-INFO", RECORD} == untracked(names)
    assert commit == software.commit()


def test_wheel_has_the_packages_the_files_of_deployments_and_the_commit(archive, tracked):
    names = {name for name in archive.namelist() if ".dist-info/" not in name}
    added = {RECORD, *(f"flows/installed/{name}" for name in INSTALLED)}
    packages = {name for name in tracked if name.startswith(("trap/", "flows/"))}
    assert names >= packages | added
    assert names - packages - added == untracked(names)
    for name in INSTALLED:
        assert archive.read(f"flows/installed/{name}") == (ROOT / name).read_bytes()
    assert archive.read(RECORD).decode().strip() == software.commit()


def untracked(names):
    """Return the names of new files, which a developer has not committed yet."""
    done = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "--others", "--exclude-standard"], capture_output=True, text=True, check=True
    )
    return names & set(done.stdout.splitlines())


def test_wheel_made_again_from_the_source_distribution_has_the_same_bytes(dist, wheel, tmp_path):
    with tarfile.open(dist / f"{NAME}.tar.gz") as file:
        file.extractall(tmp_path, filter="data")
    words = ["-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run([sys.executable, *words], cwd=tmp_path / NAME, check=True, capture_output=True)
    assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()


def test_release_passes_the_checks_of_the_package_index(dist, wheel):
    packages = [str(path) for path in sorted(dist.iterdir())]
    assert len(packages) == 2
    programs = Path(sys.executable).parent
    subprocess.run([programs / "twine", "check", "--strict", *packages], check=True)
    subprocess.run([programs / "check-wheel-contents", str(wheel)], cwd=ROOT, check=True)


def test_metadata_name_version_licence_and_extras(archive):
    metadata = email.message_from_bytes(archive.read(f"{NAME}.dist-info/METADATA"))
    assert metadata["Version"] == trap.__version__
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert set(metadata.get_all("Provides-Extra")) == {"all", "casa", "dask", "hats", "pandas", "parquet"}
    assert metadata.get_all("Project-URL") is None
    assert metadata.get_payload().startswith("# trap-transients\n")
    assert f"{NAME}.dist-info/licenses/LICENSE" in archive.namelist()
