from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest

from trap import software

ROOT = Path(__file__).parents[1]


def git(folder, *words):
    identity = ["-c", "user.name=t", "-c", "user.email=t", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", folder, *identity, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path):
    folder = tmp_path / "checkout"
    (folder / "trap").mkdir(parents=True)
    (folder / "trap" / "module.py").write_text("x = 1\n")
    git(folder.parent, "init", "--quiet", folder)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "first")
    return folder


def test_commit_of_a_checkout_is_that_of_git(checkout):
    head = git(checkout, "rev-parse", "HEAD")
    assert len(software.commit_of_checkout(checkout)) == 12
    assert head.startswith(software.commit_of_checkout(checkout))


@pytest.mark.parametrize(("name", "changes"), [("module.py", True), ("new.py", True), ("../images.fits", False)])
def test_changes_of_the_code_are_local_changes_and_other_files_are_not(checkout, name, changes):
    (checkout / "trap" / name).write_text("x = 2\n")
    assert software.commit_of_checkout(checkout).endswith(" with local changes") == changes


def test_commit_is_unknown_without_a_repository_of_our_own(checkout, monkeypatch):
    inner = checkout / "venv" / "site-packages"
    inner.mkdir(parents=True)
    assert software.commit_of_checkout(inner) == "unknown"
    monkeypatch.setenv("PATH", str(inner))
    assert software.commit_of_checkout(checkout) == "unknown"


def test_commit_is_unknown_before_the_first_one_and_in_a_broken_repository(tmp_path):
    git(tmp_path, "init", "--quiet", tmp_path)
    assert software.commit_of_checkout(tmp_path) == "unknown"
    (tmp_path / ".git" / "HEAD").write_text("nothing")
    assert software.commit_of_checkout(tmp_path) == "unknown"


def test_repository_that_a_hook_of_git_names_is_not_read(checkout, tmp_path, monkeypatch):
    wanted = software.commit_of_checkout(checkout)
    git(tmp_path, "init", "--quiet", tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    assert software.commit_of_checkout(checkout) == wanted


def test_recorded_commit_of_a_package_comes_before_the_repository_around_it(checkout, monkeypatch):
    monkeypatch.setattr(software, "__file__", str(checkout / "trap" / "software.py"))
    assert software.commit() == software.commit_of_checkout(checkout)
    (checkout / "trap" / "commit.txt").write_text("0123456789ab with local changes\n")
    assert software.commit() == "0123456789ab with local changes"


def test_libraries_are_dependencies_or_theirs():
    # A misspelt name would be taken for an optional library that is not installed.
    lock = (ROOT / "requirements.lock").read_text()
    assert [name for name in software.LIBRARIES if f"\n{name}==" not in lock] == []


@pytest.mark.parametrize("extra", ["casa", "dask"])
def test_command_that_installs_an_extra_names_the_distribution(extra):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert software.install_command(extra) == f"pip install '{project['name']}[{extra}]'"
