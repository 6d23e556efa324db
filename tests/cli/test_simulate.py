from __future__ import annotations

import pytest

from trap.cli import main
from trap.simulation.survey import load_truth

SMALL = ["--timesteps", "2", "--bands", "2", "--size", "64", "--steady", "3", "--variables", "1", "--transients", "1"]


def test_survey_has_the_requested_size(tmp_path, capsys):
    assert main(["simulate", str(tmp_path / "sky"), *SMALL]) == 0
    assert len(list((tmp_path / "sky").glob("*.fits"))) == 4
    assert sorted(load_truth(tmp_path / "sky").sources["kind"]) == ["steady"] * 3 + ["transient", "variable"]
    assert "4 images" in capsys.readouterr().out


def test_same_seed_makes_the_same_images(tmp_path):
    for name, seed in (("a", "5"), ("b", "5"), ("c", "6")):
        main(["simulate", str(tmp_path / name), *SMALL, "--seed", seed])
    a, b, c = (next((tmp_path / name).glob("*.fits")).read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_impossible_survey_is_one_line(tmp_path, capsys):
    assert main(["simulate", str(tmp_path), "--size", "8"]) == 1
    assert capsys.readouterr().err == "transients: size must be at least 32, got 8\n"


def test_place_that_cannot_be_written_is_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["simulate", str(tmp_path / "file"), *SMALL]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"transients: {tmp_path / 'file'}: cannot be written: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize("name", ["t0000_b00.fits", "target.fits"])
def test_folder_with_other_images_of_such_names_is_refused(tmp_path, capsys, name):
    (tmp_path / name).write_text("somebody's")
    assert main(["simulate", str(tmp_path), "--timesteps", "2", "--bands", "1", "--size", "64"]) == 1
    assert f"holds 1 other image with names of simulated images, such as {name}" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [name]
