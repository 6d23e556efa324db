from __future__ import annotations

import random
import shutil

import pytest
from hostile_commands import hostile_environment, hostile_words, make_folder

from trap.cli import main

N_COMMANDS = 60
SEED = 1


@pytest.fixture
def folder(tmp_path, survey):
    folder = tmp_path / "folder"
    folder.mkdir()
    make_folder(folder)
    for image in sorted(survey.glob("t*.fits"))[:2]:
        shutil.copy(image, folder)
    return folder


def test_no_command_ends_with_a_traceback(folder, database, tmp_path, run_in_process, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    rng = random.Random(SEED)  # noqa: S311 (no secret)
    codes = set()
    for _ in range(N_COMMANDS):
        words, environment = hostile_words(rng, folder, database), hostile_environment(rng)
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            try:
                codes.add(main(words))
            except SystemExit as end:
                codes.add(end.code)
            except BaseException as error:
                error.add_note(f"{environment} transients {words}"[:2000])
                raise
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err, words
        assert all(line.isprintable() for line in printed.err.split("\n")), words
    assert codes <= {0, 1, 2, 3, 4}
    assert {0, 1, 2} <= codes
