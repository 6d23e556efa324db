"""Messages and exit codes of the demo; tests/e2e runs all of it."""

from __future__ import annotations

import shlex
from contextlib import redirect_stdout
from io import StringIO

import pytest

import trap.cli.run as cli_run
from trap.cli import main
from trap.cli.terminal import program

SMALL = (
    *("--timesteps", "8", "--bands", "1", "--size", "192"),
    *("--steady", "10", "--variables", "2", "--transients", "3"),
)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "demo"


@pytest.fixture
def change_run(run_in_process, monkeypatch):
    """Let the pipeline have other settings than the demo gave it."""
    run_here = cli_run.find_runner("local")

    def change(settings):
        def runner(config, **options):
            return run_here(settings(config), **options)

        monkeypatch.setattr(cli_run, "find_runner", lambda _name: runner)

    return change


@pytest.fixture(scope="module")
def repeated(runner_here, tmp_path_factory):
    """Folder of a demo, which held a file before, and the output of two demos in it."""
    folder = tmp_path_factory.mktemp("repeated") / "sky's demo"
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "mine.fits").write_text("mine")
    printed = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli_run, "find_runner", lambda _name: runner_here)
        for _ in range(2):
            with redirect_stdout(StringIO()) as output:
                assert main(["demo", str(folder), *SMALL]) == 0
            printed.append(output.getvalue())
    return folder, printed


def test_demo_can_be_repeated_in_its_folder(repeated):
    _, printed = repeated
    for dataset, output in enumerate(printed, start=1):
        assert f"dataset {dataset}: 8 timesteps stored" in output


def test_demo_ends_with_a_command_that_a_shell_understands(repeated):
    folder, printed = repeated
    last = shlex.split(printed[0].splitlines()[-1])
    assert last == ["now:", program(), "serve", str(folder / "trap.db"), "--open"]


def test_demo_leaves_other_files_alone(repeated):
    folder, _ = repeated
    assert (folder / "images" / "mine.fits").read_text() == "mine"


def test_demo_that_misses_transients_fails_and_names_them(folder, change_run, capsys):
    change_run(lambda config: config.with_options(execution={"images": config.execution.images[:1]}))
    assert main(["demo", str(folder), *SMALL]) == 1
    output = capsys.readouterr().out
    assert "PROBLEM: transient T0003 (peak S/N 60.0) was missed" in output
    assert "PROBLEM: variable V0001" in output


def test_demo_that_leaves_out_images_fails(folder, change_run, capsys):
    change_run(lambda config: config.with_options(quality={"rms_est_max": 1e-6}))
    assert main(["demo", str(folder), *SMALL]) == 1
    assert "the run left out some of the simulated images" in capsys.readouterr().out


def test_place_that_cannot_be_written_is_one_line(tmp_path, run_in_process, capsys):
    (tmp_path / "file").write_text("")
    assert main(["demo", str(tmp_path / "file"), *SMALL]) == 1
    assert "cannot be written" in capsys.readouterr().err
